"""What every operation of the queue shares: the folders, the lock, and the moves that several of them make."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

from conductor.domain.errors import BadTask
from conductor.domain.lines import parse_task, unseal
from conductor.domain.retry import NextState, RetryPolicy
from conductor.domain.task import TaskSpec, Tries
from conductor.kit.durable import read_bytes, sync_directory
from conductor.queue.inbox import move_aside
from conductor.queue.layout import Layout
from conductor.queue.names import Entry, dead_name, owned_name, parse_counters, parse_owned
from conductor.queue.records import next_of, read_record
from conductor.queue.results_log import ResultsLog
from conductor.queue.shelves import ReadyShelf, WaitingShelf


@dataclass(frozen=True)
class Surroundings:
    """What the queue needs of the world, handed in: the lock, the clock (seconds since 1970), chance in [0, 1)."""

    lock: AbstractContextManager[Any]
    clock: Callable[[], float]
    chance: Callable[[], float]
    policy: RetryPolicy = RetryPolicy()


class QueueFiles:
    """One opened queue directory."""

    def __init__(self, layout: Layout, surroundings: Surroundings) -> None:
        self.layout = layout
        self.home = layout.home
        self.lock = surroundings.lock
        self.clock = surroundings.clock
        self.chance = surroundings.chance
        self.policy = surroundings.policy
        self.ready = ReadyShelf(layout.ready)
        self.waiting = WaitingShelf(layout.waiting)
        self.results = ResultsLog(layout.home.results)

    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def read_task(self, path: str) -> TaskSpec:
        """The task in a sealed file. Raises BadTask when it is torn or was changed."""
        try:
            return parse_task(unseal(read_bytes(path).decode()))
        except UnicodeDecodeError:
            raise BadTask("not UTF-8") from None

    def refuse(self, path: str, reason: str) -> None:
        """Moves `path` to corrupt/ with `reason` beside it."""
        move_aside(path, self.layout.corrupt, reason, f"{self.now_ms():013d}")

    def is_cancelled(self, task_id: str) -> bool:
        return os.path.exists(self.layout.cancel_mark(task_id))

    def place(self, spec: TaskSpec, tries: Tries, source: str, *, due_ms: int = 0, at_head: bool = False) -> str:
        """Renames `source` into ready/ or, with `due_ms`, into waiting/; the caller holds the lock and syncs."""
        while True:
            if due_ms:
                target = self.waiting.place(due_ms, spec.id, tries)
            else:
                target = self.ready.place(spec.pool, spec.priority, spec.id, tries, at_head=at_head)
            try:
                os.rename(source, target)
                return target
            except FileNotFoundError:
                if not os.path.exists(source):
                    raise

    def sync(self, target: str) -> None:
        """Makes a name in ready/ or waiting/ durable."""
        shelf = self.waiting if target.startswith(self.layout.waiting) else self.ready
        shelf.sync(target)
        if not os.path.exists(target):  # claimed before it was synced: then the claim's name must last
            sync_directory(self.layout.claimed)

    def settle(self, name: str, record: dict[str, Any]) -> None:
        """The last step of a finish: moves finishing/<name> on as `record` decided. Doing it again changes nothing.

        Nothing is synced here: a power cut brings the file back into finishing/ or claimed/, where recovery finds the
        record and the line and settles it again.
        """
        path = f"{self.layout.finishing}/{name}"
        state, due_ms, counts = next_of(record)
        tries = parse_counters(counts)
        assert tries is not None  # next_of has checked it
        with suppress(FileNotFoundError):
            match state:
                case NextState.ENDED:
                    # Kept, not unlinked: ext4 searches past every inode freed in the last minute for each new file.
                    os.rename(path, f"{self.home.task(record['task'])}/task")
                case NextState.DEAD:
                    os.rename(path, f"{self.layout.dead}/{dead_name(record['task'], tries)}")
                case NextState.WAITING:
                    spec = self.read_task(path)
                    with self.lock:
                        self.place(spec, tries, path, due_ms=due_ms, at_head=not due_ms)

    def complete(self, name: str, record: dict[str, Any]) -> None:
        """Finishes what lies in finishing/: the line if it is not there yet, then the next state."""
        line = record["line"].encode()
        with self.lock:
            if not self.results.holds(line, int(record["results_size"])):
                self.results.append(line)
        self.results.sync()
        self.settle(name, record)

    def read_attempt(self, entry: Entry) -> dict[str, Any] | None:
        """The record of the attempt that an owned entry stands for, when its worker got so far."""
        record = read_record(self.home.attempt(entry.task_id, entry.tries.started))
        return record if record and record.get("worker") == entry.owner else None

    def owned_entries(self, folder: str) -> list[tuple[str, Entry]]:
        """(name, entry) of claimed/ or finishing/; a name that is not ours goes to corrupt/."""
        found = []
        for name in sorted(os.listdir(folder)):
            entry = parse_owned(name)
            if entry is None:
                self.refuse(f"{folder}/{name}", f"{name!r} in {os.path.basename(folder)}/ is no name of a claim")
            else:
                found.append((name, entry))
        return found

    def last_attempt(self, task_id: str) -> int:
        """The highest attempt number that left a folder, 0 for none."""
        try:
            return max((int(name) for name in os.listdir(self.home.task(task_id)) if name.isdigit()), default=0)
        except FileNotFoundError:
            return 0

    def owned_path(self, folder: str, task_id: str, tries: Tries, owner: str) -> str:
        return f"{folder}/{owned_name(task_id, tries, owner)}"
