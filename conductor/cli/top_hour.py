"""What ended within the last hour, minute by minute: results.txt read from its end, and then only what is new."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from conductor.domain.errors import BadTask
from conductor.domain.lines import ResultLine, format_timestamp, parse_result
from conductor.kit.segments import Follower, end_of

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
    """Follows one results.txt, over its rotations too."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        """`clock`: seconds since 1970."""
        self._path = path
        self._clock = clock
        self._follower: Follower | None = None
        self._is_cut = False
        """What is read next may begin in the middle of a line."""
        self._known_from: str | None = ""
        """Minutes behind it are known whole; empty: all are; None: the next line tells."""
        self._minutes: dict[str, Minute] = {}
        self._recent: deque[bytes] = deque(maxlen=_RECENT)
        self._failures: deque[bytes] = deque(maxlen=_RECENT)

    def look(self) -> Hour:
        self._follow()
        now = self._clock()
        known_from = _minute_name(now) if self._known_from is None else self._known_from
        names = [_minute_name(now - 60 * back) for back in reversed(range(MINUTES))]
        self._minutes = {name: self._minutes[name] for name in names if name in self._minutes}
        minutes = (self._minutes.get(name, Minute()) if name > known_from else None for name in names)
        return Hour(tuple(minutes), tuple(_parsed(self._recent)), tuple(_parsed(self._failures)))

    def close(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    # -- inside

    def _follow(self) -> None:
        end = end_of(self._path)
        if self._follower is None or end - self._follower.position > _READ_BACK_BYTES:
            self.close()
            self._follower = Follower(self._path, max(0, end - _READ_BACK_BYTES))
            self._is_cut = self._follower.position > 0
            self._known_from = None if self._is_cut else ""
            self._minutes.clear()
        while lines := self._follower.read():
            for line in lines.split(b"\n")[:-1]:
                if not self._is_cut:
                    self._count(line)
                self._is_cut = False

    def _count(self, line: bytes) -> None:
        fields = line.split(b"|", 4)
        if len(fields) != 5:
            return
        status, name = fields[2], fields[3][:_MINUTE].decode("ascii", "replace")
        if self._known_from is None:
            self._known_from = name
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
