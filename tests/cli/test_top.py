"""`conductor top` in a real terminal: what it shows and does, and how it leaves the terminal, whatever ends it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from conductor.domain.home import Home
from conductor.domain.outcome import Outcome
from tests.cli.front import Shell
from tests.cli.terminals import Terminal
from tests.conftest import DaemonFactory
from tests.support import eventually, final_line, queue_of, said, submit

Open = Callable[..., Terminal]
TOP = [sys.executable, "-m", "conductor", "top"]


@pytest.fixture
def terminal(home: Home) -> Iterator[Open]:
    opened: list[Terminal] = []

    def open_one(command: list[str] | None = None, **facts: object) -> Terminal:
        opened.append(Terminal(home, command or TOP, **facts))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_without_a_terminal_it_says_what_to_use_instead(shell: Shell) -> None:
    answer = shell("top", TERM="xterm")

    assert (answer.code, answer.out) == (2, "")
    assert "conductor status --watch" in answer.err


def test_a_dumb_terminal_gets_no_escape_sequence(terminal: Open) -> None:
    screen = terminal(TERM="dumb")

    assert screen.code() == 2
    assert "status --watch" in screen.text()
    assert "\x1b" not in screen.raw


def test_it_works_without_conductord_and_q_leaves_the_terminal_as_it_was(home: Home, terminal: Open) -> None:
    submit(home, "echo hello", "t-waits", ring=False)
    screen = terminal()

    screen.shows("no conductord runs on")
    screen.shows("t-waits")
    screen.shows("q quit")
    assert not screen.is_as_before
    screen.type("q")

    assert screen.code() == 0
    assert screen.is_as_before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(terminal: Open, number: int) -> None:
    screen = terminal()
    screen.shows("q quit")

    screen.send(number)

    assert screen.code() == 128 + number
    assert screen.is_as_before


def test_an_interrupt_quits(terminal: Open) -> None:
    screen = terminal()
    screen.shows("q quit")

    screen.type("\x03")

    assert screen.code() == 0
    assert screen.is_as_before


def test_a_fault_of_its_own_leaves_the_terminal_as_it_was(terminal: Open) -> None:
    code = (
        "import sys, conductor.cli.top as top\n"
        "def broken(*_): raise ZeroDivisionError('on purpose')\n"
        "top.press = broken\n"
        "sys.argv = ['conductor', 'top']\n"
        "from conductor.cli.main import main; main()"
    )
    screen = terminal([sys.executable, "-P", "-c", code])
    screen.shows("q quit")

    screen.type("x")

    assert screen.code() == 1
    assert "on purpose" in screen.text()
    assert screen.raw.rfind("on purpose") > screen.raw.rfind("\x1b[?1049l"), "it is told on the first page"
    assert screen.is_as_before


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(terminal: Open) -> None:
    """In a shell with job control: elsewhere nothing is stopped."""
    shell = terminal(["/bin/sh", "-im"])
    shell.type(f"exec 2>&1; {' '.join(TOP)}\n")
    shell.shows("q quit")
    assert not shell.is_as_before

    shell.type("\x1a")
    eventually(lambda: shell.is_as_before, what="the terminal given back")
    shell.type("echo back$((1 + 1))\n")
    shell.shows("back2")
    shell.forget()
    shell.type("fg\n")

    shell.shows("q quit")
    assert "\x1b[?1049h" in shell.raw
    shell.type("q")
    eventually(lambda: shell.is_as_before, what="the terminal given back")
    shell.type("exit 7\n")
    assert shell.code() == 7


def test_a_resized_terminal_is_drawn_anew_as_wide_as_it_is(terminal: Open) -> None:
    screen = terminal()
    screen.shows("no conductord runs on")
    screen.forget()

    screen.resize(40, 12)

    eventually(lambda: "\x1b[2J" in screen.read(), what="the new picture")
    assert "\x1b[13;1H" not in screen.raw, "nothing below the last line"


def test_a_full_line_keeps_its_last_character(home: Home, terminal: Open) -> None:
    screen = terminal(size=(30, 12))
    screen.shows("no conductord runs on")

    title = f"no conductord runs on {home.path}"[:29] + "…"
    assert f"{title}\x1b[0m" in screen.raw
    assert f"{title}\x1b[0m\x1b[K" not in screen.raw, "what clears to the right begins with the last column"


def test_no_color_is_without_colours_and_plain_terminals_get_ascii(home: Home, terminal: Open) -> None:
    submit(home, "true", "t-waits", ring=False)
    screen = terminal(NO_COLOR="1", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="POSIX", PYTHONCOERCECLOCALE="0")
    screen.shows("q quit")

    assert screen.raw.isascii()
    assert not any(f"\x1b[{code}m" in screen.raw for code in (31, 32, 33, 36))


def test_it_steers_the_daemon(shell: Shell, daemon: DaemonFactory, terminal: Open) -> None:
    daemon(workers=1)
    task_id = shell.ok("submit", "echo one; echo two; exec sleep 600").ids[0]
    eventually(lambda: said(shell.home, task_id) == "one\ntwo\n", what="the task running")
    submit(shell.home, "true", "t-next")
    screen = terminal(size=(110, 30))

    screen.shows("1 of 1 workers busy")
    screen.shows(task_id)
    screen.shows("two")
    screen.shows("t-next")

    # the log
    screen.forget()
    screen.type("l")
    screen.shows(f"log of {task_id}, attempt 1")
    screen.shows("following")
    screen.type("q")

    # pause and resume
    screen.type("p")
    eventually(lambda: queue_of(shell.home).paused(), what="the pause")
    screen.shows("PAUSED")
    screen.type("p")
    eventually(lambda: not queue_of(shell.home).paused(), what="the end of the pause")

    # cancel
    screen.type("c")
    screen.shows(f"Cancel {task_id} for good")
    screen.type("y")
    eventually(lambda: final_line(shell.home, task_id), what="the end of the task")
    line = final_line(shell.home, task_id)
    assert line is not None
    assert line.status.value == "CANCELLED"
    screen.type("q")
    assert screen.code() == 0


def test_a_failed_task_is_tried_again_from_the_list(shell: Shell, terminal: Open) -> None:
    submit(shell.home, "true", "t-bad", ring=False)
    shell.run_next(Outcome.FAILED)
    screen = terminal()
    screen.shows("t-bad")

    screen.type("r")

    screen.shows("t-bad is queued again; no conductord runs on this home")
    assert shell.task("t-bad")["state"] == "ready"
    screen.type("r")
    screen.shows("has not ended")
