"""Removing tasks that have ended: chosen without the queue lock, judged once more and renamed away under it.

A task goes only when nothing can come of it any more: its last attempt ended it, no worker owns it, it lies nowhere but
in dead/, and no task that is still to end waits for it. Its id is free from then on. Killed anywhere a task is wholly
there or gone; of a dead one its name in dead/ may be left, which nobody shows and the next clean removes.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from conductor.domain.errors import BadTask
from conductor.domain.outcome import Status
from conductor.domain.task import ID_PATTERN
from conductor.kit.durable import read_bytes, sync_directory
from conductor.queue import listing
from conductor.queue.files import QueueFiles
from conductor.queue.layout import Layout
from conductor.queue.names import dead_name, parse_dead
from conductor.queue.records import read_record, verdict_of
from conductor.queue.trash import Rest, Trash, no_rest, size_of

_UNDER_ONE_LOCK = 16
_AT_ONCE = 512
_AFTER_FIELD = b"after="


@dataclass(frozen=True, slots=True)
class Old:
    """A task that ended. `ended`: seconds since 1970."""

    ended: float
    task_id: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which ended tasks are to go."""

    before: float
    """Those that ended before this, in seconds since 1970."""
    statuses: frozenset[Status] = frozenset()
    """Those that ended so; none: all."""
    keep: int = 0
    """Of these the last so many stay."""
    spare: Callable[[str], bool] = lambda _task_id: False
    """Task id to whether it must stay."""


class Cleaner:
    """Any process may clean while others work."""

    def __init__(self, files: QueueFiles) -> None:
        self._files = files
        self._home = files.home
        self._layout = files.layout
        self.trash = Trash(trash_of(files.layout))

    def choose(self, choice: Choice) -> Iterator[Old]:
        """What may go, read as it is asked for: of a million tasks most cost one look at their folder."""
        awaited = self._awaited()
        found = (
            old for old in self._ended_before(choice) if old.task_id not in awaited and not choice.spare(old.task_id)
        )
        last: list[tuple[float, str]] = []
        for old in found:
            if not choice.keep:
                yield old
            elif len(last) < choice.keep:
                heapq.heappush(last, (old.ended, old.task_id))
            else:
                yield Old(*heapq.heappushpop(last, (old.ended, old.task_id)))

    def size(self, old: Old) -> int:
        """Bytes on disk."""
        return size_of(self._home.task(old.task_id))

    def clean(self, tasks: Iterable[Old], rest: Rest = no_rest) -> tuple[int, int, int]:
        """Removes and deletes by pieces, so that room comes soon and a million names are never in memory at once:
        (tasks that went, bytes freed, names that could not be deleted)."""
        removed, freed, left = 0, 0, iter(tasks)
        while some := list(islice(left, _AT_ONCE)):
            removed += self.remove(some)
            freed += self.delete(rest)[0]
        self._remove_nameless_dead()
        more, refused = self.delete(rest)
        return removed, freed + more, refused

    def remove(self, tasks: Iterable[Old]) -> int:
        """Renames them into the trash, as far as that is still right; how many went."""
        removed, left = 0, iter(tasks)
        while some := [old.task_id for old in islice(left, _UNDER_ONE_LOCK)]:
            with self._files.lock:
                removed += self._remove_some(some)
        return removed

    def delete(self, rest: Rest = no_rest) -> tuple[int, int]:
        """Deletes what lies in the trash: (bytes freed, names that could not be deleted)."""
        return self.trash.empty(rest)

    def _ended_before(self, choice: Choice) -> Iterator[Old]:
        with os.scandir(self._home.tasks) as entries:
            for entry in entries:
                if not ID_PATTERN.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
                    continue
                with suppress(FileNotFoundError):  # another cleans too
                    touched = entry.stat(follow_symlinks=False).st_mtime  # when its task ended, or later
                    old = self._judged(entry.name, touched, choice) if touched < choice.before else None
                    if old is not None:
                        yield old

    def _judged(self, task_id: str, touched: float, choice: Choice) -> Old | None:
        record = self._last_record(task_id)
        if record is None or (choice.statuses and record["status"] not in choice.statuses):
            return None
        try:
            ended = datetime.fromisoformat(record["ended"]).timestamp()
        except (KeyError, TypeError, ValueError):  # an agent's own doing
            ended = touched
        return Old(ended, task_id) if ended < choice.before and self._is_over(task_id, record) else None

    def _last_record(self, task_id: str) -> dict[str, Any] | None:
        last = self._files.last_attempt(task_id)
        return read_record(self._home.attempt(task_id, last)) if last else None

    def _is_over(self, task_id: str, record: dict[str, Any]) -> bool:
        """Right for certain while the lock is held."""
        if record["status"] == Status.RETRY or self._files.endings.status_of(task_id) is None:
            return False
        owned = (*os.listdir(self._layout.claimed), *os.listdir(self._layout.finishing))
        is_awaited = os.path.isdir(f"{self._layout.after}/wait/{task_id}")
        return not is_awaited and not any(name.startswith(f"{task_id}~") for name in owned)

    def _remove_some(self, task_ids: list[str]) -> int:
        removed, dead = 0, []
        for task_id in task_ids:
            record = self._last_record(task_id)
            if record is None or not self._is_over(task_id, record):
                continue
            removed += self.trash.take(self._home.task(task_id))
            if record["status"] != Status.SUCCESS:
                dead.append(f"{self._layout.dead}/{dead_name(task_id, verdict_of(record).tries)}")
        if dead:  # a folder that came back with a power cut, without its name here, would never go
            sync_directory(self._home.tasks)
            for path in dead:
                self.trash.take(path)
        return removed

    def _remove_nameless_dead(self) -> None:
        """What a clean that was killed left in dead/: nothing can be told or made of a task that has no folder."""
        for name in os.listdir(self._layout.dead):
            dead = parse_dead(name)
            if dead is not None and not os.path.isdir(self._home.task(dead.task_id)):
                with self._files.lock:
                    if not os.path.isdir(self._home.task(dead.task_id)):
                        self.trash.take(f"{self._layout.dead}/{name}")

    def _awaited(self) -> set[str]:
        """The ids that tasks name which have not ended well: they ask about them again when they are tried again."""
        found: set[str] = set()
        for path in self._task_files():
            try:
                if _AFTER_FIELD in read_bytes(path):
                    found.update(self._files.read_task(path).after)
            except (OSError, BadTask):
                continue  # it has moved on, to where it is looked for later, or is damaged and never runs
        for _, spec in listing.batched(self._files):
            found.update(spec.after)
        return found

    def _task_files(self) -> Iterator[str]:
        """In the order in which tasks move, so that one on its way is met."""
        for shelf in (self._files.after, self._files.waiting, self._files.ready):
            yield from (path for path, _ in shelf.walk())
        for folder in (self._layout.claimed, self._layout.finishing, self._layout.dead):
            yield from (f"{folder}/{name}" for name in os.listdir(folder))


def trash_of(layout: Layout) -> str:
    return f"{layout.home.queue}/trash"
