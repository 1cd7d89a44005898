"""The words that other programs have for how far a task is."""

from __future__ import annotations

DONE = frozenset({"done", "completed", "complete"})
HELD = frozenset({"deferred", "cancelled", "canceled", "review", "blocked"})
"""Not done, and not to be done now: a person has it."""
CANCELLED = frozenset({"cancelled", "canceled"})


def is_done(status: str) -> bool:
    return status in DONE
