"""A clock that stands still until it is moved: hours are tested in milliseconds."""

from __future__ import annotations


class ManualClock:
    """Call it for the time, in seconds since 1970."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    @property
    def now_ms(self) -> int:
        return int(self.now * 1000)
