"""In which wave each step of a plan can come at the earliest, and how long the plan takes at least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conductor.domain.graph import Graph, Node
from conductor.domain.plan import Step


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long the steps take by their own estimates."""

    path: tuple[str, ...]
    """Ids of the longest chain, first to last: by seconds where estimates are known, else by the number of steps."""
    path_seconds: float
    work_seconds: float
    """Of all steps, one after the other."""
    unknown: int
    """Steps without an estimate: they count as nothing."""

    def seconds(self, workers: int) -> float:
        """The least that it can take with so many workers."""
        return max(self.path_seconds, self.work_seconds / max(1, workers))


def waves_of(steps: Sequence[Step]) -> dict[str, int]:
    """Step id to its wave, from 1: one more than the latest that it depends on. In the order of `steps`."""
    graph = Graph(Node(step.id, step.depends_on) for step in steps)
    return {step.id: graph.wave_of(step.id) + 1 for step in steps}


def forecast(steps: Sequence[Step]) -> Forecast:
    """What the estimates of the steps come to."""
    unknown = sum(step.estimate_seconds is None for step in steps)
    seconds = {step.id: step.estimate_seconds or 0.0 for step in steps}
    counted = unknown == len(steps)
    graph = Graph(Node(step.id, step.depends_on, 1.0 if counted else seconds[step.id]) for step in steps)
    path = tuple(graph.critical_path())
    return Forecast(path, sum(seconds[step_id] for step_id in path), sum(seconds.values()), unknown)
