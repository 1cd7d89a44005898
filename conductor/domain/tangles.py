"""What keeps steps from being a graph: ids that stand twice, unknown dependencies, cycles. All of them are found."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from conductor.domain.graph import Node

MOST_OF_A_KNOT = 10
"""Cycles shown of steps that all reach each other: in such a knot there can be more than anyone could count."""

Edges = Mapping[str, Sequence[str]]


def duplicate_ids(nodes: Iterable[Node]) -> list[str]:
    """Each id that stands more than once, in the order of its first place."""
    return [step_id for step_id, count in Counter(node.id for node in nodes).items() if count > 1]


def unknown_dependencies(nodes: Sequence[Node]) -> list[tuple[int, str]]:
    """(position of the step from 0, the id that no step has), in the order of the plan."""
    known = {node.id for node in nodes}
    return [(at, parent) for at, node in enumerate(nodes) for parent in node.depends_on if parent not in known]


def cycles(nodes: Iterable[Node]) -> list[tuple[str, ...]]:
    """Each as its path, `(a, b, a)`: a depends on b, b on a. Of steps that share no cycle every cycle is told; of a
    knot, in which all reach each other, as many short ones as there are dependencies to be cut (at most ten).

    Unknown dependencies are passed over; steps that share an id count as one.
    """
    named: dict[str, list[str]] = {}
    for node in nodes:
        named.setdefault(node.id, []).extend(node.depends_on)
    edges = {step_id: [parent for parent in parents if parent in named] for step_id, parents in named.items()}
    return [path for knot in _knots(_without_loose_ends(edges)) for path in _cycles_of(knot)]


def path_text(path: Sequence[str], most: int = 12) -> str:
    """`a -> b -> a`; the middle of a long one is left out."""
    if len(path) > most:
        half = most // 2
        path = [*path[:half], f"({len(path) - 2 * half} more)", *path[-half:]]
    return " -> ".join(path)


def _without_loose_ends(edges: Edges) -> dict[str, list[str]]:
    """Without the steps that wait for no cycle: as a rule that is all of them, and nothing is left to look at."""
    waits_for = {step_id: len(parents) for step_id, parents in edges.items()}
    children: dict[str, list[str]] = {step_id: [] for step_id in edges}
    for step_id, parents in edges.items():
        for parent in parents:
            children[parent].append(step_id)
    free = [step_id for step_id, count in waits_for.items() if not count]
    for step_id in free:
        for child in children[step_id]:
            waits_for[child] -= 1
            if not waits_for[child]:
                free.append(child)
    left = edges.keys() - set(free)
    return {
        step_id: [parent for parent in parents if parent in left]
        for step_id, parents in edges.items()
        if step_id in left
    }


def _knots(edges: Edges) -> Iterator[dict[str, list[str]]]:
    """The parts whose steps all reach each other and that hold a cycle, each with the dependencies inside of it."""
    for part in _mutual_parts(edges):
        inside = set(part)
        knot = {step_id: [parent for parent in edges[step_id] if parent in inside] for step_id in part}
        if len(part) > 1 or knot[part[0]]:
            yield knot


def _mutual_parts(edges: Edges) -> list[list[str]]:
    """The strongly connected parts (Kosaraju's way): flooding backwards, from whom a walk left last."""
    children: dict[str, list[str]] = {step_id: [] for step_id in edges}
    for step_id, parents in edges.items():
        for parent in parents:
            children[parent].append(step_id)
    parts, taken = [], set[str]()
    for root in reversed(_left_in_order(edges)):
        if root in taken:
            continue
        part = [root]
        taken.add(root)
        for step_id in part:
            new = [child for child in dict.fromkeys(children[step_id]) if child not in taken]
            taken.update(new)
            part.extend(new)
        parts.append(part)
    return parts


def _left_in_order(edges: Edges) -> list[str]:
    """The steps as a walk along the dependencies, deep before wide, leaves them for good."""
    seen, left = set[str](), []
    for root in edges:
        if root in seen:
            continue
        seen.add(root)
        path = [(root, iter(edges[root]))]
        while path:
            step_id, parents = path[-1]
            onward = next((parent for parent in parents if parent not in seen), None)
            if onward is None:
                left.append(step_id)
                path.pop()
            else:
                seen.add(onward)
                path.append((onward, iter(edges[onward])))
    return left


def _cycles_of(knot: Edges) -> Iterator[tuple[str, ...]]:
    """A short cycle for each dependency that leads back: without those the knot is none."""
    told: set[tuple[str, ...]] = set()
    for child, parent in _leading_back(knot):
        path = _shortest(knot, parent, child)
        start = path.index(min(path))
        turned = path[start:] + path[:start]
        if turned not in told:
            told.add(turned)
            yield (*turned, turned[0])
        if len(told) == MOST_OF_A_KNOT:
            return


def _leading_back(knot: Edges) -> Iterator[tuple[str, str]]:
    """(step, dependency) that closes a circle on a walk through the knot."""
    root = next(iter(knot))
    seen, on_path = {root}, {root}
    path = [(root, iter(knot[root]))]
    while path:
        step_id, parents = path[-1]
        for parent in parents:
            if parent in on_path:
                yield step_id, parent
            elif parent not in seen:
                seen.add(parent)
                on_path.add(parent)
                path.append((parent, iter(knot[parent])))
                break
        else:
            on_path.discard(step_id)
            path.pop()


def _shortest(knot: Edges, start: str, end: str) -> tuple[str, ...]:
    """The steps from `start` to `end`, both included, along the dependencies."""
    came_from: dict[str, str] = {start: start}
    to_visit = deque([start])
    while end not in came_from:
        step_id = to_visit.popleft()
        for parent in knot[step_id]:
            if parent not in came_from:
                came_from[parent] = step_id
                to_visit.append(parent)
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))
