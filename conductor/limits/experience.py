"""What was learned of each agent: how often it ran and succeeded, and how much memory it took.

`<home>/limits/agents/<agent>.json` holds {runs, successes, version, peaks: the last ones in bytes, latest last}.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from conductor.limits.files import read_as, write_fields
from conductor.ports import Log

KEPT_PEAKS = 20
TRUSTED_PEAKS = 3
_HIGH = 0.9


@dataclass(frozen=True, slots=True)
class Experience:
    runs: int = 0
    successes: int = 0
    version: str = ""
    """Of its program, where it was told: another one's memory says nothing of this one's."""
    peaks: tuple[int, ...] = ()

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Experience:
        return cls(
            runs=int(fields["runs"]),
            successes=int(fields["successes"]),
            version=str(fields.get("version", "")),
            peaks=tuple(int(peak) for peak in fields.get("peaks", ()))[-KEPT_PEAKS:],
        )

    def after(self, *, succeeded: bool, peak_bytes: int | None, version: str = "") -> Experience:
        known = self if not version or version == self.version or not self.version else replace(self, peaks=())
        peaks = (*known.peaks, peak_bytes)[-KEPT_PEAKS:] if peak_bytes else known.peaks
        return Experience(self.runs + 1, self.successes + int(succeeded), version or self.version, peaks)


def needed_bytes(declared: int, peaks: tuple[int, ...]) -> int:
    """What one run is taken to need: nine of ten of its last peaks lie below, and never less than half of what is
    declared. With few peaks what is declared counts too."""
    if not peaks:
        return declared
    high = sorted(peaks)[math.ceil(_HIGH * len(peaks)) - 1]
    return max(high, declared if len(peaks) < TRUSTED_PEAKS else declared // 2)


class Experiences:
    """The experience with every agent of one home. Who adds to it holds the room's lock meanwhile."""

    def __init__(self, home: str, log: Log | None = None) -> None:
        self._folder = f"{home}/limits/agents"
        self._log = log

    def of(self, agent: str) -> Experience:
        return read_as(f"{self._folder}/{agent}.json", Experience.from_fields, self._log) or Experience()

    def keep(self, agent: str, experience: Experience) -> None:
        write_fields(f"{self._folder}/{agent}.json", asdict(experience))
