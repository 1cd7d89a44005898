"""How a long wait goes on: one line on standard error, written over itself. Nothing where nobody looks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from conductor.cli.wording import one_line, roughly

_GRACE_SECONDS = 1.0
"""What is over by then was no long wait."""
_EVERY_SECONDS = 1.0
_LINE_EVERY_SECONDS = 30.0
_ANEW, _CLEAR = "\r", "\x1b[K"


class Progress:
    """Used as a context: its line is gone at the end. On a terminal that can't write over a line, a new line now and
    then."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._begun = clock()
        self._is_seen = self._stream.isatty()
        self._redraws = os.environ.get("TERM", "") not in ("", "dumb")
        self._next = self._begun + (_GRACE_SECONDS if self._redraws else _LINE_EVERY_SECONDS)
        self._is_drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    def tell(self, what: str | Callable[[], str]) -> None:
        """Called as often as one likes: it is shown once a second. `what` may be a question that costs something."""
        now = self._clock()
        if not self._is_seen or now < self._next:
            return
        text = f"{what if isinstance(what, str) else what()}, {roughly(now - self._begun)}"
        if self._redraws:
            self._write(f"{_ANEW}{_fitting(text)}{_CLEAR}")
            self._is_drawn = True
        else:
            self._write(f"conductor: {_fitting(text)}\n")
        self._next = now + (_EVERY_SECONDS if self._redraws else _LINE_EVERY_SECONDS)

    def clear(self) -> None:
        """Before something else is said there."""
        if self._is_drawn:
            self._is_drawn = False
            self._write(_ANEW + _CLEAR)

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def _fitting(text: str) -> str:
    """What one line of the terminal holds: a longer one could not be written over."""
    from conductor.cli.cells import cut_to

    try:
        width = os.get_terminal_size(2).columns
    except OSError:
        width = 80
    return cut_to(one_line(text), max(20, width - 14))
