"""Watching and waiting for a run: what is shown on the way, and how it ends."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from conductor.cli.main import main
from conductor.cli.run_follower import RunFollower
from conductor.cli.snapshot import Snapshot
from conductor.cli.watching import NoShow, follow
from conductor.domain.errors import DaemonNotRunning
from conductor.domain.run import Activity, Asks, RunStatus, StepStatus
from conductor.queue.layout import open_home
from conductor.settings.model import Settings
from tests.cli.front import Shell
from tests.cli.orchestra import Orchestra
from tests.cli.pictures import RUN_ID, a_run, a_state, a_step, an_open_round
from tests.conftest import DaemonFactory
from tests.support import eventually, submit


@pytest.fixture
def orchestra(shell: Shell) -> Orchestra:
    shell.ok("list")
    return Orchestra(shell.home)


@pytest.fixture
def pair(orchestra: Orchestra) -> Orchestra:
    """A run of two steps, of which the first is in progress."""
    first = a_state(a_step("a"), StepStatus.IN_PROGRESS, 0)
    orchestra.add(a_run(started=time.time()), first, a_state(a_step("b", "a"), position=1))
    orchestra.hand_out(an_open_round(first))
    return orchestra


# -- lines, where there is no terminal


def test_without_a_terminal_each_event_is_a_line_and_the_end_a_table(
    shell: Shell, pair: Orchestra, daemon: DaemonFactory
) -> None:
    daemon(workers=0)
    watcher = shell.start("runs", "watch", RUN_ID)
    eventually(lambda: watcher.out().startswith(f"{RUN_ID} running: 'Build a calculator'\n"), what="the first line")

    pair.step(RUN_ID, "a", StepStatus.COMPLETED, commit="0123456789abcdef")
    eventually(lambda: "a: completed" in watcher.out(), what="the event")
    pair.step(RUN_ID, "b", StepStatus.COMPLETED, commit="1123456789abcdef")
    pair.end(RUN_ID)

    answer = watcher.answer()
    assert answer.code == 0
    assert "\x1b" not in answer.out
    assert answer.out.count("b: completed") == 1
    lines = answer.out.splitlines()
    assert lines[-4].split()[:3] == ["1", "a", "completed"]
    assert lines[-2].startswith(f"{RUN_ID} completed: 2 of 2 steps in ")
    assert lines[-1] == "merged: on main in /home/me/calc"


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.NEEDS_REVIEW, RunStatus.STOPPED])
@pytest.mark.parametrize("command", ["watch", "wait"])
def test_a_run_that_did_not_complete_ends_with_1(
    shell: Shell, pair: Orchestra, status: RunStatus, command: str
) -> None:
    pair.end(RUN_ID, status, reason="the check never passed")

    answer = shell("runs", command, RUN_ID)

    assert answer.code == 1
    assert f"{RUN_ID} {status.value.replace('_', ' ')} (the check never passed): 0 of 2 steps" in answer.out
    assert f"kept: what was merged is on conductor/{RUN_ID} in /home/me/calc" in answer.out


def test_a_run_that_waits_for_approval_ends_the_watch_with_5_and_says_how_to_approve(
    shell: Shell, orchestra: Orchestra
) -> None:
    orchestra.add(a_run(), a_state(a_step("a")))
    orchestra.ask(RUN_ID, Asks.PLAN)

    watched, waited = shell("runs", "watch", RUN_ID), shell("runs", "wait", RUN_ID)

    assert watched.code == waited.code == 5
    assert f"waits for you: the plan: conductor approve {RUN_ID}" in watched.out
    assert f"`conductor approve {RUN_ID}`" in waited.err


def test_what_still_moves_is_watched_to_its_end_before_an_approval_is_asked_for(
    shell: Shell, pair: Orchestra, daemon: DaemonFactory
) -> None:
    daemon(workers=0)
    pair.ask(RUN_ID, Asks.WAVE, "b")
    watcher = shell.start("runs", "watch", RUN_ID)
    eventually(lambda: "waits for you" in watcher.out(), what="the note")
    assert not watcher.has_ended()

    pair.end(RUN_ID)

    assert watcher.answer().code == 0


def test_waiting_gives_up_when_the_time_is_over(shell: Shell, pair: Orchestra) -> None:
    answer = shell("runs", "wait", RUN_ID, "--timeout", "100ms")

    assert answer.code == 1
    assert answer.err == f"conductor: {RUN_ID} is not over yet: `conductor runs show {RUN_ID}`\n"


def test_an_interrupt_leaves_the_run_alone_and_says_so(shell: Shell, pair: Orchestra) -> None:
    watcher = shell.start("runs", "watch", RUN_ID)
    eventually(watcher.out, what="the first line")

    os.kill(watcher.pid, signal.SIGINT)

    answer = watcher.answer()
    assert answer.code == 130
    assert f"{RUN_ID} goes on without you" in answer.err
    assert not pair.wish(RUN_ID).stop


def test_who_reads_lines_does_not_wait_for_ever_without_conductord(
    pair: Orchestra, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conductor.cli.watching._NO_DAEMON_PATIENCE_SECONDS", 0.1)

    answer = shell("runs", "wait", RUN_ID)

    assert answer.code == 4
    assert "no conductord runs: start one with `conductord`" in answer.err


# -- what is looked at


class Shown(NoShow):
    """Keeps what it was to draw."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.events: list[Activity] = []

    def draw(self, snapshot: Snapshot, fresh: list[Activity]) -> None:
        self.snapshots.append(snapshot)
        self.events.extend(fresh)


@pytest.fixture
def follower(shell: Shell, pair: Orchestra) -> Iterator[RunFollower]:
    with pair.store() as store:
        yield RunFollower(store, open_home(shell.home), Settings(), RUN_ID)


def test_a_follower_sees_what_others_write_and_each_event_once(follower: RunFollower, pair: Orchestra) -> None:
    before = follower.look()

    pair.step(RUN_ID, "a", StepStatus.COMPLETED)
    after = eventually(lambda: (found := follower.look()) is not before and found.activity and found)

    assert [state.status for state in before.steps] == [StepStatus.IN_PROGRESS, StepStatus.PENDING]
    assert [state.status for state in after.steps] == [StepStatus.COMPLETED, StepStatus.PENDING]
    assert [event.step_id for event in follower.fresh()] == ["a"]
    assert follower.fresh() == []

    pair.step(RUN_ID, "b", StepStatus.COMPLETED)
    eventually(lambda: follower.look().steps[1].status is StepStatus.COMPLETED)

    assert [event.step_id for event in follower.fresh()] == ["b"]


def test_a_follower_asks_for_rows_only_when_somebody_has_written(
    follower: RunFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = follower.look()
    monkeypatch.setattr(follower, "_read", None)

    again = eventually(lambda: (found := follower.look()).at > first.at and found)

    assert again.steps is first.steps


def test_the_state_of_a_task_is_the_queues(
    follower: RunFollower, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conductor.cli.run_follower._DAEMON_CHECK_SECONDS", 3600.0)
    submit(shell.home, "true", f"{RUN_ID}.a.1")

    assert follower.look().tasks[f"{RUN_ID}.a.1"].state == "queued"

    shell.claim()

    eventually(lambda: follower.look().tasks[f"{RUN_ID}.a.1"].state == "works", what="the claim, seen")


def test_without_conductord_following_ends_only_where_nobody_looks_on(
    follower: RunFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conductor.cli.watching._NO_DAEMON_PATIENCE_SECONDS", 0.0)
    shown = Shown()

    with pytest.raises(DaemonNotRunning):
        follow(follower, shown)

    assert not shown.snapshots[0].daemon


# -- a terminal


class Terminal:
    """A real terminal of 80 columns and 24 lines around one command."""

    def __init__(self, shell: Shell, *arguments: str, **variables: str) -> None:
        env = {**shell.env, "TERM": "xterm", "COLUMNS": "80", "LINES": "24", **variables}
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            self._be_conductor(arguments, env)
        os.set_blocking(self._terminal, False)
        self.seen = ""
        self._code: int | None = None

    def _be_conductor(self, arguments: tuple[str, ...], env: dict[str, str]) -> None:
        os.environ.clear()
        os.environ.update(env)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, encoding="utf-8") for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        sys.argv = ["conductor", *arguments]
        code = 99
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            os._exit(code)

    def read(self) -> str:
        try:
            self.seen += os.read(self._terminal, 1 << 16).decode("utf-8", "replace")
        except OSError:
            pass
        return self.seen

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def has_ended(self) -> bool:
        self.read()
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def end(self) -> int:
        eventually(self.has_ended, what="the command's end")
        self.read()
        os.close(self._terminal)
        assert self._code is not None
        return self._code


def test_on_a_terminal_the_graph_is_drawn_over_itself_and_the_table_stays(shell: Shell, pair: Orchestra) -> None:
    terminal = Terminal(shell, "runs", "watch", RUN_ID)
    eventually(lambda: "waits for a" in terminal.read(), what="the graph")
    assert "no conductord runs on this home" in terminal.seen

    pair.step(RUN_ID, "a", StepStatus.COMPLETED)
    eventually(lambda: "✓" in terminal.read(), what="the step's end")
    pair.step(RUN_ID, "b", StepStatus.COMPLETED)
    pair.end(RUN_ID)

    assert terminal.end() == 0
    assert "\x1b[2K" in terminal.seen, "drawn anew"
    assert f"{RUN_ID} completed: 2 of 2 steps" in terminal.seen


@pytest.mark.parametrize(("answer", "approved", "code"), [("y\n", 1, 0), ("n\n", 0, 5)])
def test_on_a_terminal_what_is_asked_is_asked_there_and_then(
    shell: Shell, orchestra: Orchestra, answer: str, approved: int, code: int
) -> None:
    orchestra.add(a_run(), a_state(a_step("a", verify="make test")))
    orchestra.ask(RUN_ID, Asks.COMMANDS, "make test")
    terminal = Terminal(shell, "runs", "watch", RUN_ID)
    eventually(lambda: "Approve this?" in terminal.read(), what="the question")
    assert "verifies a" in terminal.seen

    terminal.type(answer)
    if approved:
        eventually(lambda: orchestra.wish(RUN_ID).approved, what="the approval")
        orchestra.end(RUN_ID)

    assert terminal.end() == code
    assert orchestra.wish(RUN_ID).approved == approved
    assert terminal.seen.count("verifies a") == 1, "it is asked once"
    assert "approved already" not in terminal.seen


def test_ctrl_c_on_a_terminal_leaves_the_run_alone(shell: Shell, pair: Orchestra) -> None:
    terminal = Terminal(shell, "runs", "watch", RUN_ID)
    eventually(lambda: "waits for a" in terminal.read(), what="the graph")

    terminal.type("\x03")

    assert terminal.end() == 130
    assert "goes on without you" in terminal.seen


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_gets_lines(shell: Shell, pair: Orchestra, term: str) -> None:
    pair.end(RUN_ID)

    terminal = Terminal(shell, "runs", "watch", RUN_ID, TERM=term)

    assert terminal.end() == 0
    assert "\x1b" not in terminal.seen


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_left_out_where_they_are_not_wanted(
    shell: Shell, pair: Orchestra, variables: dict[str, str], coloured: bool
) -> None:
    terminal = Terminal(shell, "runs", "watch", RUN_ID, **variables)
    eventually(lambda: "waits for a" in terminal.read(), what="the graph")
    pair.end(RUN_ID)

    assert terminal.end() == 0
    assert ("\x1b[36m" in terminal.seen) is coloured
