"""Long waits say how far they are to whoever looks on, and `status --watch` goes anywhere."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from conductor.cli.progress import Progress
from conductor.cli.status_watch import redrawn
from conductor.domain.home import Home
from conductor.testing.clock import ManualClock
from tests.cli.front import Shell
from tests.cli.terminals import Terminal
from tests.conftest import DaemonFactory
from tests.support import Gate, eventually, submit

CONDUCTOR = [sys.executable, "-m", "conductor"]


class Stream(io.StringIO):
    def __init__(self, *, is_terminal: bool = True) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture
def terminal(home: Home) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*arguments: str, **env: str) -> Terminal:
        opened.append(Terminal(home, [*CONDUCTOR, *arguments], **env))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


# -- the line


def told(stream: Stream, seconds: int) -> str:
    """What stands there when something took so long, asked ten times a second."""
    clock = ManualClock(0.0)
    with Progress(stream, clock) as progress:
        for _ in range(seconds * 10):
            clock.advance(0.1)
            progress.tell("half of it")
    return stream.getvalue()


@pytest.mark.usefixtures("xterm")
def test_a_line_is_written_over_itself_once_a_second_and_is_gone_at_the_end() -> None:
    said = told(Stream(), 5)

    assert said.count("half of it") in (4, 5)
    assert "half of it, 3s" in said
    assert "\n" not in said
    assert said.endswith("\r\x1b[K")


@pytest.mark.usefixtures("xterm")
def test_what_is_over_soon_says_nothing() -> None:
    clock, stream = ManualClock(0.0), Stream()
    with Progress(stream, clock) as progress:
        clock.advance(0.5)
        progress.tell("half of it")

    assert stream.getvalue() == ""


@pytest.mark.usefixtures("xterm")
def test_where_nobody_looks_nothing_is_said_or_asked() -> None:
    stream = Stream(is_terminal=False)
    clock = ManualClock(0.0)
    with Progress(stream, clock) as progress:
        clock.advance(100)
        progress.tell(lambda: pytest.fail("it was asked"))

    assert stream.getvalue() == ""


def test_a_dumb_terminal_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    said = told(Stream(), 100)

    assert said.count("conductor: half of it") == said.count("\n") == 3
    assert "\x1b" not in said
    assert "\r" not in said


@pytest.mark.usefixtures("xterm")
def test_a_long_line_and_a_strangers_escape_sequences_do_not_spoil_the_terminal() -> None:
    clock, stream = ManualClock(0.0), Stream()
    with Progress(stream, clock) as progress:
        clock.advance(2)
        progress.tell("\x1b[2J" + "x" * 500)

    assert "\x1b[2J" not in stream.getvalue()
    assert len(stream.getvalue()) < 300


@pytest.fixture
def xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


# -- commands that wait


def test_wait_tells_how_far_it_is(
    shell: Shell, daemon: DaemonFactory, terminal: Callable[..., Terminal], tmp_path: os.PathLike[str]
) -> None:
    daemon(workers=1)
    gate = Gate(tmp_path)  # type: ignore[arg-type]
    first = submit(shell.home, gate.command)
    gate.wait_for()
    second = submit(shell.home, "true")

    waiting = terminal("wait", first, second)

    waiting.shows("0 of 2 tasks have ended (")
    waiting.shows("1 running")
    gate.open()
    assert waiting.code() == 0
    assert waiting.raw.endswith("\r\x1b[K")


def test_drain_with_wait_returns_when_the_next_conductord_may_start(
    shell: Shell, daemon: DaemonFactory, terminal: Callable[..., Terminal], tmp_path: os.PathLike[str]
) -> None:
    conductord = daemon(workers=1)
    gate = Gate(tmp_path)  # type: ignore[arg-type]
    submit(shell.home, gate.command)
    gate.wait_for()

    draining = terminal("drain", "--wait")

    draining.shows("draining: 1 task to end yet")
    gate.open()
    assert conductord.wait() == 0
    assert draining.code() == 0


def test_stop_with_wait_returns_when_it_has_stopped(shell: Shell, daemon: DaemonFactory) -> None:
    conductord = daemon(workers=1)

    answer = shell.start("stop", "--wait")

    assert conductord.wait() == 0
    assert answer.answer().code == 0


# -- status --watch


def test_a_watched_status_is_appended_for_those_who_read_a_pipe(shell: Shell) -> None:
    submit(shell.home, "true", "t-1", ring=False)

    human, machine = shell.start("status", "--watch"), shell.start("status", "--watch", "1", "--json")

    eventually(lambda: human.out().count("ready 1") >= 2, what="two pages")
    eventually(lambda: machine.out().count("\n") >= 2, what="two lines")
    assert "\x1b" not in human.out()
    for line in machine.out().splitlines()[:2]:
        assert json.loads(line)["queue"]["ready"] == 1
    for one in (human, machine):
        os.kill(one.pid, signal.SIGINT)
        assert one.answer().code == 130


def test_a_watched_status_is_drawn_over_itself_on_a_terminal(home: Home, terminal: Callable[..., Terminal]) -> None:
    submit(home, "true", "t-1", ring=False)
    watching = terminal("status", "--watch", "1s")

    watching.shows("ready 1")
    submit(home, "true", "t-2", ring=False)
    watching.shows("ready 2")
    assert watching.raw.count("\x1b[H") >= 2
    watching.type("\x03")
    assert watching.code() == 130


def test_a_dumb_terminal_gets_plain_lines(home: Home, terminal: Callable[..., Terminal]) -> None:
    submit(home, "true", "t-1", ring=False)
    watching = terminal("status", "--watch", "1s", TERM="dumb")

    eventually(lambda: watching.read().count("ready 1") >= 2, what="two pages")

    assert "\x1b" not in watching.raw


def test_a_page_that_is_longer_than_the_screen_ends_with_how_much_more_there_is() -> None:
    page = redrawn("\n".join(f"line {number}" for number in range(50)), 24)

    assert page.count("\n") == 23
    assert "line 21" in page
    assert "line 22" not in page
    assert "and 28 more lines" in page
    assert "more lines" not in redrawn("one\ntwo\n", 24)
