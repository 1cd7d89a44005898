"""The live verbs: scale, pause, resume, drain, stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.domain.task import Tries
from conductor.domain.view import Queued
from tests.conftest import DaemonFactory
from tests.support import (
    Conductord,
    Gate,
    eventually,
    queue_of,
    run_cli,
    statuses,
    stays,
    submit,
    unfinished,
    wait_for_end,
    write_settings,
)


def idle(conductord: Conductord, pool: str = "default") -> int:
    return sum(slot["pool"] == pool for slot in conductord.slots("idle"))


def test_scale_adds_and_removes_workers_while_tasks_run(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1)
    task = submit(home, gate.command)
    gate.wait_for()

    # when, then: up
    assert run_cli(home, "scale", "4").returncode == 0
    eventually(lambda: idle(conductord) == 3)

    # down below the number of running tasks: the running one is left alone
    assert run_cli(home, "scale", "0").returncode == 0
    eventually(lambda: [slot["state"] for slot in conductord.slots()] == ["busy"])
    gate.open()
    assert wait_for_end(home, task).status.value == "SUCCESS"
    eventually(lambda: conductord.status()["slots"] == [])

    # and up again
    later = submit(home, "true")
    assert run_cli(home, "scale", "2").returncode == 0
    assert wait_for_end(home, later).status.value == "SUCCESS"
    assert conductord.log_lines("worker_killed") == []


def test_each_pool_is_scaled_by_itself(daemon: DaemonFactory, home: Home) -> None:
    # given two pools
    conductord = daemon(workers=1, pools={"big": {"workers": 1}})

    # when
    run_cli(home, "scale", "--pool", "big", "3")

    # then
    eventually(lambda: (idle(conductord), idle(conductord, "big")) == (1, 3))
    assert wait_for_end(home, submit(home, "true", pool="big")).worker_id.startswith("w")


def test_an_unknown_pool_or_a_silly_number_is_refused(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=1)

    # when, then
    unknown = run_cli(home, "scale", "--pool", "nowhere", "2")
    assert (unknown.returncode, "no pool 'nowhere'" in unknown.stderr) == (2, True)
    assert run_cli(home, "scale", "1000000").returncode == 2
    assert len(conductord.slots()) == 1


def test_a_scaled_pool_goes_back_to_the_settings_at_a_reload(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=1)
    conductord.ask("scale", pool="default", workers=3)
    eventually(lambda: idle(conductord) == 3)

    # when
    conductord.send(signal.SIGHUP)

    # then
    eventually(lambda: len(conductord.slots()) == 1)


def test_a_pool_can_come_and_go_with_a_reload(daemon: DaemonFactory, home: Home) -> None:
    # given a task for a pool that there is not yet
    conductord = daemon(workers=1)
    task = submit(home, "true", pool="night")

    # when it is added
    write_settings(home, workers=1, pools={"night": {"workers": 1}})
    conductord.send(signal.SIGHUP)

    # then its task runs; and when it is taken away its workers and its nursery go
    assert wait_for_end(home, task).status.value == "SUCCESS"
    write_settings(home, workers=1)
    conductord.send(signal.SIGHUP)
    eventually(lambda: idle(conductord, "night") == 0 and len(conductord.slots()) == 1)
    eventually(lambda: len(conductord.nurseries()) == 1)


def test_after_pause_returned_nothing_is_claimed_until_resume(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a running task
    gate = Gate(tmp_path)
    conductord = daemon(workers=2)
    running = submit(home, gate.command)
    gate.wait_for()

    # when
    assert run_cli(home, "pause").returncode == 0
    held = [submit(home, "true") for _ in range(3)]
    gate.open()

    # then what runs goes on, what waits stays, however often somebody looks
    assert wait_for_end(home, running).status.value == "SUCCESS"
    assert conductord.status()["mode"] == "paused"
    for worker in conductord.slots("idle"):
        os.kill(worker["pid"], signal.SIGUSR1)
    assert stays(lambda: queue_of(home).owned() == [])
    assert all(isinstance(view, Queued) and view.tries == Tries() for view in unfinished(home).values())

    # and over a restart
    assert conductord.stop() == 0
    conductord.start()
    assert stays(lambda: queue_of(home).owned() == [])
    assert sorted(unfinished(home)) == sorted(held)

    # until resume
    assert run_cli(home, "resume").returncode == 0
    assert [wait_for_end(home, task).status.value for task in held] == ["SUCCESS"] * 3
    assert conductord.status()["mode"] == "running"


def test_drain_ends_it_after_the_running_tasks_however_long_they_take(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given settings under which a stop would not wait
    gate = Gate(tmp_path)
    conductord = daemon(workers=1, stop_timeout="1ms")
    running = submit(home, gate.command)
    gate.wait_for()
    waiting = submit(home, "true")

    # when
    assert run_cli(home, "drain").returncode == 0

    # then
    assert conductord.status()["mode"] == "draining"
    assert stays(lambda: conductord.is_running)
    gate.open()
    assert conductord.wait() == 0
    assert (statuses(home, running), statuses(home, waiting)) == (["SUCCESS"], [])


def test_term_while_draining_is_a_stop_and_not_an_emergency(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1)
    task = submit(home, gate.command)
    gate.wait_for()
    conductord.ask("drain")

    # when
    conductord.send(signal.SIGTERM)
    eventually(lambda: conductord.status()["mode"] == "stopping")
    gate.open()

    # then
    assert conductord.wait() == 0
    assert statuses(home, task) == ["SUCCESS"]


@pytest.mark.parametrize("arguments", [["stop"], ["stop", "--now"]], ids=" ".join)
def test_stop_gives_back_what_still_runs(
    daemon: DaemonFactory, home: Home, tmp_path: Path, arguments: list[str]
) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1, stop_timeout="5m" if "--now" in arguments else "100ms")
    task = submit(home, gate.command)
    gate.wait_for()

    # when
    assert run_cli(home, *arguments).returncode == 0

    # then
    assert conductord.wait() == 0
    assert statuses(home, task) == []
    view = unfinished(home)[task]
    assert isinstance(view, Queued)
    assert view.tries == Tries(started=1, refunded=1)


@pytest.mark.parametrize("arguments", [["status"], ["scale", "2"], ["drain"], ["stop"], ["reload"]], ids=" ".join)
def test_a_verb_that_needs_a_daemon_says_so_when_there_is_none(home: Home, arguments: list[str]) -> None:
    # given a home that no daemon has
    run_cli(home, "list")

    # when
    done = run_cli(home, *arguments)

    # then
    assert done.returncode == 4
    assert "no conductord runs" in done.stdout + done.stderr


def test_what_waits_for_a_task_starts_when_it_has_ended(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given a daemon that looks by itself only after an hour
    gate = Gate(tmp_path)
    daemon(workers=2, poll_interval="1h")
    first = submit(home, gate.command)
    second = submit(home, "echo second", after=(first,))
    gate.wait_for()
    assert statuses(home, second) == []

    # when
    gate.open()

    # then
    assert wait_for_end(home, second).status.value == "SUCCESS"


def test_what_waits_for_a_task_that_fails_is_told_as_failed(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    daemon(workers=2, poll_interval="1h")
    first = submit(home, f"{gate.command}; exit 3")
    second = submit(home, f"touch {tmp_path}/ran", after=(first,))
    third = submit(home, f"touch {tmp_path}/ran", after=(second,))
    gate.wait_for()

    # when
    gate.open()

    # then
    assert wait_for_end(home, third).status.value == "FAILED"
    assert (statuses(home, second), first in wait_for_end(home, second).preview) == (["FAILED"], True)
    assert not (tmp_path / "ran").exists()
    told = eventually(
        lambda: [line for line in Path(home.events).read_text().splitlines() if "task_finished" in line][2:]
    )
    assert third in told[0]
