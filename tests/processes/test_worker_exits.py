"""The table of a worker's exit codes, as its nursery reports them, and what is on disk then."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conductor.domain.exits import WorkerExit
from conductor.domain.home import Home
from conductor.domain.task import Tries
from conductor.domain.view import Queued
from conductor.domain.wire import Busy, NurseryUp, Ready
from conductor.domain.worker_id import parse_worker_id
from conductor.kit.process import is_alive
from tests.processes.nurserylink import NurseryUnderTest
from tests.support import (
    Gate,
    check_nothing_left,
    eventually,
    named_processes,
    queue_of,
    result_lines,
    said,
    statuses,
    submit,
    unfinished,
    wait_for_end,
)

NurseryFactory = Callable[..., NurseryUnderTest]
_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def nursery(home: Home) -> Iterator[NurseryFactory]:
    """Starts nurseries: `nursery(max_idle_seconds=1)`, with `env=` for their environment."""
    made: list[NurseryUnderTest] = []

    def make(**options: object) -> NurseryUnderTest:
        made.append(NurseryUnderTest(home, **options))  # type: ignore[arg-type]
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()
        check_nothing_left([home])


@pytest.fixture
def reaper() -> Iterator[None]:
    """Orphans of a nursery become our children meanwhile, as they become conductord's."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.parametrize(("command", "status"), [("true", "SUCCESS"), ("exit 7", "FAILED"), ("kill -9 $$", "FAILED")])
def test_done_after_one_attempt_whatever_became_of_it(
    nursery: NurseryFactory, home: Home, command: str, status: str
) -> None:
    # given two tasks
    one = nursery()
    first, second = submit(home, command), submit(home, "true")

    # when
    worker = one.fork()

    # then it ran one, said what it did, and recorded it
    assert one.exit_of(worker) == WorkerExit.DONE
    (ready,), (busy,) = one.said(Ready), one.said(Busy)
    assert (busy.worker_id, busy.task_id, busy.attempt) == (ready.worker_id, first, 1)
    assert busy.limit_seconds == 3600 + 5 + 60
    assert statuses(home, first) == [status]
    assert statuses(home, second) == []


def test_idle_after_max_idle_time_without_work(nursery: NurseryFactory) -> None:
    one = nursery(max_idle_seconds=0.1)
    assert one.exit_of(one.fork()) == WorkerExit.IDLE


def test_a_look_at_the_queue_does_not_prolong_an_idle_worker_s_time(nursery: NurseryFactory, home: Home) -> None:
    # given an idle worker that is woken again and again for nothing
    one = nursery(max_idle_seconds=0.3)
    worker = one.fork()

    # when, then
    def woken_and_gone() -> bool:
        if not one.said(Ready) or not named_processes(home, "conductor-work"):
            return True
        os.kill(worker, signal.SIGUSR1)
        return False

    eventually(woken_and_gone)
    assert one.exit_of(worker) == WorkerExit.IDLE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_retired_when_told_to_leave_while_idle(nursery: NurseryFactory, number: signal.Signals) -> None:
    one = nursery()
    worker = one.fork()
    os.kill(worker, number)
    assert one.exit_of(worker) == WorkerExit.RETIRED


def test_ctrl_c_reaches_no_worker(nursery: NurseryFactory, home: Home) -> None:
    # given an idle worker and its nursery
    one = nursery()
    worker = one.fork()

    # when both get what a terminal sends
    os.kill(worker, signal.SIGINT)
    os.kill(one.process.pid, signal.SIGINT)

    # then they work on
    task = submit(home, "true")
    os.kill(worker, signal.SIGUSR1)
    assert one.exit_of(worker) == WorkerExit.DONE
    assert statuses(home, task) == ["SUCCESS"]
    assert one.exit_of(_retire(one)) == WorkerExit.RETIRED


@pytest.mark.parametrize("how", ["its supervisor hangs up", "it is killed"])
@pytest.mark.usefixtures("reaper")
def test_retired_when_the_nursery_is_gone(nursery: NurseryFactory, how: str) -> None:
    # given
    one = nursery()
    worker = one.fork()

    # when
    if how == "it is killed":
        one.process.kill()
    assert one.hang_up() == (-signal.SIGKILL if how == "it is killed" else 0)

    # then
    _, status = os.waitpid(worker, 0)
    assert os.waitstatus_to_exitcode(status) == WorkerExit.RETIRED


@pytest.mark.usefixtures("reaper")
def test_a_running_task_outlives_nursery_and_supervisor(nursery: NurseryFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    one = nursery()
    task = submit(home, gate.command)
    worker = one.fork()
    gate.wait_for()

    # when
    one.process.kill()
    one.hang_up()
    gate.open()

    # then
    _, status = os.waitpid(worker, 0)
    assert os.waitstatus_to_exitcode(status) == WorkerExit.DONE
    assert statuses(home, task) == ["SUCCESS"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT], ids=lambda number: number.name)
def test_gave_back_when_told_to_stop_while_running(
    nursery: NurseryFactory, home: Home, tmp_path: Path, number: signal.Signals
) -> None:
    # given a task that SIGTERM ends, and one that only SIGKILL ends, with a grace that would take too long
    trap = "" if number is signal.SIGTERM else "trap '' TERM; "
    gate = Gate(tmp_path)
    one = nursery(grace_seconds=300.0)
    task = submit(home, trap + gate.command)
    worker = one.fork()
    gate.wait_for()

    # when
    os.kill(worker, number)

    # then nothing is recorded, the attempt is refunded and the number used up
    assert one.exit_of(worker) == WorkerExit.GAVE_BACK
    assert result_lines(home) == []
    view = unfinished(home)[task]
    assert isinstance(view, Queued)
    assert view.tries == Tries(started=1, refunded=1)


def test_a_second_order_to_stop_ends_the_grace(nursery: NurseryFactory, home: Home, tmp_path: Path) -> None:
    # given a task that ignores the first
    gate = Gate(tmp_path)
    one = nursery(grace_seconds=300.0)
    submit(home, f"trap 'echo heard' TERM; {gate.command}", "stubborn")
    worker = one.fork()
    gate.wait_for()
    os.kill(worker, signal.SIGTERM)
    eventually(lambda: "heard" in said(home, "stubborn"))

    # when
    os.kill(worker, signal.SIGQUIT)

    # then
    assert one.exit_of(worker) == WorkerExit.GAVE_BACK


def test_a_stop_ends_the_grace_of_what_a_stopped_agent_left_too(
    nursery: NurseryFactory, home: Home, tmp_path: Path
) -> None:
    # given a task that was told to stop: the agent went, its child ignores SIGTERM and has five minutes
    gate = Gate(tmp_path)
    one = nursery(grace_seconds=300.0)
    submit(home, f"(trap '' TERM; {gate.command}) & wait; sleep 600", "parent")
    worker = one.fork()
    gate.wait_for()
    os.kill(worker, signal.SIGTERM)
    eventually(lambda: "Terminated" in said(home, "parent") or len(named_processes(home, "sh")) == 1)

    # when
    os.kill(worker, signal.SIGQUIT)

    # then
    assert one.exit_of(worker) == WorkerExit.GAVE_BACK


def test_a_hang_up_lets_a_running_task_finish(nursery: NurseryFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    one = nursery()
    task = submit(home, gate.command)
    worker = one.fork()
    gate.wait_for()

    # when
    os.kill(worker, signal.SIGHUP)
    gate.open()

    # then
    assert one.exit_of(worker) == WorkerExit.DONE
    assert statuses(home, task) == ["SUCCESS"]


def test_fenced_when_another_attempt_owns_the_task(nursery: NurseryFactory, home: Home, tmp_path: Path) -> None:
    # given a worker that was taken for dead while it ran
    gate = Gate(tmp_path)
    one = nursery()
    task = submit(home, gate.command, retries=3)
    worker = one.fork()
    gate.wait_for()
    queue_of(home).recover(lambda owner: False)

    # when its late end comes
    gate.open()

    # then it records nothing
    assert one.exit_of(worker) == WorkerExit.FENCED
    assert statuses(home, task) == ["RETRY"]
    assert "attempt_fenced" in one.log_text()


def test_cannot_record_when_the_disk_refuses_for_good(nursery: NurseryFactory, home: Home) -> None:
    # given a home whose results.txt can't be written
    one = nursery()
    task = submit(home, "true")
    os.unlink(home.results)
    os.mkdir(home.results)

    # when
    worker = one.fork()

    # then the worker says so, and the outcome is kept for whoever recovers it
    assert one.exit_of(worker) == WorkerExit.CANNOT_RECORD
    assert "record_failed" in one.log_text()
    os.rmdir(home.results)
    recovered = queue_of(home).recover(lambda owner: False)
    assert [(found.task_id, found.was_recorded) for found in recovered] == [(task, True)]
    assert statuses(home, task) == ["SUCCESS"]


def test_broken_when_conductor_itself_goes_wrong(nursery: NurseryFactory, home: Home) -> None:
    # given a lock that is none
    one = nursery()
    os.unlink(f"{home.queue}/lock")
    os.mkdir(f"{home.queue}/lock")

    # when
    worker = one.fork()

    # then the traceback is in the log, on one line
    assert one.exit_of(worker) == WorkerExit.BROKEN
    (line,) = [line for line in one.log_text().splitlines() if "worker_broke" in line]
    assert "IsADirectoryError" in line
    assert "lock.py" in line


def test_done_when_an_agent_s_own_code_goes_wrong(nursery: NurseryFactory, home: Home, tmp_path: Path) -> None:
    # given an agent whose own code raises what nobody expects
    (tmp_path / "odd_agent.py").write_text(
        "from conductor.agents.shape import PlainAgent\n"
        "class Odd(PlainAgent):\n    def launch(self, prompt):\n        return 1 / 0\n"
    )
    one = nursery(kinds={"odd": "odd_agent:Odd"}, env={"PYTHONPATH": str(tmp_path)})
    task = submit(home, "whatever", agent="odd")

    # when
    worker = one.fork()

    # then the task has failed with the reason, and was not lost
    assert one.exit_of(worker) == WorkerExit.DONE
    assert "ZeroDivisionError" in wait_for_end(home, task).preview
    assert "odd_agent.py" in said(home, task)


def test_cannot_start_when_a_library_is_missing(nursery: NurseryFactory) -> None:
    # given, when
    one = nursery(preload=("no_such_library",))

    # then the nursery ends before it ever says that it is up
    assert one.process.wait(30) == WorkerExit.CANNOT_START
    assert one.said(NurseryUp) == []
    assert "no_such_library" in one.log_text()


def test_a_killed_worker_is_told_with_its_signal(nursery: NurseryFactory) -> None:
    one = nursery()
    worker = one.fork()
    os.kill(worker, signal.SIGKILL)
    assert one.exit_of(worker) == -signal.SIGKILL


def test_a_worker_s_name_is_a_process_that_one_can_look_up(nursery: NurseryFactory) -> None:
    # given
    one = nursery()
    worker = one.fork(slot=7)

    # then
    (ready,) = one.said(Ready)
    identity = parse_worker_id(ready.worker_id)
    assert ready.worker_id.startswith(f"w7-{worker}-")
    assert identity is not None
    assert is_alive(identity)
    os.kill(worker, signal.SIGKILL)
    one.exit_of(worker)
    assert not is_alive(identity)


# -- what an agent does inside of a worker ends with that worker

LEAKY_AGENT = '''
import os, random, signal, sys, threading
from conductor.agents.shape import PlainAgent
from conductor.ports import AgentReport, Launch

calls = 0

class Leaky(PlainAgent):
    """Tells what it finds in its worker, then spoils it."""

    def launch(self, prompt):
        global calls
        calls += 1
        ignored = signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
        found = [calls, os.environ.get("SPOILED"), ignored, threading.active_count(), "spoiled" in sys.modules]
        number = random.random()
        os.environ["SPOILED"] = "yes"
        os.umask(0)
        random.seed(1)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        sys.modules["spoiled"] = sys
        return Launch(("/bin/echo", repr(found), str(number)))

    def judge(self, prompt, ending):
        return AgentReport(True, "", ending.tail, ending.tail.strip())
'''


def test_what_an_agent_s_code_leaves_in_its_worker_no_other_worker_sees(
    nursery: NurseryFactory, home: Home, tmp_path: Path
) -> None:
    # given an agent that is loaded in the nursery and changes all it can reach
    (tmp_path / "leaky_agent.py").write_text(LEAKY_AGENT)
    one = nursery(kinds={"leaky": "leaky_agent:Leaky"}, preload=("leaky_agent",), env={"PYTHONPATH": str(tmp_path)})
    tasks = [submit(home, "x", agent="leaky") for _ in range(3)]

    # when it runs three times in the same slot
    for _ in tasks:
        assert one.exit_of(one.fork()) == WorkerExit.DONE

    # then each found what the first found, and chance is not the same for two of them
    previews = [line.preview for line in result_lines(home)]
    assert {preview.rpartition(" ")[0] for preview in previews} == {"[1, None, False, 1, False]"}
    assert len({preview.rpartition(" ")[2] for preview in previews}) == 3


def _retire(one: NurseryUnderTest) -> int:
    worker = one.fork()
    os.kill(worker, signal.SIGHUP)
    return worker
