"""Tasks in the hands of a program: submitted, waited for, changed; with a real conductord and without one."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from conductor import (
    BadTask,
    Conductor,
    DaemonNotRunning,
    DuplicateTask,
    HomeRefused,
    NoSuchTask,
    NotEndedInTime,
    Status,
    TaskSpec,
    UsageError,
)
from conductor.domain.home import Home
from conductor.domain.view import Ended, Queued, Running, Waiting, view_id
from tests.conftest import DaemonFactory
from tests.support import Gate, eventually, submit, write_settings


def test_a_task_is_submitted_waited_for_and_read(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon()

    with Conductor(home.path) as conductor:
        task = conductor.submit(
            "pwd; echo $GREETING; exit 3", agent="command", workspace=tmp_path, env={"GREETING": "hello"}
        )
        result = task.wait(timeout=30)

    assert (result.task_id, result.status, result.ok, result.exit_code) == (task.id, Status.FAILED, False, 3)
    assert result.text == f"{tmp_path}\nhello\n"
    assert "hello" in result.preview
    assert "3" in result.reason
    assert task.result() == result


def test_what_was_accepted_without_a_daemon_runs_when_there_is_one(daemon: DaemonFactory, home: Home) -> None:
    with Conductor(home.path) as conductor:
        assert not conductor.daemon_runs
        task = conductor.submit("echo at last", agent="command")
        assert isinstance(task.view(), Queued)
        assert task.result() is None

        daemon()

        assert conductor.daemon_runs
        assert task.wait(timeout=30).text == "at last\n"


def test_many_are_told_as_they_end_and_returned_in_order(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon(workers=2)
    gate = Gate(tmp_path)

    with Conductor(home.path) as conductor:
        tasks = conductor.submit_many([gate.command, *(f"echo {n}" for n in range(20))], agent="command")
        seen = []
        for result in conductor.as_ended(tasks, timeout=30):
            seen.append(result.task_id)
            if len(seen) == 20:
                gate.open()

        assert seen[-1] == tasks[0].id
        assert [result.task_id for result in conductor.wait(tasks, timeout=30)] == [task.id for task in tasks]


def test_a_batch_with_a_fault_is_refused_whole(home: Home) -> None:
    with Conductor(home.path) as conductor:
        with pytest.raises(BadTask):
            conductor.submit_many(["true", " "], agent="command")

        assert list(conductor.list()) == []


def test_a_spec_brings_what_is_its_own(home: Home) -> None:
    with Conductor(home.path) as conductor:
        (plain, own) = conductor.submit_many(
            ["true", TaskSpec("own", "false", agent="command", pool="heavy")], agent="command", priority=5
        )

        views = {view_id(view): view for view in conductor.list()}
    assert isinstance(views[plain.id], Queued)
    own_view = views["own"]
    assert own.id == "own"
    assert isinstance(own_view, Queued)
    assert (own_view.spec.pool, own_view.spec.priority) == ("heavy", 5)


def test_the_agent_of_the_settings_does_what_names_none(home: Home) -> None:
    with Conductor(home.path) as conductor:
        with pytest.raises(UsageError, match="no agent"):
            conductor.submit("true")
        write_settings(home, agent="command")

        view = conductor.submit("true").view()

    assert isinstance(view, Queued)
    assert view.spec.agent == "command"


def test_a_taken_id_is_refused_or_taken_for_the_same(home: Home) -> None:
    with Conductor(home.path) as conductor:
        first = conductor.submit("true", agent="command", task_id="nightly")

        with pytest.raises(DuplicateTask):
            conductor.submit("true", agent="command", task_id="nightly")
        assert conductor.submit("true", agent="command", task_id="nightly", if_absent=True) == first
        assert len(list(conductor.list())) == 1


def test_an_option_that_does_not_exist_names_the_nearest(home: Home) -> None:
    with Conductor(home.path) as conductor:
        with pytest.raises(TypeError, match="did you mean 'timeout'"):
            conductor.submit("true", agent="command", timout=3)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="write after="):
            conductor.submit("true", agent="command", after="t-1")


def test_a_wait_ends_at_its_timeout_and_the_task_goes_on(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon()
    gate = Gate(tmp_path)

    with Conductor(home.path) as conductor:
        task = conductor.submit(gate.command, agent="command")
        with pytest.raises(NotEndedInTime, match="conductor why"):
            task.wait(timeout=0.1)
        with pytest.raises(TimeoutError):
            task.wait(timeout=0)
        gate.open()

        assert task.wait(timeout=30).ok


def test_a_wait_without_a_timeout_gives_up_when_no_daemon_comes(home: Home) -> None:
    with Conductor(home.path, daemon_patience=0.1) as conductor:
        task = conductor.submit("true", agent="command")

        with pytest.raises(DaemonNotRunning, match="start one with `conductord`"):
            task.wait()


def test_a_daemon_that_is_restarted_under_way_is_waited_for(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    one = daemon()
    gate = Gate(tmp_path)

    with Conductor(home.path) as conductor:
        task = conductor.submit(gate.command, agent="command")
        gate.wait_for()
        found = []
        waiter = threading.Thread(target=lambda: found.append(task.wait()))
        waiter.start()
        one.kill()
        daemon()
        gate.open()
        waiter.join(30)

    assert [result.ok for result in found] == [True]


def test_what_is_not_there_is_said_to_be_not_there(home: Home, tmp_path: Path) -> None:
    with Conductor(home.path) as conductor:
        with pytest.raises(NoSuchTask):
            conductor.task("never")
        with pytest.raises(NoSuchTask):
            conductor.wait(["never"], timeout=5)
        with pytest.raises(NoSuchTask):
            conductor.cancel("never")
        assert conductor.find("never") is None

    Path(tmp_path, "file").touch()
    with pytest.raises(HomeRefused):
        Conductor(tmp_path / "file" / "home")


def test_one_that_runs_is_cancelled_and_one_that_failed_is_tried_again(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    daemon()
    gate = Gate(tmp_path)

    with Conductor(home.path) as conductor:
        running = conductor.submit(gate.command, agent="command")
        gate.wait_for()
        assert isinstance(running.view(), Running)
        assert running.cancel()
        assert running.wait(timeout=30).status is Status.CANCELLED
        assert not running.cancel(), "it had ended before"

        failing = conductor.submit(f"test -e {tmp_path}/mended", agent="command")
        assert not failing.wait(timeout=30).ok
        failing.retry()
        assert failing.wait(timeout=30).attempt == 2
        Path(tmp_path, "mended").touch()
        failing.retry()
        again = eventually(lambda: (result := failing.result()) and result.attempt == 3 and result, what="attempt 3")

    assert again.ok


def test_one_waits_for_another_and_for_its_time(home: Home) -> None:
    with Conductor(home.path) as conductor:
        first = conductor.submit("true", agent="command")
        second = conductor.submit("true", agent="command", after=[first.id])
        later = conductor.submit("true", agent="command", delay="1h", timeout=90)

        awaiting, delayed = second.view(), later.view()

    assert isinstance(awaiting, Waiting)
    assert awaiting.awaits == first.id
    assert isinstance(delayed, Waiting)
    assert 3500 < delayed.due_ms / 1000 - time.time() <= 3600
    assert delayed.spec.timeout_seconds == 90


def test_threads_share_one_conductor(daemon: DaemonFactory, home: Home) -> None:
    daemon()
    results = []

    with Conductor(home.path) as conductor:

        def use(number: int) -> None:
            tasks = (conductor.submit(f"echo {number} {turn}", agent="command") for turn in range(3))
            results.extend(task.wait(timeout=60) for task in tasks)
            conductor.submit("true", agent="command", task_id="the-same", if_absent=True)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        conductor.task("the-same").wait(timeout=30)

    assert sorted(result.text.split() for result in results) == [[str(n), str(t)] for n in range(4) for t in range(3)]


def test_a_task_whose_file_was_damaged_ends_the_wait(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    with Conductor(home.path) as conductor:
        task = conductor.submit("true", agent="command")
        (path,) = Path(home.queue, "ready").rglob(f"*~{task.id}")
        path.write_bytes(b"\xff\xfe nonsense")
        daemon()

        with pytest.raises(NoSuchTask):
            task.wait(timeout=60)


def test_a_task_of_the_command_line_is_the_same_task(daemon: DaemonFactory, home: Home) -> None:
    daemon()
    task_id = submit(home, "echo from elsewhere")

    with Conductor(home.path) as conductor:
        task = conductor.task(task_id)
        assert task.wait(timeout=30).text == "from elsewhere\n"
        assert isinstance(conductor.find(task), Ended)
