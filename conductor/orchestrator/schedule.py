"""Which step of a run is next: what is ready, longest remaining path first, files of steps in progress kept apart."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conductor.domain.graph import Graph
from conductor.domain.overlap import FilesInUse
from conductor.domain.plan import Step
from conductor.domain.run import StepState, StepStatus


def key_of(run_id: str, step_id: str) -> str:
    """Who uses files of the project, as `FilesInUse` knows it."""
    return f"{run_id}/{step_id}"


_STILL_TO_COME = (StepStatus.PENDING, StepStatus.BLOCKED)
_GIVEN_UP = (StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.CANCELLED)


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Sorts what is ready: the plan's own priority, then the longest remaining path, then the order of the plan."""

    priority: int
    path: float
    position: int
    step_id: str


class Schedule:
    """The steps of one run that wait. `files` is shared by all runs of the project.

    A step whose files are in use is parked under the step that uses them and looked at again only when that one lets
    go: what it costs to finish a step does not grow with the number of steps that are ready.
    """

    def __init__(self, run_id: str, states: Sequence[StepState], files: FilesInUse) -> None:
        self._run_id = run_id
        self._files = files
        self._steps = {state.step.id: state.step for state in states}
        self._positions = {state.step.id: state.position for state in states}
        self._graph = Graph.of(state.step for state in states)
        self._ready: list[_Place] = []
        self._parked: dict[str, list[_Place]] = {}
        self._waiting = {state.step.id for state in states if state.status in _STILL_TO_COME}
        for state in states:
            if state.status is StepStatus.COMPLETED:
                self._graph.finish(state.step.id)
        for state in states:
            if state.status in _GIVEN_UP:
                self._waiting.difference_update(self._graph.fail(state.step.id))
        self._offer(self._graph.ready())

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def wave_of(self, step_id: str) -> int:
        """From 1."""
        return self._graph.wave_of(step_id) + 1

    # -- what became of steps

    def completed(self, step_id: str) -> None:
        """It is done: what waited for it alone may start."""
        self._waiting.discard(step_id)
        self._offer(self._graph.finish(step_id))

    def sent_back(self, step_id: str) -> None:
        """It waits for its next round."""
        self._waiting.add(step_id)
        self._offer([step_id])

    def given_up(self, step_id: str) -> list[str]:
        """It will not come; which others can't come either, and were not known to."""
        blocked = self._graph.fail(step_id)
        self._waiting.difference_update(blocked)
        self._waiting.discard(step_id)
        return blocked

    def revived(self, step_id: str) -> list[str]:
        """It comes after all; which others wait again."""
        return self._wait([one for one in self._graph.revive(step_id) if one != step_id])

    def tried_anew(self, step_ids: Sequence[str]) -> list[str]:
        """Those that were given up are wanted after all; which steps wait again: of these the ones that may come,
        which they may not while something that they depend on will not, and what waited for them."""
        return self._wait(self._graph.revive(*step_ids))

    def _wait(self, freed: list[str]) -> list[str]:
        self._waiting.update(freed)
        ready = set(self._graph.ready())
        self._offer(one for one in freed if one in ready)
        return freed

    def occupy(self, step_id: str) -> None:
        """It is in progress: its files are in use."""
        self._waiting.discard(step_id)
        self._files.hold(key_of(self._run_id, step_id), self._steps[step_id].files)

    def let_go(self, key: str) -> None:
        """A step of this run or another no longer uses its files."""
        for place in self._parked.pop(key, ()):
            heapq.heappush(self._ready, place)

    # -- what is next

    def take(self, highest_wave: int = 0) -> Step | None:
        """The step to be started now, its files in use from here on; None: none may. `highest_wave`: not beyond."""
        later: list[_Place] = []
        found = None
        while self._ready and found is None:
            place = heapq.heappop(self._ready)
            if place.step_id not in self._waiting:
                continue
            if highest_wave and self.wave_of(place.step_id) > highest_wave:
                later.append(place)
                continue
            user = self._files.blocker(self._steps[place.step_id].files)
            if not user:
                found = self._steps[place.step_id]
                self.occupy(place.step_id)
            else:
                self._parked.setdefault(user, []).append(place)
        for place in later:
            heapq.heappush(self._ready, place)
        return found

    def take_this(self, step_id: str) -> Step | None:
        """That very step, where it may start now; its files are in use from here on."""
        step = self._steps[step_id]
        ready = step_id in self._waiting and step_id in self._graph.ready()
        if not ready or self._files.blocker(step.files):
            return None
        self.occupy(step_id)
        return step

    def _offer(self, step_ids: Iterable[str]) -> None:
        for step_id in step_ids:
            if step_id in self._waiting:
                step = self._steps[step_id]
                place = _Place(-step.priority, -self._graph.remaining(step_id), self._positions[step_id], step_id)
                heapq.heappush(self._ready, place)
