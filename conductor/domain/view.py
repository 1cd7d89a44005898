"""A task as `list`, `show` and `wait` see it: each state carries its own facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec, Tries


@dataclass(frozen=True, slots=True)
class Queued:
    """Accepted and free to run; `in_batch` while it still lies in an inbox batch."""

    spec: TaskSpec
    tries: Tries
    in_batch: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not before `due_ms` (milliseconds since 1970): a delay or the wait before a retry; or not before another task
    has ended."""

    spec: TaskSpec
    tries: Tries
    due_ms: int
    """0 where it is not a time that it waits for."""
    awaits: str = ""
    """The first of `spec.after` that has not ended well yet."""


@dataclass(frozen=True, slots=True)
class Running:
    """Claimed by a worker, which may have died since; `recording` once its outcome is known."""

    spec: TaskSpec
    tries: Tries
    worker_id: str
    since: float
    recording: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """No attempt will follow by itself. `record` is the last attempt's result.json; `can_retry`: it lies in dead/."""

    task_id: str
    status: Status
    record: dict[str, Any]
    can_retry: bool = False


TaskView = Queued | Waiting | Running | Ended


def view_id(view: TaskView) -> str:
    return view.task_id if isinstance(view, Ended) else view.spec.id


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tasks are in each state; `batched` is lines of the inbox that are not unpacked yet."""

    batched: int = 0
    ready: int = 0
    waiting: int = 0
    running: int = 0
    dead: int = 0
    corrupt: int = 0

    @property
    def pending(self) -> int:
        return self.batched + self.ready + self.waiting


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery made of an attempt whose worker is gone."""

    task_id: str
    attempt: int
    worker_id: str
    status: Status
    was_recorded: bool
    """The worker had known the outcome; only the paperwork was left."""


@dataclass(frozen=True, slots=True)
class Tended:
    """What one round of housekeeping did. `next_due_ms` is the earliest waiting task, 0: none."""

    accepted: int = 0
    promoted: int = 0
    refused: tuple[str, ...] = ()
    """Reasons of what went to corrupt/."""
    more: bool = False
    next_due_ms: int = 0
    failed: int = 0
    """Tasks that ended because one that they waited for did not end well."""
