"""after/: tasks that wait for others to end well, found by whom they wait for and never by looking through all.

    after/wait/<awaited id>/<submitted ms>~...      each under the first of those that it still waits for
    after/due/<awaited id>~<n>/<submitted ms>~...   the awaited one has ended: `tend` moves these on

Whoever ends a task renames its folder from wait/ to due/ before the task's own file moves on for the last time, so a
killed one does it again. Callers hold the queue lock but for that rename.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

from conductor.domain.task import TaskSpec, Tries
from conductor.queue.names import Entry, ordered_name
from conductor.queue.shelves import names_in, sync_up, walk_entries

_COPY_MARK = "~"


class AfterShelf:
    """Paths and moves; who has ended is the queue's to say."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._wait = f"{root}/wait"
        self._due = f"{root}/due"

    def place(self, awaited: str, spec: TaskSpec, tries: Tries, *, is_due: bool) -> str:
        """The path for a task that waits for `awaited`, or, `is_due`, that `tend` is to look at; its folder made."""
        folder = f"{self._due}/{awaited}{_COPY_MARK}0" if is_due else f"{self._wait}/{awaited}"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return f"{folder}/{ordered_name(spec.submitted_ms, tries, spec.id)}"

    def has_ended(self, task_id: str) -> None:
        """Those that wait for the task are due. Cheap where there are none; done again it changes nothing."""
        for number in count():
            try:
                os.rename(f"{self._wait}/{task_id}", f"{self._due}/{task_id}{_COPY_MARK}{number}")
                return
            except FileNotFoundError:
                if not os.path.isdir(f"{self._wait}/{task_id}"):
                    return
                os.makedirs(self._due, mode=0o700, exist_ok=True)
            except OSError:  # there is one of that name: of an earlier end of the same task
                if not os.path.lexists(f"{self._due}/{task_id}{_COPY_MARK}{number}"):
                    raise

    def has_due(self) -> bool:
        return bool(self._folders_due())

    def due(self, at_most: int) -> list[str]:
        """Paths of entries to look at, at most so many."""
        found: list[str] = []
        for name in self._folders_due():
            names = sorted(names_in(f"{self._due}/{name}"))
            found.extend(f"{self._due}/{name}/{entry}" for entry in names[: at_most - len(found)])
            if not names:
                self.taken(f"{self._due}/{name}")
            if len(found) >= at_most:
                break
        return found

    def _folders_due(self) -> list[str]:
        """What else may lie here would never go: it is passed over."""
        try:
            with os.scandir(self._due) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def awaited(self) -> list[str]:
        """The ids of all that somebody waits for."""
        return sorted(names_in(self._wait))

    def awaits(self, path: str) -> str:
        """Whom the entry at `path` waits for."""
        return path.split("/")[-2].partition(_COPY_MARK)[0]

    def taken(self, folder: str) -> None:
        with suppress(OSError):
            os.rmdir(folder)

    def sync(self, path: str) -> None:
        """Makes the name at `path` durable, with every folder above it: an older home had none of them."""
        sync_up(os.path.dirname(path), os.path.dirname(self._root))

    def walk(self) -> Iterator[tuple[str, Entry]]:
        yield from walk_entries(self._root, 3)
