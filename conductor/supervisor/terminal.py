"""Single keys on the daemon's terminal: `s` status, `q` drain and quit. Ctrl+C comes as a signal."""

from __future__ import annotations

import os
import sys
import termios
import tty


class Terminal:
    """Puts standard input into cbreak mode until `close`."""

    def __init__(self) -> None:
        self._descriptor = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        os.set_blocking(self._descriptor, False)

    def fileno(self) -> int:
        return self._descriptor

    def take(self) -> str:
        """The keys pressed since the last call."""
        try:
            return os.read(self._descriptor, 64).decode("ascii", "ignore")
        except (BlockingIOError, OSError):
            return ""

    def close(self) -> None:
        os.set_blocking(self._descriptor, True)
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
