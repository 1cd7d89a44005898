"""ready/ and waiting/: trees in which the first entry is found by listing a few small folders, never by sorting all.

    ready/<pool>/<1000 - priority>/<sequence / 65536>/<sequence / 256>/<sequence>~...
    ready/<pool>@<lane>/...      the same, for those whose agents may not start now (a limit, too little memory)
    waiting/<due seconds / 4096>/<due seconds / 16 % 256>-<overflow>/<due ms>~...

Callers hold the queue lock. No folder of ready/ holds more than 256 entries until a pool has 16 million waiting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from conductor.domain.task import Tries
from conductor.kit.durable import sync_directory
from conductor.queue.names import Entry, ordered_name, parse_ordered

_FIRST_SEQUENCE = 1 << 32  # room below it, for what is put back at the head
_FANOUT = 256
_TOP = re.compile(r"[0-9a-f]{7}")
_WINDOW = re.compile(r"([0-9a-f]{2})-([0-9a-f]{4,})")


_LANE_MARK = "@"
"""Stands in no name of a pool."""


def lane_shelf(pool: str, lane: str) -> str:
    """The name in ready/ of a lane: there wait, in their order, tasks of `pool` that may not start yet."""
    return f"{pool}{_LANE_MARK}{lane}"


class Shelved(NamedTuple):
    """One entry of a shelf and where it lies."""

    path: str
    name: str


class ReadyShelf:
    """Tasks that may run now: by pool, higher priority first, then arrival."""

    def __init__(self, root: str) -> None:
        self._root = root

    def first(self, pool: str, lanes: Iterable[str] = ()) -> Shelved | None:
        """The entry to claim next, of the pool's own and those in `lanes`."""
        shelves = (pool, *(lane_shelf(pool, lane) for lane in lanes))
        found = [entry for name in shelves if (entry := _first(f"{self._root}/{name}", 3))]
        return min(found, key=self._rank) if found else None

    def _rank(self, entry: Shelved) -> tuple[str, str]:
        """Priority, then sequence: the same in the pool and in each of its lanes."""
        return entry.path[len(self._root) :].split("/")[2], entry.name

    def taken(self, entry: Shelved) -> None:
        """Removes the folders that taking `entry` has emptied; a pool's own stays, a lane's goes."""
        self._prune(entry.path)
        name = entry.path[len(self._root) + 1 :].partition("/")[0]
        if _LANE_MARK in name:
            with suppress(OSError):
                os.rmdir(f"{self._root}/{name}")

    def _prune(self, folder: str) -> bool:
        """Removes `folder` and those above it while they are empty; tells whether any went."""
        pruned = False
        with suppress(OSError):
            while folder.count("/") > self._root.count("/") + 1:
                os.rmdir(folder)
                pruned, folder = True, folder.rpartition("/")[0]
        return pruned

    def place(self, pool: str, priority: int, task_id: str, tries: Tries, *, at_head: bool = False) -> str:
        """The path for a new last (or first) entry of its pool and priority, its folders made."""
        return self.place_at(self.edge(pool, priority, at_head=at_head), pool, priority, task_id, tries)

    def edge(self, pool: str, priority: int, *, at_head: bool = False) -> int:
        """The sequence for a new last (or first) entry, of those in lanes too."""
        shelves = (pool, *(lane_shelf(pool, lane) for lane in self.lanes(pool)))
        edges = [edge for name in shelves if (edge := self._edge(self._shelf(name, priority), at_head)) is not None]
        return (min if at_head else max)(edges, default=_FIRST_SEQUENCE)

    def place_at(self, sequence: int, pool: str, priority: int, task_id: str, tries: Tries) -> str:
        """The path for an entry at `sequence`, its folders made."""
        folder = f"{self._shelf(pool, priority)}/{sequence >> 16:08x}/{sequence >> 8 & 0xFF:02x}"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return f"{folder}/{ordered_name(sequence, tries, task_id)}"

    def _shelf(self, pool: str, priority: int) -> str:
        return f"{self._root}/{pool}/{1000 - priority:04d}"

    def _edge(self, shelf: str, at_head: bool) -> int | None:
        """The sequence before the first entry or after the last; None where there is no entry."""
        pick, path = (min, shelf) if at_head else (max, shelf)
        for _ in range(3):
            names = names_in(path)
            if not names:
                break
            path = f"{path}/{pick(names)}"
        entry = parse_ordered(path.rpartition("/")[2])
        if entry is not None:
            return entry.order - 1 if at_head else entry.order + 1
        if path != shelf and self._prune(path):
            return self._edge(shelf, at_head)
        return None

    def sync(self, path: str) -> None:
        """Makes the name at `path` durable, with every folder above it up to ready/."""
        sync_up(os.path.dirname(path), self._root)

    def pools(self) -> list[str]:
        return sorted(names_in(self._root))

    def lanes(self, pool: str) -> list[str]:
        """The lanes of `pool` in which tasks wait until they may start, without the pool's name."""
        begin = pool + _LANE_MARK
        return sorted(name.removeprefix(begin) for name in names_in(self._root) if name.startswith(begin))

    def walk(self, pool: str | None = None) -> Iterator[tuple[str, Entry]]:
        """(path, entry) of all, in claim order by pool. A snapshot without the lock: entries may be gone by then."""
        for name in [pool] if pool else self.pools():
            yield from walk_entries(f"{self._root}/{name}", 4)


class WaitingShelf:
    """Tasks that may run at a later time."""

    def __init__(self, root: str) -> None:
        self._root = root

    def place(self, due_ms: int, task_id: str, tries: Tries) -> str:
        seconds = due_ms // 1000
        top, window = f"{self._root}/{seconds >> 12:07x}", f"{seconds >> 4 & 0xFF:02x}"
        found = (_WINDOW.fullmatch(name) for name in names_in(top))
        overflow = max((int(match[2], 16) for match in found if match and match[1] == window), default=0)
        if len(names_in(f"{top}/{window}-{overflow:04x}")) >= _FANOUT:
            overflow += 1
        folder = f"{top}/{window}-{overflow:04x}"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return f"{folder}/{ordered_name(due_ms, tries, task_id)}"

    def due(self, now_ms: int, at_most: int) -> list[str]:
        """Paths of entries that are due, at most so many."""
        found: list[str] = []
        for folder, starts_ms in self._windows():
            if starts_ms > now_ms or len(found) >= at_most:
                break
            names = sorted(names_in(folder))
            if not names:
                self.taken(folder)
            found.extend(f"{folder}/{name}" for name in names if _order(name) <= now_ms)
        return found[:at_most]

    def next_due_ms(self) -> int:
        """When the earliest entry is due; 0 when there is none."""
        earliest, window = 0, -1
        for folder, starts_ms in self._windows():
            if earliest and starts_ms > window:
                break
            orders = [order for name in names_in(folder) if (order := _order(name))]
            if orders:
                earliest, window = min([earliest, *orders] if earliest else orders), starts_ms
        return earliest

    def _windows(self) -> Iterator[tuple[str, int]]:
        """Each folder of entries and the time from which on they are due; strangers' folders are passed over."""
        for top in sorted(filter(_TOP.fullmatch, names_in(self._root))):
            for leaf in sorted(filter(_WINDOW.fullmatch, names_in(f"{self._root}/{top}"))):
                yield f"{self._root}/{top}/{leaf}", ((int(top, 16) << 12) + (int(leaf[:2], 16) << 4)) * 1000

    def taken(self, folder: str) -> None:
        with suppress(OSError):
            os.rmdir(folder)
            os.rmdir(os.path.dirname(folder))

    def sync(self, path: str) -> None:
        """Makes the name at `path` durable, with every folder above it up to waiting/."""
        sync_up(os.path.dirname(path), self._root)

    def walk(self) -> Iterator[tuple[str, Entry]]:
        yield from walk_entries(self._root, 3)


def _first(folder: str, depth: int) -> Shelved | None:
    """The least entry `depth` folders down. Empty folders, which a crash can leave, are passed over."""
    names = names_in(folder)
    if depth == 0:
        return Shelved(folder, min(names)) if names else None
    while names:
        least = min(names)
        found = _first(f"{folder}/{least}", depth - 1)
        if found is not None:
            return found
        names.remove(least)
    return None


def walk_entries(path: str, depth: int) -> Iterator[tuple[str, Entry]]:
    for name in sorted(names_in(path)):
        if depth > 1:
            yield from walk_entries(f"{path}/{name}", depth - 1)
        elif entry := parse_ordered(name):
            yield f"{path}/{name}", entry


def sync_up(folder: str, root: str) -> None:
    while len(folder) >= len(root):
        with suppress(FileNotFoundError):  # claimed meanwhile and the emptied folder removed
            sync_directory(folder)
        folder = folder.rpartition("/")[0]


def _order(name: str) -> int:
    entry = parse_ordered(name)
    return entry.order if entry else 0


def names_in(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
