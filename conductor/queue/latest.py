"""Ids of tasks that have not ended for good, the latest first, from names alone: for a shell's completion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from conductor.queue.layout import Layout
from conductor.queue.names import Entry, parse_dead, parse_ordered, parse_owned
from conductor.queue.shelves import names_in

_MOST_DEAD = 20_000


def latest_ids(layout: Layout) -> Iterator[tuple[str, str]]:
    """(id, state): running, ready, waiting, dead. A snapshot without the lock; reads no more names than are taken."""
    for folder in (layout.claimed, layout.finishing):
        owned = filter(None, map(parse_owned, names_in(folder)))
        yield from ((entry.task_id, "running") for entry in owned)
    for pool in sorted(names_in(layout.ready)):
        yield from ((entry.task_id, "ready") for entry in _backwards(f"{layout.ready}/{pool}", 4))
    for shelf in (layout.waiting, layout.after):
        yield from ((entry.task_id, "waiting") for entry in _backwards(shelf, 3))
    yield from ((task_id, "dead") for task_id in _dead(layout.dead))


def _backwards(path: str, depth: int) -> Iterator[Entry]:
    """What lies `depth` folders down, in the opposite order of its names."""
    for name in sorted(names_in(path), reverse=True):
        if depth > 1:
            yield from _backwards(f"{path}/{name}", depth - 1)
        elif entry := parse_ordered(name):
            yield entry


def _dead(folder: str) -> list[str]:
    """Ids that were made here begin with their time."""
    try:
        with os.scandir(folder) as names:
            found = [entry.task_id for one in islice(names, _MOST_DEAD) if (entry := parse_dead(one.name))]
    except OSError:
        return []
    return sorted(found, reverse=True)
