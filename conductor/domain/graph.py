"""The graph of a plan's steps: in which order they can go, which are ready, and what a failure blocks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from conductor.domain.plan import Step

SECONDS_PER_COMPLEXITY = 300.0
"""What a step without an estimate counts for, times its complexity: only the order of steps follows from it."""


class Node(NamedTuple):
    """What the graph knows of a step."""

    id: str
    depends_on: Sequence[str]
    weight: float = 1.0
    """Seconds that it takes, or any measure of the same kind for all; not negative."""


def node_of(step: Step) -> Node:
    seconds = step.estimate_seconds
    return Node(step.id, step.depends_on, SECONDS_PER_COMPLEXITY * step.complexity if seconds is None else seconds)


class Graph:
    """Steps that wait for each other, and how far they have come.

    Naming a dependency twice counts once. Raises ValueError where an id stands twice, a dependency is unknown or there
    is a cycle: `conductor.domain.tangles` tells people of all of them. Making it costs O(steps + dependencies), each
    call afterwards what its answer is long, unless it says more.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        taken = list(nodes)
        self._ids = [node.id for node in taken]
        self._index = {step_id: index for index, step_id in enumerate(self._ids)}
        if len(self._index) != len(taken):
            raise ValueError("a step id stands twice")
        self._parents = [self._parents_of(node) for node in taken]
        self._children: list[list[int]] = [[] for _ in taken]
        for child, parents in enumerate(self._parents):
            for parent in parents:
                self._children[parent].append(child)
        self._levels = array("l", [0]) * len(taken)
        self._order = self._sorted()
        self._remaining = self._longest_paths(array("d", (node.weight for node in taken)))
        self._waits_for = array("l", (len(parents) for parents in self._parents))
        self._ready = {index: None for index, count in enumerate(self._waits_for) if not count}
        self._finished = bytearray(len(taken))
        self._failed: dict[int, None] = {}
        self._blocked = bytearray(len(taken))

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Graph:
        return cls(map(node_of, steps))

    # -- its shape, which never changes

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, step_id: str) -> bool:
        return step_id in self._index

    def order(self) -> list[str]:
        """Every step after all that it depends on."""
        return [self._ids[index] for index in self._order]

    def waves(self) -> list[list[str]]:
        """What could run together if every step took the same time: a step is one wave after its latest dependency.
        Each wave in the order of the plan."""
        waves: list[list[str]] = [[] for _ in range(max(self._levels, default=-1) + 1)]
        for step_id, level in zip(self._ids, self._levels, strict=True):
            waves[level].append(step_id)
        return waves

    def wave_of(self, step_id: str) -> int:
        """From 0."""
        return self._levels[self._index[step_id]]

    def remaining(self, step_id: str) -> float:
        """Weight of the longest path from this step, itself included, to the end of the plan."""
        return self._remaining[self._index[step_id]]

    def critical_path(self) -> list[str]:
        """The steps of the longest path through the whole plan; empty for an empty plan."""
        starts = (index for index, parents in enumerate(self._parents) if not parents)
        path = []
        index = max(starts, key=self._remaining.__getitem__, default=-1)
        while index >= 0:
            path.append(self._ids[index])
            index = max(self._children[index], key=self._remaining.__getitem__, default=-1)
        return path

    def depends_on(self, step_id: str) -> list[str]:
        return [self._ids[parent] for parent in self._parents[self._index[step_id]]]

    def dependants(self, step_id: str) -> list[str]:
        """Those that name it; not those that depend on them in turn."""
        return [self._ids[child] for child in self._children[self._index[step_id]]]

    # -- how far it has come

    def ready(self) -> list[str]:
        """Not finished, all that it depends on is, and neither failed nor blocked: the longest remaining path first."""
        found = (index for index in self._ready if not self._blocked[index])
        return [self._ids[index] for index in sorted(found, key=self._urgency)]

    def finish(self, step_id: str) -> list[str]:
        """What is ready now and was not before, the longest remaining path first. A second time changes nothing.

        Steps may be finished in any order, so what a restart finds done can be told as it comes. One that had failed
        may be finished too (a person accepted it).
        """
        index = self._index[step_id]
        if self._finished[index]:
            return []
        self._finished[index] = True
        self._ready.pop(index, None)
        if self._blocked[index]:
            self._failed.pop(index, None)
            self._block_anew()
        freed = []
        for child in self._children[index]:
            self._waits_for[child] -= 1
            if not self._waits_for[child] and not self._finished[child]:
                self._ready[child] = None
                if not self._blocked[child]:
                    freed.append(child)
        return [self._ids[child] for child in sorted(freed, key=self._urgency)]

    def fail(self, step_id: str) -> list[str]:
        """What is blocked by this from now on, however far away, in the order of the plan; itself not among it."""
        index = self._index[step_id]
        if self._finished[index]:
            return []
        self._failed[index] = None
        self._blocked[index] = True
        return [self._ids[found] for found in sorted(self._block_from([index]))]

    def revive(self, *step_ids: str) -> list[str]:
        """These will be tried anew after `fail`: what is blocked no longer, in the order of the plan, those of them
        included that nothing else blocks. Costs as much as making the graph, however many they are."""
        for step_id in step_ids:
            self._failed.pop(self._index[step_id], None)
        before = self._blocked
        self._block_anew()
        return [self._ids[index] for index, was in enumerate(before) if was and not self._blocked[index]]

    def is_finished(self, step_id: str) -> bool:
        return bool(self._finished[self._index[step_id]])

    def is_blocked(self, step_id: str) -> bool:
        """It has failed, or something that it depends on, however far away, has."""
        return bool(self._blocked[self._index[step_id]])

    def _urgency(self, index: int) -> tuple[float, int]:
        return -self._remaining[index], index

    def _block_anew(self) -> None:
        self._blocked = bytearray(len(self._ids))
        for index in self._failed:
            self._blocked[index] = True
        self._block_from(list(self._failed))

    def _block_from(self, failed: list[int]) -> list[int]:
        blocked, to_visit = [], failed
        while to_visit:
            for child in self._children[to_visit.pop()]:
                if not self._blocked[child] and not self._finished[child]:
                    self._blocked[child] = True
                    blocked.append(child)
                    to_visit.append(child)
        return blocked

    # -- making it

    def _parents_of(self, node: Node) -> tuple[int, ...]:
        try:
            return tuple(dict.fromkeys(self._index[parent] for parent in node.depends_on))
        except KeyError as error:
            raise ValueError(f"{node.id} depends on {error.args[0]!r}, which is not there") from None

    def _sorted(self) -> array[int]:
        """Indices wave by wave; fills in the levels."""
        waits_for = [len(parents) for parents in self._parents]
        order = array("l", (index for index, count in enumerate(waits_for) if not count))
        # The array grows while it is walked: what is freed is appended behind what is looked at.
        for index in order:
            level = self._levels[index] + 1
            for child in self._children[index]:
                waits_for[child] -= 1
                self._levels[child] = max(self._levels[child], level)
                if not waits_for[child]:
                    order.append(child)
        if len(order) != len(self._ids):
            raise ValueError("the steps depend on each other in a circle")
        return order

    def _longest_paths(self, weights: array[float]) -> array[float]:
        remaining = weights
        for index in reversed(self._order):
            remaining[index] += max((remaining[child] for child in self._children[index]), default=0.0)
        return remaining
