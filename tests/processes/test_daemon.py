"""conductord at its daily work: tasks run, workers are kept alive, what no event told is found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from conductor.app import ask_daemon
from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.support import (
    Conductord,
    Gate,
    eventually,
    queue_of,
    record_of,
    result_lines,
    run_cli,
    said,
    statuses,
    submit,
    wait_for_end,
)


def test_a_task_runs_from_the_command_line_to_its_result_line(daemon: DaemonFactory, home: Home) -> None:
    # given a running daemon
    daemon()

    # when a task is submitted and waited for
    done = run_cli(home, "submit", "--wait", "--id", "hello", "echo one; echo two")

    # then the command ends well and every file tells the same
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    (line,) = result_lines(home)
    assert (line.task_id, line.status.value, line.preview) == ("hello", "SUCCESS", "two")
    assert said(home, "hello") == "one\ntwo\n"
    record = record_of(home, "hello")
    assert (record["exit_code"], record["signal"], record["worker"]) == (0, None, line.worker_id)
    assert Path(home.task("hello"), "latest", "RESULT.txt").read_text() == "one\ntwo\n"


def test_a_failing_task_is_retried_and_then_dead(daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon()

    # when
    done = run_cli(home, "submit", "--wait", "--id", "bad", "--retries", "2", "echo no good; exit 3")

    # then
    assert done.returncode == 1
    assert statuses(home, "bad") == ["RETRY", "RETRY", "FAILED"]
    assert [record_of(home, "bad", attempt)["exit_code"] for attempt in (1, 2, 3)] == [3, 3, 3]
    assert len(os.listdir(f"{home.queue}/dead")) == 1


def test_three_workers_run_three_tasks_at_a_time(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given three workers and four tasks that wait for each other's sake
    conductord = daemon(workers=3)
    gates = [Gate(tmp_path, f"gate{number}") for number in range(4)]
    ids = [submit(home, gate.command) for gate in gates]

    # when the first three have started
    for gate in gates[:3]:
        gate.wait_for()

    # then the fourth waits its turn, and gets it when one of them has ended
    assert len(conductord.slots("busy")) == 3
    assert gates[3].attempts() == []
    gates[0].open()
    gates[3].wait_for()
    for gate in gates:
        gate.open()
    assert [wait_for_end(home, task).status.value for task in ids] == ["SUCCESS"] * 4
    assert len({line.worker_id for line in result_lines(home)}) == 4  # a fresh process each


def test_an_idle_worker_is_replaced_after_max_idle_time(daemon: DaemonFactory) -> None:
    # given
    conductord = daemon(workers=1, max_idle_time="300ms")
    before = conductord.slots("idle")[0]["pid"]

    # when it has been idle for long enough, then another process sits in its slot, and no budget was spent
    eventually(lambda: any(slot["pid"] != before for slot in conductord.slots("idle")), what="a fresh idle worker")
    assert conductord.log_lines("worker_exited") == []


def test_a_killed_idle_worker_is_replaced_at_once(daemon: DaemonFactory, home: Home) -> None:
    # given a daemon that looks at nothing by itself for a long time
    conductord = daemon(workers=1, poll_interval="10m")
    before = conductord.slots("idle")[0]["pid"]

    # when
    os.kill(before, 9)

    # then
    eventually(lambda: any(slot["pid"] != before for slot in conductord.slots("idle")), what="a fresh idle worker")
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_a_delayed_task_starts_when_it_is_due(daemon: DaemonFactory, home: Home) -> None:
    # given a daemon that looks at nothing by itself for a long time
    daemon(poll_interval="10m")

    # when
    done = run_cli(home, "submit", "--wait", "--id", "later", "--delay", "1s", "date +%s%3N")

    # then it ran, and not before its time
    assert done.returncode == 0, done.stderr
    task_line = Path(home.attempt("later", 1), "TASK.txt").read_text()
    due_ms = int(task_line.partition("not_before=")[2].split("|")[0])
    assert int(said(home, "later")) >= due_ms


def test_a_task_that_nobody_rang_for_is_found_by_the_scan(daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon(poll_interval="200ms")

    # when the queue's own API accepts a task and tells nobody
    task = submit(home, "echo found", ring=False)

    # then
    assert wait_for_end(home, task).preview == "found"


def test_a_file_moved_into_the_inbox_is_run_without_a_scan(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given a daemon that looks at nothing by itself for a long time
    daemon(poll_interval="10m")
    lines = tmp_path / "lines"
    lines.write_text("first|echo 1||\nsecond|echo 2||\nnot a task line\n")

    # when
    os.rename(lines, f"{home.queue}/inbox/lines")

    # then the good lines run and the bad one is answered
    assert wait_for_end(home, "first").preview == "1"
    assert wait_for_end(home, "second").preview == "2"
    eventually(lambda: [name for name in os.listdir(f"{home.queue}/corrupt") if name.endswith(".reason")])


def test_a_batch_is_run_by_all_workers_in_order_of_priority(daemon: DaemonFactory, home: Home) -> None:
    # given tasks that were accepted before there was a daemon
    lines = "\n".join(f"t{number}|echo {number}|||priority={number % 3}" for number in range(30))
    done = run_cli(home, "submit", "--agent", "command", "--lines", "-", stdin=lines)
    assert done.returncode == 0
    assert "no conductord runs" in done.stderr

    # when
    daemon(workers=1)
    for number in range(30):
        wait_for_end(home, f"t{number}")

    # then
    order = [int(line.task_id[1:]) for line in result_lines(home)]
    assert order == sorted(range(30), key=lambda number: (-(number % 3), number))


def test_every_attempt_is_one_event_at_its_start_and_one_at_its_end(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=2)

    # when
    tasks = [submit(home, "true") for _ in range(5)]
    for task in tasks:
        wait_for_end(home, task)
    assert conductord.stop() == 0

    # then
    for action in ("task_started", "task_finished"):
        assert sorted(event["task"] for event in _events(home) if event["action"] == action) == sorted(tasks)
    numbers = [event["seq"] for event in _events(home)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_supervisor_tells_who_runs_what(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    conductord: Conductord = daemon(workers=2)

    # when
    task = submit(home, gate.command)
    gate.wait_for()

    # then
    eventually(lambda: conductord.slots("busy"))
    found = ask_daemon(home, {"verb": "status"})
    assert [(slot["task"], slot["attempt"]) for slot in found["slots"] if slot["state"] == "busy"] == [(task, 1)]
    assert found["queue"]["running"] == 1
    shown = run_cli(home, "status")
    assert task in shown.stdout
    gate.open()
    wait_for_end(home, task)
    assert queue_of(home).owned() == []


def _events(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(home.events).read_text().splitlines()]
