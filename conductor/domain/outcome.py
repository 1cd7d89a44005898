"""How an attempt ended, and the word that results.txt has for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of one attempt by itself."""

    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    BUDGET = "budget"
    LOST = "lost"
    """The worker or the machine went away under it."""


class Status(StrEnum):
    """The third field of a result line. RETRY: this attempt failed, another follows."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    BUDGET = "BUDGET"
    RETRY = "RETRY"


FINAL_STATUS = {
    Outcome.SUCCESS: Status.SUCCESS,
    Outcome.FAILED: Status.FAILED,
    Outcome.TIMEOUT: Status.TIMEOUT,
    Outcome.CANCELLED: Status.CANCELLED,
    Outcome.BUDGET: Status.BUDGET,
    Outcome.LOST: Status.FAILED,
}


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one attempt left behind, as the worker saw it. Times are seconds since 1970."""

    outcome: Outcome
    reason: str
    """One line for a person; empty for a plain success."""
    preview: str
    started: float
    ended: float
    exit_code: int | None = None
    signal: int | None = None
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    """Of the largest single process."""
    output_bytes: int = 0


def cancelled(result: TaskResult) -> TaskResult:
    """`result` as it counts when the task had been cancelled before it was recorded."""
    return TaskResult(
        Outcome.CANCELLED,
        "cancelled",
        "cancelled",
        result.started,
        result.ended,
        result.exit_code,
        result.signal,
        result.cpu_seconds,
        result.peak_memory_bytes,
        result.output_bytes,
    )
