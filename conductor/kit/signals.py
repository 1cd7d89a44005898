"""Signals as events in a poll loop: handlers only leave a byte, the loop acts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable


class SignalPipe:
    """`fileno()` becomes readable when one of `numbers` arrives; `take()` tells which did since the last call."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _only_wake)

    def fileno(self) -> int:
        return self._read

    def take(self) -> frozenset[int]:
        try:
            return frozenset(os.read(self._read, 4096))
        except BlockingIOError:
            return frozenset()

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)


def _only_wake(number: int, frame: object) -> None:
    """The wakeup descriptor has the byte already."""


_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def fresh_signals() -> None:
    """Dispositions and mask as Python sets them in a program that inherited nothing odd."""
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not None:
            signal.signal(number, signal.SIG_IGN if number in _IGNORED_BY_PYTHON else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def unignore_signals(also: Iterable[int] = ()) -> None:
    """Before an exec, which resets handlers by itself but keeps what is ignored."""
    for number in (*_IGNORED_BY_PYTHON, *also):
        signal.signal(number, signal.SIG_DFL)
