"""What ended within the last hour, minute by minute: results.txt read from its end, and then only what is new."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from conductor.domain.errors import BadTask
from conductor.domain.lines import ResultLine, format_timestamp, parse_result

MINUTES = 60
_READ_BACK_BYTES = 2 << 20
"""At the start, and after a long pause: more of it would take longer than a look may."""
_RECENT = 100
_MINUTE = len("2026-01-01T00:00")
_BAD = frozenset({b"FAILED", b"TIMEOUT", b"BUDGET"})


@dataclass(frozen=True, slots=True)
class Minute:
    """How many attempts ended within one minute. `ended`: for good, those that failed among them."""

    ended: int = 0
    failed: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class Hour:
    """`minutes`: the last sixty, the present one last; None: before what was read."""

    minutes: tuple[Minute | None, ...] = (None,) * MINUTES
    recent: tuple[ResultLine, ...] = ()
    """The last that ended, latest first."""
    failures: tuple[ResultLine, ...] = ()

    @property
    def total(self) -> Minute:
        known = [minute for minute in self.minutes if minute is not None]
        return Minute(*(sum(getattr(minute, name) for minute in known) for name in ("ended", "failed", "retried")))

    @property
    def is_whole(self) -> bool:
        return all(minute is not None for minute in self.minutes)


class HourWatch:
    """Follows one results.txt, over its rotation too. The file is held open: what was appended to it before it was
    renamed is still read."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        """`clock`: seconds since 1970."""
        self._path = path
        self._clock = clock
        self._descriptor = -1
        self._position = 0
        self._known_from = ""
        """The first minute that is known whole; empty: all are."""
        self._minutes: dict[str, Minute] = {}
        self._recent: deque[bytes] = deque(maxlen=_RECENT)
        self._failures: deque[bytes] = deque(maxlen=_RECENT)

    def look(self) -> Hour:
        self._follow()
        now = self._clock()
        names = [_minute_name(now - 60 * back) for back in reversed(range(MINUTES))]
        self._minutes = {name: self._minutes[name] for name in names if name in self._minutes}
        minutes = (self._minutes.get(name, Minute()) if name >= self._known_from else None for name in names)
        return Hour(tuple(minutes), tuple(_parsed(self._recent)), tuple(_parsed(self._failures)))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # -- inside

    def _follow(self) -> None:
        if self._descriptor >= 0:
            self._take()
        with suppress(FileNotFoundError):
            there = os.stat(self._path)
            held = os.fstat(self._descriptor) if self._descriptor >= 0 else None
            if held is not None and (held.st_ino, held.st_dev) == (there.st_ino, there.st_dev):
                return
            self.close()
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._position = 0
            self._take()

    def _take(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size < self._position:  # a torn last line was cut off, or it was emptied
            self._position = size
        if size - self._position > _READ_BACK_BYTES:
            self._skip_to(size - _READ_BACK_BYTES)
        fresh = os.pread(self._descriptor, size - self._position, self._position)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.split(b"\n")[:-1]:
            self._count(line)

    def _skip_to(self, position: int) -> None:
        """Behind the first line end from there on; minutes up to that line's are not known any more."""
        after = os.pread(self._descriptor, 65536, position)
        self._position = position + after.find(b"\n") + 1
        line = after[after.find(b"\n") + 1 :].partition(b"\n")[0].split(b"|", 4)
        begins = line[3][:_MINUTE].decode("ascii", "replace") if len(line) == 5 else ""
        self._known_from = begins + ":" if begins else _minute_name(self._clock())  # `:` comes behind that very minute
        self._minutes.clear()

    def _count(self, line: bytes) -> None:
        fields = line.split(b"|", 4)
        if len(fields) != 5:
            return
        status, name = fields[2], fields[3][:_MINUTE].decode("ascii", "replace")
        before = self._minutes.get(name) or Minute()
        if status == b"RETRY":
            self._minutes[name] = Minute(before.ended, before.failed, before.retried + 1)
            return
        is_bad = status in _BAD
        self._minutes[name] = Minute(before.ended + 1, before.failed + is_bad, before.retried)
        self._recent.append(line)
        if is_bad:
            self._failures.append(line)


def _minute_name(at: float) -> str:
    return format_timestamp(at)[:_MINUTE]


def _parsed(lines: Iterable[bytes]) -> Iterable[ResultLine]:
    """Latest first."""
    for line in reversed(list(lines)):
        with suppress(BadTask):
            yield parse_result(line.decode("utf-8", "replace"))
