"""Who has ended, and how: what decides about tasks that wait for others."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec
from conductor.queue.names import dead_name
from conductor.queue.records import read_record, verdict_of


class Free(NamedTuple):
    """All that it waited for ended well."""


class Awaits(NamedTuple):
    awaited: str


class Failed(NamedTuple):
    awaited: str
    status: Status

    @property
    def reason(self) -> str:
        return f"task {self.awaited}, which it waits for, ended as {self.status.value}"


Decision = Free | Awaits | Failed


class Endings:
    """Who has ended, read from what their last attempt left. The queue lock is held, so no claim moves meanwhile."""

    def __init__(self, tasks: str, claimed: str, finishing: str, dead: str) -> None:
        self._tasks = tasks
        self._claimed = claimed
        self._finishing = finishing
        self._dead = dead

    def decide(self, spec: TaskSpec) -> Decision:
        for awaited in spec.after:
            status = self.status_of(awaited)
            if status is None:
                return Awaits(awaited)
            if status is not Status.SUCCESS:
                return Failed(awaited, status)
        return Free()

    def status_of(self, task_id: str) -> Status | None:
        """How the task ended; None: it has not, or was made ready again, or never was."""
        folder = f"{self._tasks}/{task_id}"
        attempts = [int(name) for name in _names(folder) if name.isdigit()]
        record = read_record(f"{folder}/{max(attempts)}") if attempts else None
        if record is None or record["status"] == Status.RETRY or _holds(self._claimed, task_id):
            return None
        status = Status(record["status"])
        if status is Status.SUCCESS or _holds(self._finishing, task_id):  # a record in finishing/ stands
            return status
        # Asked last: it moves here from finishing/ without the lock, and from here on only by `conductor retry`.
        is_dead = os.path.exists(f"{self._dead}/{dead_name(task_id, verdict_of(record).tries)}")
        return status if is_dead else None


def _holds(folder: str, task_id: str) -> bool:
    return any(name.startswith(f"{task_id}~") for name in _names(folder))


def _names(folder: str) -> list[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(folder)
    return []
