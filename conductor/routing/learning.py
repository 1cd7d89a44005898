"""What results teach: how often each model did well in a category, how long it took, and when it failed lately.

Kept as one document: {version, models: {`agent:model`: {category: {succeeded, failed, seconds, tokens, failures}}}}.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from conductor.domain.plan import CATEGORIES

DOCUMENT_VERSION = 1
RECENT_SECONDS = 86_400.0
MOST_FAILURES = 10
"""Kept for each model and category, the latest ones: a failure more takes nothing more away."""
MOST_MODELS = 500
"""A plan may name any model: what is kept does not grow with that."""
_CLOCK_STEP_SECONDS = 3600.0
"""A failure further in the future than this was written under a wrong clock."""


@dataclass(frozen=True, slots=True)
class Record:
    """Of one model in one category."""

    succeeded: int = 0
    failed: int = 0
    seconds: float = 0.0
    """Of those that succeeded, in all."""
    tokens: int = 0
    """Of all."""
    failures: tuple[float, ...] = ()
    """When the latest ones were, seconds since 1970."""

    def __add__(self, other: Record) -> Record:
        return Record(
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.seconds + other.seconds,
            self.tokens + other.tokens,
            tuple(sorted((*self.failures, *other.failures)))[-MOST_FAILURES:],
        )

    @property
    def tasks(self) -> int:
        return self.succeeded + self.failed

    def recent_failures(self, now: float) -> int:
        return sum(-_CLOCK_STEP_SECONDS <= now - at < RECENT_SECONDS for at in self.failures)


Records = Mapping[str, Mapping[str, Record]]
"""By `agent:model`, then by category."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Where the document is kept. Both may raise StoreRefused."""

    load: Callable[[], Mapping[str, Any]] = dict
    save: Callable[[Mapping[str, Any]], None] = lambda document: None


def result(*, succeeded: bool, seconds: float, tokens: int, at: float) -> Record:
    """One task as a record, to be added."""
    if succeeded:
        return Record(succeeded=1, seconds=max(0.0, seconds), tokens=max(0, tokens))
    return Record(failed=1, tokens=max(0, tokens), failures=(at,))


def with_result(records: Records, name: str, category: str, one: Record) -> dict[str, Mapping[str, Record]]:
    """The latest model last; beyond MOST_MODELS those go of which nothing was heard for the longest time."""
    of_model = {**records.get(name, {})}
    of_model[category] = of_model.get(category, Record()) + one
    others = [other for other in records if other != name][-(MOST_MODELS - 1) :]
    return {**{other: records[other] for other in others}, name: of_model}


def total(records: Iterable[Record]) -> Record:
    return sum(records, start=Record())


def metrics(record: Record) -> dict[str, Any]:
    """As the claw-conductor form writes them: {tasks_completed, success_rate, avg_completion_time_minutes,
    total_tokens_used}; what nothing is known of is 0 and None."""
    return {
        "tasks_completed": record.succeeded,
        "success_rate": round(record.succeeded / record.tasks, 4) if record.tasks else 0.0,
        "avg_completion_time_minutes": round(record.seconds / record.succeeded / 60, 2) if record.succeeded else None,
        "total_tokens_used": record.tokens,
    }


# -- the document


def to_document(records: Records) -> dict[str, Any]:
    return {
        "version": DOCUMENT_VERSION,
        "models": {
            name: {category: {**asdict(one), "failures": list(one.failures)} for category, one in found.items()}
            for name, found in records.items()
        },
    }


def from_document(document: Mapping[str, Any]) -> dict[str, dict[str, Record]]:
    """What can be read of it: experience is worth little enough that a damaged entry is simply not there."""
    found: dict[str, dict[str, Record]] = {}
    for name, of_model in _mapping(document.get("models")).items():
        for category, one in _mapping(of_model).items():
            record = _record(_mapping(one))
            if record is not None and category in CATEGORIES:
                found.setdefault(str(name), {})[category] = record
    return found


def _record(given: Mapping[str, Any]) -> Record | None:
    try:
        record = Record(
            int(given["succeeded"]),
            int(given["failed"]),
            float(given["seconds"]),
            int(given["tokens"]),
            tuple(sorted(float(at) for at in given["failures"]))[-MOST_FAILURES:],
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    numbers = (record.succeeded, record.failed, record.seconds, record.tokens, *record.failures)
    return record if all(math.isfinite(number) and number >= 0 for number in numbers) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
