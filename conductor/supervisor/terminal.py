"""Single keys on the daemon's terminal: `s` status, `q` drain and quit. Ctrl+C comes as a signal."""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from contextlib import suppress


class Terminal:
    """Puts standard input, a terminal of which we are the foreground, into cbreak mode until `close`."""

    def __init__(self) -> None:
        self._descriptor = sys.stdin.fileno()
        for number in (signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)  # put into the background later, a read fails instead of stopping us
        self.is_gone = False
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        os.set_blocking(self._descriptor, False)

    def fileno(self) -> int:
        return self._descriptor

    def take(self) -> str:
        """The keys pressed since the last call."""
        try:
            keys = os.read(self._descriptor, 64)
        except BlockingIOError:
            return ""
        except OSError:
            keys = b""
        self.is_gone = not keys
        return keys.decode("ascii", "ignore")

    def close(self) -> None:
        with suppress(OSError, termios.error):
            os.set_blocking(self._descriptor, True)
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)


def is_at_hand() -> bool:
    """Whether standard input is a terminal, and its keys are meant for us: not for a shell that has us behind `&`."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
