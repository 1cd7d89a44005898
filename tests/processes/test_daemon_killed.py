"""kill -9 of supervisor, nursery and workers: running tasks go on, are found again, and end with one line each."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.domain.worker_id import parse_worker_id
from tests.conftest import DaemonFactory
from tests.support import (
    Conductord,
    Gate,
    eventually,
    named_processes,
    queue_of,
    record_of,
    result_lines,
    run_cli,
    statuses,
    submit,
    wait_for_end,
)


def workers_by_task(home: Home) -> dict[str, str]:
    return {task: worker for task, _, worker in queue_of(home).owned()}


def test_tasks_that_ran_when_the_daemon_was_killed_are_adopted_by_the_next(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given two running tasks on three slots
    gates = [Gate(tmp_path, f"gate{number}") for number in range(2)]
    conductord = daemon(workers=3)
    tasks = [submit(home, gate.command) for gate in gates]
    for gate in gates:
        gate.wait_for()
    owners = workers_by_task(home)

    # when
    conductord.kill()
    conductord.start()

    # then the same processes still run them, and fill two of the three slots
    assert workers_by_task(home) == owners
    busy = {slot["task"]: slot["pid"] for slot in conductord.slots("busy")}
    assert busy == {task: parse_worker_id(owner).pid for task, owner in owners.items()}  # type: ignore[union-attr]
    assert len(conductord.slots()) == 3
    assert len(conductord.log_lines("worker_adopted")) == 2

    # and end with exactly one line each, written by the worker that had them all along
    for gate in gates:
        gate.open()
    assert {wait_for_end(home, task).worker_id for task in tasks} == set(owners.values())
    eventually(lambda: len(conductord.slots("idle")) == 3, what="adopted workers replaced by fresh ones")
    assert [statuses(home, task) for task in tasks] == [["SUCCESS"]] * 2
    assert [gate.attempts() for gate in gates] == [[1], [1]]


def test_more_adopted_tasks_than_slots_hold_back_the_queue(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given two running tasks
    gates = [Gate(tmp_path, f"gate{number}") for number in range(2)]
    conductord = daemon(workers=2)
    tasks = [submit(home, gate.command) for gate in gates]
    for gate in gates:
        gate.wait_for()
    conductord.kill()
    waiting = submit(home, "true")

    # when the next daemon has one slot only
    conductord = daemon("--workers", "1", workers=1)

    # then the third task waits until both have ended, and one slot is left
    assert [slot["state"] for slot in conductord.slots()] == ["busy", "busy"]
    gates[0].open()
    wait_for_end(home, tasks[0])
    eventually(lambda: [slot["state"] for slot in conductord.slots()] == ["busy"])
    assert statuses(home, waiting) == []
    gates[1].open()
    assert wait_for_end(home, waiting).status.value == "SUCCESS"
    eventually(lambda: len(conductord.slots()) == 1)


def test_what_ended_while_no_daemon_ran_is_told_by_the_next(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1)
    task = submit(home, gate.command)
    gate.wait_for()
    conductord.kill()

    # when it ends all alone
    gate.open()
    assert wait_for_end(home, task).status.value == "SUCCESS"
    eventually(lambda: not named_processes(home, "conductor-work"))

    # then the next daemon has nothing to do about it but to tell
    conductord.start()
    assert statuses(home, task) == ["SUCCESS"]
    events = Path(home.events).read_text().splitlines()
    assert sum('"task_finished"' in line and task in line for line in events) == 1
    assert conductord.log_lines("attempt_recovered") == []


def test_an_adopted_task_can_be_cancelled(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1)
    task = submit(home, gate.command)
    gate.wait_for()
    conductord.kill()
    conductord.start()

    # when
    done = run_cli(home, "cancel", task)

    # then
    assert done.returncode == 0
    assert statuses(home, task) == ["CANCELLED"]


def test_a_stop_gives_an_adopted_task_back(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1)
    task = submit(home, gate.command)
    gate.wait_for()
    conductord.kill()
    conductord.start()

    # when
    assert conductord.stop(signal.SIGINT) == 0

    # then
    assert statuses(home, task) == []
    assert queue_of(home).owned() == []


def test_the_killed_worker_of_a_killed_daemon_lost_its_attempt_only(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1)
    task = submit(home, gate.command)
    gate.wait_for()
    conductord.kill()
    for worker in named_processes(home, "conductor-work"):
        os.kill(worker, signal.SIGKILL)

    # when
    conductord.start()

    # then
    gate.wait_for(attempt=2)
    gate.open()
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert statuses(home, task) == ["RETRY", "SUCCESS"]
    assert record_of(home, task, 1)["outcome"] == "lost"


def test_a_killed_nursery_is_replaced_and_its_running_task_is_not_lost(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given one running task and one idle worker
    gate = Gate(tmp_path)
    conductord = daemon(workers=2)
    task = submit(home, gate.command)
    gate.wait_for()
    (nursery,) = conductord.nurseries()

    # when
    os.kill(nursery, signal.SIGKILL)

    # then another nursery makes workers, the task goes on, and its end is noticed
    eventually(lambda: conductord.nurseries() not in ([nursery], []))
    eventually(lambda: len(conductord.slots("idle")) == 1)
    assert len(conductord.slots("busy")) == 1
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"
    gate.open()
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert statuses(home, task) == ["SUCCESS"]
    eventually(lambda: len(conductord.slots("idle")) == 2)
    assert conductord.log_lines("strays_ended") == []


def test_a_nursery_that_is_killed_again_and_again_costs_no_task(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=2)
    tasks = [submit(home, "sleep 0.02", ring=False) for _ in range(20)]

    # when
    for _ in range(5):
        eventually(lambda: len(result_lines(home)) > 0)
        for nursery in eventually(conductord.nurseries):
            os.kill(nursery, signal.SIGKILL)

    # then
    assert [wait_for_end(home, task).status.value for task in tasks] == ["SUCCESS"] * 20
    assert conductord.log_lines("daemon_halted") == []


@pytest.mark.parametrize("victim", ["conductor-work", "sh"])
def test_a_killed_worker_s_task_runs_again_and_a_killed_agent_s_has_failed(
    daemon: DaemonFactory, home: Home, tmp_path: Path, victim: str
) -> None:
    # given
    gate = Gate(tmp_path)
    conductord: Conductord = daemon(workers=1)
    task = submit(home, gate.command)
    gate.wait_for()
    (slot,) = conductord.slots("busy")

    # when
    target = slot["pid"] if victim == "conductor-work" else named_processes(home, "sh")[0]
    os.kill(target, signal.SIGKILL)

    # then losing the worker is nobody's failure; losing the agent is the task's
    if victim == "conductor-work":
        gate.wait_for(attempt=2)
        gate.open()
        wait_for_end(home, task)
        assert statuses(home, task) == ["RETRY", "SUCCESS"]
        assert record_of(home, task, 1)["outcome"] == "lost"
    else:
        assert wait_for_end(home, task).status.value == "FAILED"
        assert record_of(home, task)["signal"] == signal.SIGKILL


def test_a_task_that_kills_its_worker_each_time_has_an_end(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=1)

    # when
    task = submit(home, "kill -9 $PPID; sleep 60", retries=5)

    # then it is dead after the third lost attempt, each told, and the daemon goes on
    assert wait_for_end(home, task).status.value == "FAILED"
    assert statuses(home, task) == ["RETRY", "RETRY", "FAILED"]
    assert {record_of(home, task, attempt)["outcome"] for attempt in (1, 2, 3)} == {"lost"}
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"
    assert conductord.log_lines("slot_given_up") == []


def test_a_stopped_supervisor_catches_up(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=2)

    # when it sleeps while its workers run out of work and tasks arrive
    conductord.send(signal.SIGSTOP)
    tasks = [submit(home, "true", ring=False) for _ in range(6)]
    conductord.send(signal.SIGCONT)

    # then
    assert [wait_for_end(home, task).status.value for task in tasks] == ["SUCCESS"] * 6
