"""What every operation of the queue shares: the folders, the lock, and the moves that several of them make."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from conductor.domain.errors import BadTask, ConductorError
from conductor.domain.lines import parse_task, unseal
from conductor.domain.retry import RetryPolicy
from conductor.domain.task import TaskSpec, Tries
from conductor.kit.durable import read_bytes, sync_directory, write_synced
from conductor.ports import Doorkeeper
from conductor.queue.layout import Layout
from conductor.queue.names import Entry, owned_name, parse_owned
from conductor.queue.shelves import ReadyShelf, WaitingShelf, lane_shelf

if TYPE_CHECKING:
    from conductor.queue.after_shelf import AfterShelf
    from conductor.queue.endings import Endings

_NOT_A_FILE = (errno.EISDIR, errno.ELOOP, errno.ENXIO)
BLOCKED = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.ENXIO)
"""Something else stands where a file of ours goes, put there by an agent: trying again brings the same."""


@dataclass(frozen=True)
class Surroundings:
    """What the queue needs of the world, handed in: the lock, the clock (seconds since 1970), chance in [0, 1)."""

    lock: AbstractContextManager[Any]
    clock: Callable[[], float]
    chance: Callable[[], float]
    policy: RetryPolicy = RetryPolicy()
    doorkeeper: Doorkeeper | None = None
    """Says which tasks may start now; None: all."""


class QueueFiles:
    """One opened queue directory."""

    def __init__(self, layout: Layout, surroundings: Surroundings) -> None:
        self.layout = layout
        self.home = layout.home
        self.lock = surroundings.lock
        self.clock = surroundings.clock
        self.chance = surroundings.chance
        self.doorkeeper = surroundings.doorkeeper
        self.ready = ReadyShelf(layout.ready)
        self.waiting = WaitingShelf(layout.waiting)

    @cached_property
    def after(self) -> AfterShelf:
        from conductor.queue.after_shelf import AfterShelf  # not before it is needed: most that are submitted never do

        return AfterShelf(self.layout.after)

    @cached_property
    def endings(self) -> Endings:
        from conductor.queue.endings import Endings

        return Endings(self.home.tasks, self.layout.claimed, self.layout.finishing, self.layout.dead)

    def open_lanes(self, pool: str) -> list[str]:
        """The lanes of `pool` from which a task may start now."""
        return [lane for lane in self.ready.lanes(pool) if self._is_open(lane)]

    def _is_open(self, lane: str) -> bool:
        """One that can't be asked about is closed: that must not hold up the rest of the pool."""
        try:
            return self.doorkeeper is None or self.doorkeeper.is_open(lane)
        except (OSError, ConductorError):
            return False

    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def read_task(self, path: str) -> TaskSpec:
        """The task in a sealed file. Raises BadTask when it is torn or was changed."""
        try:
            return parse_task(unseal(read_bytes(path).decode()))
        except UnicodeDecodeError:
            raise BadTask("not UTF-8") from None
        except OSError as error:
            if error.errno in _NOT_A_FILE:
                raise BadTask(f"no regular file: {error.strerror}") from None
            raise

    def refuse(self, path: str, reason: str) -> None:
        """Moves `path` to corrupt/ with `reason` beside it."""
        target = self._free_name(f"{self.now_ms():013d}.", os.path.basename(path))
        with suppress(FileNotFoundError):
            write_synced(f"{target}.reason", reason.encode("utf-8", "backslashreplace") + b"\n")
            os.rename(path, target)
            sync_directory(self.layout.corrupt)

    def _free_name(self, stamp: str, name: str) -> str:
        """A path in corrupt/ that nothing has yet: of two of the same name and millisecond none may vanish."""
        start = f"{self.layout.corrupt}/{stamp}{os.fsdecode(os.fsencode(name)[:150])}"
        target, number = start, 1
        while os.path.lexists(target):
            number += 1
            target = f"{start}.{number}"
        return target

    def is_cancelled(self, task_id: str) -> bool:
        return os.path.exists(self.layout.cancel_mark(task_id))

    def place(self, spec: TaskSpec, tries: Tries, source: str, *, due_ms: int = 0, at_head: bool = False) -> str:
        """Renames `source` into ready/ or, with `due_ms`, into waiting/, or into after/ while it waits for others; the
        caller holds the lock and syncs."""
        while True:
            if spec.after and (held := self._held(spec, tries)):
                target = held
            elif due_ms:
                target = self.waiting.place(due_ms, spec.id, tries)
            else:
                target = self.ready.place(spec.pool, spec.priority, spec.id, tries, at_head=at_head)
            try:
                os.rename(source, target)
                return target
            except FileNotFoundError:
                if not os.path.exists(source):
                    raise

    def _held(self, spec: TaskSpec, tries: Tries) -> str:
        """Its path in after/; empty: all that it waits for ended well."""
        from conductor.queue.endings import Awaits, Failed

        match self.endings.decide(spec):
            case Awaits(awaited):
                return self.after.place(awaited, spec, tries, is_due=False)
            case Failed(awaited):  # `tend` ends it
                return self.after.place(awaited, spec, tries, is_due=True)
        return ""

    def hold(self, spec: TaskSpec, entry: Entry, claimed: str, lane: str) -> None:
        """Renames a claim that did not start into its lane; the caller holds the lock. Nothing needs a sync: after a
        power cut it is claimed still, or back in its lane."""
        tries = replace(entry.tries, started=entry.tries.started - 1)
        target = self.ready.place_at(entry.order, lane_shelf(spec.pool, lane), spec.priority, spec.id, tries)
        os.rename(claimed, target)

    def sync(self, target: str) -> None:
        """Makes a name in ready/, waiting/ or after/ durable."""
        if target.startswith(self.layout.after):
            self.after.sync(target)
        else:
            (self.waiting if target.startswith(self.layout.waiting) else self.ready).sync(target)
        if not os.path.exists(target):  # claimed before it was synced: then the claim's name must last
            sync_directory(self.layout.claimed)

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
