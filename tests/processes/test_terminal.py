"""conductord on a terminal: keys, Ctrl+C, and what a job-control shell may do to it."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from conductor.app import ask_daemon
from conductor.domain.errors import DaemonNotRunning
from conductor.domain.home import Home
from conductor.domain.task import Tries
from conductor.domain.view import Queued
from conductor.kit.process import send_signal, stat_fields
from tests.support import (
    PATIENCE,
    Gate,
    check_nothing_left,
    clean_environment,
    eventually,
    named_processes,
    processes_of,
    result_lines,
    said,
    statuses,
    stays,
    submit,
    unfinished,
    wait_for_end,
    write_settings,
)

_CONDUCTORD = [sys.executable, "-m", "conductor.cli.daemon"]


class TerminalSession:
    """A program as the leader of a session with a terminal of its own; `keyboard` is our end of it."""

    def __init__(self, home: Home, command: list[str]) -> None:
        self._home = home
        self.screen = b""
        self.pid, self.keyboard = pty.fork()
        if self.pid == 0:  # nothing but exec from here on
            os.execve(command[0], command, clean_environment(home, TERM="xterm"))
        os.set_blocking(self.keyboard, False)

    def press(self, keys: bytes) -> None:
        os.write(self.keyboard, keys)

    def read(self) -> bytes:
        """All that was ever shown."""
        with suppress(BlockingIOError, OSError):
            while piece := os.read(self.keyboard, 65536):
                self.screen += piece
        return self.screen

    def wait_for_text(self, text: bytes) -> None:
        eventually(lambda: text in self.read(), what=f"{text!r} on the screen")

    def wait_until_settled(self) -> None:
        def settled() -> bool:
            self.read()
            try:
                slots = ask_daemon(self._home, {"verb": "status"})["slots"]
            except DaemonNotRunning:
                return False
            return all(slot["state"] in ("idle", "busy") for slot in slots)

        eventually(settled, what="every slot idle or busy")

    def wait(self) -> int:
        """The exit code; the screen is read meanwhile, so that nobody waits for room on it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            select.select([self.keyboard], [], [], 0.01)
        pytest.fail(f"it did not end; the screen:\n{self.read().decode(errors='replace')}")

    def close(self) -> None:
        if self.pid:
            for number in (15, 18, 15):
                send_signal(self.pid, number)
            send_signal(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.keyboard)


class Sessions:
    def __init__(self, home: Home) -> None:
        self._home = home
        self.opened: list[TerminalSession] = []

    def __call__(self, *command: str) -> TerminalSession:
        self.opened.append(TerminalSession(self._home, list(command) or _CONDUCTORD))
        return self.opened[-1]


@pytest.fixture
def sessions(home: Home) -> Iterator[Sessions]:
    """Makes terminals: `sessions()` runs conductord on one, `sessions("/bin/sh", ...)` something else."""
    Path(home.path).mkdir(mode=0o700)
    write_settings(home, workers=2, stop_timeout="5m", grace="5m")
    made = Sessions(home)
    try:
        yield made
    finally:
        for one in made.opened:
            one.close()
        check_nothing_left([home])


def test_s_shows_the_status(sessions: Sessions, home: Home, tmp_path: Path) -> None:
    # given a running task
    gate = Gate(tmp_path)
    terminal = sessions()
    terminal.wait_until_settled()
    task = submit(home, gate.command)
    gate.wait_for()

    # when
    terminal.press(b"s")

    # then
    terminal.wait_for_text(f"{task} (attempt 1)".encode())
    terminal.wait_for_text(b"idle")

    # and the rest is as it was
    gate.open()
    assert wait_for_end(home, task).status.value == "SUCCESS"
    terminal.press(b"q")
    assert terminal.wait() == 0


def test_q_drains_and_quits(sessions: Sessions, home: Home, tmp_path: Path) -> None:
    # given a running task and a waiting one
    gate = Gate(tmp_path)
    terminal = sessions()
    terminal.wait_until_settled()
    running = [submit(home, gate.command), submit(home, gate.command)]
    gate.wait_for()
    eventually(lambda: len(gate.attempts()) == 2)
    waiting = submit(home, "true")

    # when
    terminal.press(b"q")
    terminal.wait_for_text(b"draining")
    gate.open()

    # then
    assert terminal.wait() == 0
    assert [statuses(home, task) for task in (*running, waiting)] == [["SUCCESS"], ["SUCCESS"], []]


def test_ctrl_c_ends_the_daemon_and_gives_running_tasks_back(sessions: Sessions, home: Home, tmp_path: Path) -> None:
    # given a task that ignores what a terminal can send
    gate = Gate(tmp_path)
    terminal = sessions()
    terminal.wait_until_settled()
    task = submit(home, f"trap '' INT QUIT TERM HUP; {gate.command}")
    gate.wait_for()

    # when
    terminal.press(b"\x03")

    # then
    assert terminal.wait() == 0
    assert result_lines(home) == []
    view = unfinished(home)[task]
    assert isinstance(view, Queued)
    assert view.tries == Tries(started=1, refunded=1)


def test_nothing_but_the_daemon_is_in_the_terminal_s_foreground(sessions: Sessions, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    terminal = sessions()
    terminal.wait_until_settled()
    submit(home, gate.command)
    gate.wait_for()

    # when one looks at process groups, sessions and controlling terminals
    foreground = os.tcgetpgrp(terminal.keyboard)
    found = {pid: fields for pid in processes_of(home) if (fields := stat_fields(pid))}

    # then Ctrl+C can reach nobody else
    assert foreground == terminal.pid
    others = [fields for pid, fields in found.items() if pid != terminal.pid]
    assert len(others) >= 4  # a nursery, two workers, an agent
    assert all(int(fields[2]) != foreground for fields in others)
    assert all(int(fields[3]) != terminal.pid for fields in others)
    assert {int(fields[4]) for fields in others} == {0}
    gate.open()


def test_a_task_inherits_nothing_of_how_the_daemon_treats_its_terminal(sessions: Sessions, home: Home) -> None:
    # given
    terminal = sessions()
    terminal.wait_until_settled()

    # when
    task = submit(home, "grep SigIgn /proc/self/status; tty || ls /dev/tty >/dev/null; exec 3</dev/tty")

    # then no signal is ignored, and there is no terminal
    assert wait_for_end(home, task).status.value == "FAILED"
    assert said(home, task).splitlines()[:2] == ["SigIgn:\t" + "0" * 16, "not a tty"]
    terminal.press(b"q")
    assert terminal.wait() == 0


def test_the_terminal_is_as_before_when_the_daemon_has_ended(sessions: Sessions) -> None:
    # given a shell that starts the daemon on its terminal
    command = " ".join(_CONDUCTORD)
    shell = sessions("/bin/sh", "-c", f"{command}; echo it ended with $?; read line; echo got $line")
    before = termios.tcgetattr(shell.keyboard)
    shell.wait_until_settled()
    assert not termios.tcgetattr(shell.keyboard)[3] & termios.ICANON

    # when
    shell.press(b"q")
    shell.wait_for_text(b"it ended with 0")

    # then lines are read as lines again
    assert termios.tcgetattr(shell.keyboard) == before
    shell.press(b"hello\n")
    shell.wait_for_text(b"got hello")


def test_a_daemon_in_the_background_of_a_shell_leaves_the_terminal_alone(sessions: Sessions, home: Home) -> None:
    # given a shell with job control
    command = " ".join(_CONDUCTORD)
    shell = sessions("/bin/sh", "-c", f"set -m; {command} & read line; kill -INT %1; wait %1; echo it ended with $?")

    # when the daemon runs in the background, with the terminal as its standard input
    shell.wait_until_settled()

    # then it works, and the shell's keys stay the shell's
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"
    assert termios.tcgetattr(shell.keyboard)[3] & termios.ICANON
    shell.press(b"q\n")
    shell.wait_for_text(b"it ended with 0")


def test_a_screen_that_nobody_reads_does_not_break_it(sessions: Sessions, home: Home) -> None:
    # given a terminal whose screen is full
    terminal = sessions()
    terminal.wait_until_settled()

    # when it is asked for far more than a terminal holds, and nothing of it is taken away
    for _ in range(400):
        terminal.press(b"s")
        assert ask_daemon(home, {"verb": "status"})["mode"] == "running"

    # then it works on, and once somebody reads again there is something to be read
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"
    eventually(lambda: terminal.read().count(b"slot 1") > 10)
    shown = terminal.read().count(b"slot 1")
    assert shown < 400
    terminal.press(b"s")
    eventually(lambda: terminal.read().count(b"slot 1") > shown)
    terminal.press(b"q")
    assert terminal.wait() == 0


def test_a_terminal_that_goes_away_ends_nothing_but_the_keys(sessions: Sessions, home: Home, tmp_path: Path) -> None:
    # given a running task
    gate = Gate(tmp_path)
    terminal = sessions()
    terminal.wait_until_settled()
    task = submit(home, gate.command)
    gate.wait_for()

    # when the window is closed
    os.close(terminal.keyboard)
    terminal.keyboard = os.open("/dev/null", os.O_RDWR)
    gate.open()

    # then the task is not lost, and the daemon neither died nor asks the terminal again and again
    assert wait_for_end(home, task).status.value == "SUCCESS"
    before = _processor_ticks(terminal.pid)
    assert stays(lambda: bool(named_processes(home, "conductor-nurse")), for_seconds=1.0)
    assert _processor_ticks(terminal.pid) - before < os.sysconf("SC_CLK_TCK") // 4
    assert ask_daemon(home, {"verb": "stop"})["ok"]
    assert terminal.wait() == 0


def _processor_ticks(pid: int) -> int:
    """Processor time that it has used, in its own and in the kernel's code."""
    fields = stat_fields(pid)
    assert fields is not None
    return int(fields[11]) + int(fields[12])
