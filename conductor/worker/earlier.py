"""What the attempts before this one used of the task's budget."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from conductor.domain.task import Claim
from conductor.domain.usage import Usage
from conductor.kit.durable import read_bytes

_LARGEST_RECORD = 4_194_304
_LARGEST_COUNT = 10**15


@dataclass(frozen=True, slots=True)
class Used:
    """Of one task. `usd` None: nobody knows."""

    usage: Usage = Usage()
    usd: float | None = None

    def __add__(self, other: Used) -> Used:
        known = [usd for usd in (self.usd, other.usd) if usd is not None]
        return Used(self.usage + other.usage, sum(known) if known else None)


NOTHING = Used()


def read_used(claim: Claim) -> Used:
    """What the attempts since the task was submitted, or since the last `conductor retry`, used by their result.json;
    one that left nothing readable used nothing.

    That a task was retried by hand is seen in its records: it goes on after one that had ended it for good, or more
    attempts count for nothing than could have been refunded since.
    """
    used, refunded, later = NOTHING, claim.tries.refunded, claim.attempt
    for number in range(claim.attempt - 1, 0, -1):
        record = _read(f"{os.path.dirname(claim.directory)}/{number}/result.json")
        following = _mapping(record.get("next"))
        refunded_then = _refunded(following.get("tries"))
        if following.get("state") == "dead":
            break
        if refunded_then is not None:
            if refunded - refunded_then > later - 1 - number:
                break
            refunded, later = refunded_then - (record.get("outcome") == "limited"), number
        used += Used(_usage(_mapping(record.get("usage"))), _usd(record.get("usd")))
    return used


def _read(path: str) -> dict[str, Any]:
    try:
        return _mapping(json.loads(read_bytes(path, _LARGEST_RECORD)))
    except (OSError, ValueError, RecursionError):
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _refunded(counters: object) -> int | None:
    """Of counters as records have them: `a3r1l0`."""
    match = re.fullmatch(r"a\d{1,9}r(\d{1,9})l\d{1,9}", counters) if isinstance(counters, str) else None
    return int(match[1]) if match else None


def _usage(told: dict[str, Any]) -> Usage:
    names = ("input", "cached", "cache_written", "output", "reasoning")
    return Usage(*(_count(told.get(name)) for name in names))


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value < _LARGEST_COUNT else 0


def _usd(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LARGEST_COUNT:
        return None
    return float(value)
