"""A real terminal (pty) with a command in it: what it shows, what is typed, whether it is left as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios

from conductor.domain.home import Home
from tests.support import clean_environment, eventually

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")


class Terminal:
    """Ended with `close`."""

    def __init__(self, home: Home, command: list[str], *, size: tuple[int, int] = (80, 24), **env: str) -> None:
        self._master, slave = pty.openpty()
        self._slave = slave
        self.resize(*size)
        self.before = termios.tcgetattr(slave)
        self.raw = ""
        environment = clean_environment(home, **{"TERM": "xterm-256color", **env})
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for number in range(3):
                os.dup2(slave, number)
            os.closerange(3, 256)
            os.execve(command[0], command, environment)
        self._status: int | None = None

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def read(self) -> str:
        """All that was written so far."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                self.raw += os.read(self._master, 65536).decode("utf-8", "replace")
            except OSError:
                break
        return self.raw

    def text(self) -> str:
        return _ESCAPES.sub(" ", self.read())

    def forget(self) -> None:
        """From now on only what is written later counts."""
        self.read()
        self.raw = ""

    def shows(self, text: str) -> None:
        eventually(lambda: text in self.text(), what=f"{text!r} on the terminal")

    @property
    def is_as_before(self) -> bool:
        """Modes of the line discipline as before; the last that was switched were the first page and the cursor."""
        self.read()
        is_back = self.raw.rfind("\x1b[?1049l") > self.raw.rfind("\x1b[?1049h")
        has_cursor = self.raw.rfind("\x1b[?25h") > self.raw.rfind("\x1b[?25l")
        return is_back and has_cursor and termios.tcgetattr(self._slave) == self.before

    def code(self) -> int:
        """The exit code, once it has ended; minus the signal that killed it."""

        def ended() -> bool:
            self.read()  # a full terminal holds it up
            if self._status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._status = status if pid else None
            return self._status is not None

        eventually(ended, what="the end of the command")
        assert self._status is not None
        return os.waitstatus_to_exitcode(self._status)

    def close(self) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.code()
        os.close(self._slave)
        os.close(self._master)
