"""The queue by pool, for people who look at it: how many wait, the oldest for how long, which come next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice

from conductor.domain.errors import BadTask
from conductor.domain.task import TaskSpec
from conductor.queue.files import QueueFiles, Surroundings
from conductor.queue.layout import Layout
from conductor.queue.names import Entry
from conductor.queue.shelves import lane_shelf, names_in, walk_entries


@dataclass(frozen=True, slots=True)
class PoolLook:
    """What is ready in one pool."""

    pool: str
    ready: int = 0
    """Those that are held too."""
    held: Mapping[str, int] = field(default_factory=dict)
    """How many of them wait in which lane until their agents may start."""
    oldest_ms: int = 0
    """When the oldest of them was submitted, in milliseconds since 1970; 0: there is none, or nobody knows."""
    upcoming: tuple[TaskSpec, ...] = ()
    """The first of them, as they will be claimed."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """A task that waits for its time, `due_ms` milliseconds since 1970."""

    spec: TaskSpec
    due_ms: int


class PoolWatch:
    """Looks again and again, without the lock; of each task the file is read once."""

    def __init__(self, layout: Layout, most: int) -> None:
        """`most`: how many of the next tasks are told of each pool."""
        self._files = QueueFiles(layout, Surroundings(nullcontext(), time.time, lambda: 0.0))
        self._most = most
        self._known: dict[str, TaskSpec] = {}

    def pools(self) -> list[PoolLook]:
        """Every pool in which something is ready, by name."""
        names = {name.partition("@")[0] for name in self._files.ready.pools()}
        before, self._known = self._known, {}
        found = [self._look(name, before) for name in sorted(names)]
        return [one for one in found if one.ready]

    def delayed(self) -> list[Delayed]:
        """The first that wait for their time."""
        entries = islice(self._files.waiting.walk(), self._most)
        read = ((self._read(path), entry.order) for path, entry in entries)
        return [Delayed(spec, due_ms) for spec, due_ms in read if spec is not None]

    def _look(self, pool: str, known: Mapping[str, TaskSpec]) -> PoolLook:
        root = self._files.layout.ready
        held = {lane: _count(f"{root}/{lane_shelf(pool, lane)}", 3) for lane in self._files.ready.lanes(pool)}
        ready = _count(f"{root}/{pool}", 3) + sum(held.values())
        if not ready:
            return PoolLook(pool)
        shelves = [pool, *(lane_shelf(pool, lane) for lane in held)]
        oldest = min((at for name in shelves for at in self._firsts(f"{root}/{name}")), default=0)
        walks = (self._files.ready.walk(name) for name in shelves)
        upcoming = (self._spec(path, entry, known) for walk in walks for path, entry in islice(walk, self._most))
        specs = tuple(spec for spec in upcoming if spec is not None)[: self._most]
        return PoolLook(pool, ready, {lane: count for lane, count in held.items() if count}, oldest, specs)

    def _firsts(self, shelf: str) -> Iterator[int]:
        """When the first of each priority was submitted: they are in the order in which they came."""
        for priority in names_in(shelf):
            for path, _ in islice(walk_entries(f"{shelf}/{priority}", 3), 1):
                spec = self._read(path)
                if spec is not None and spec.submitted_ms:
                    yield spec.submitted_ms

    def _spec(self, path: str, entry: Entry, known: Mapping[str, TaskSpec]) -> TaskSpec | None:
        spec = known.get(entry.task_id) or self._read(path)
        if spec is not None:
            self._known[entry.task_id] = spec
        return spec

    def _read(self, path: str) -> TaskSpec | None:
        """None: it has been claimed meanwhile, or is damaged, which is told where it is claimed."""
        try:
            return self._files.read_task(path)
        except (OSError, BadTask):
            return None


def _count(folder: str, depth: int) -> int:
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return sum(_count(f"{folder}/{name}", depth - 1) for name in names) if depth else len(names)
