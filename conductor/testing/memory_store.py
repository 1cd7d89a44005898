"""A Store in memory that keeps the store contract: for tests of what stands on one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from conductor.domain.errors import NoSuchProject, NoSuchRun, UsageError
from conductor.domain.run import (
    OPEN_DELEGATIONS,
    Activity,
    Changes,
    Delegation,
    Heartbeat,
    Project,
    Run,
    StepState,
    Wish,
)

T = TypeVar("T")


@dataclass
class _Shelves:
    """What a database would hold. Dicts keep the order in which keys were first written."""

    turn: threading.RLock = field(default_factory=threading.RLock)
    writes: int = 0
    projects: dict[str, Project] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    steps: dict[str, dict[str, StepState]] = field(default_factory=dict)
    delegations: dict[str, Delegation] = field(default_factory=dict)
    wishes: dict[str, Wish] = field(default_factory=dict)
    heartbeats: dict[str, Heartbeat] = field(default_factory=dict)
    activity: list[Activity] = field(default_factory=list)
    happened: int = 0
    """How many activities there ever were."""
    documents: dict[str, Mapping[str, Any]] = field(default_factory=dict)


class MemoryStore:
    """`another()` is what a second process would hold. Nothing is written down: it ends with its process."""

    def __init__(self, shelves: _Shelves | None = None) -> None:
        self._shelves = shelves or _Shelves()
        self._own_writes = 0

    def another(self) -> MemoryStore:
        return MemoryStore(self._shelves)

    # -- projects

    def add_project(self, project: Project) -> None:
        with self._shelves.turn:
            if project.name in self._shelves.projects:
                raise UsageError(f"there is a project {project.name!r} already: choose another name")
            self._keep_project(project)

    def save_project(self, project: Project) -> None:
        with self._shelves.turn:
            if project.name not in self._shelves.projects:
                raise NoSuchProject(project.name)
            self._keep_project(project)

    def _keep_project(self, project: Project) -> None:
        self._shelves.projects[project.name] = replace(project, state=_as_json(project.state))
        self._written()

    def project(self, name: str) -> Project | None:
        return self._shelves.projects.get(name)

    def projects(self) -> list[Project]:
        return [self._shelves.projects[name] for name in sorted(self._shelves.projects)]

    # -- runs

    def add_run(self, run: Run, steps: Sequence[StepState] = ()) -> None:
        with self._shelves.turn:
            if run.id in self._shelves.runs:
                raise UsageError(f"there is a run {run.id!r} already: choose another id")
            self.replace_steps(run, steps)

    def replace_steps(self, run: Run, steps: Sequence[StepState]) -> None:
        with self._shelves.turn:
            self._shelves.runs[run.id] = run
            self._shelves.steps[run.id] = {state.step.id: state for state in steps}
            self._written()

    def save(self, changes: Changes) -> None:
        activity = [replace(one, facts=_as_json(one.facts)) for one in changes.activity]
        with self._shelves.turn:
            known = {*self._shelves.runs, changes.run.id if changes.run else ""}
            for run_id in (*(one.run_id for one in changes.steps), *(one.run_id for one in changes.delegations)):
                if run_id not in known:
                    raise NoSuchRun(run_id)
            if changes.run:
                self._shelves.runs[changes.run.id] = changes.run
            for state in changes.steps:
                self._shelves.steps.setdefault(state.run_id, {})[state.step.id] = state
            for delegation in changes.delegations:
                self._shelves.delegations[delegation.task_id] = delegation
            for one in activity:
                self._shelves.happened += 1
                self._shelves.activity.append(replace(one, sequence=self._shelves.happened))
            self._written()

    def forget(self, run_id: str) -> None:
        with self._shelves.turn:
            found = self._shelves.runs.get(run_id)
            if found is not None and not found.is_over:
                raise UsageError(f"run {run_id} is not over: `conductor runs stop {run_id}` ends it")
            for by_run in (self._shelves.runs, self._shelves.steps, self._shelves.wishes):
                by_run.pop(run_id, None)
            rounds = self._shelves.delegations
            self._shelves.delegations = {one: rounds[one] for one in rounds if rounds[one].run_id != run_id}
            self._shelves.activity = [one for one in self._shelves.activity if one.run_id != run_id]
            self._written()

    def run(self, run_id: str) -> Run | None:
        return self._shelves.runs.get(run_id)

    def runs(self, project: str = "", *, active: bool = False, limit: int = 0) -> list[Run]:
        with self._shelves.turn:
            latest_first = sorted(self._shelves.runs.values(), key=lambda run: run.created)[::-1]
        wanted = [run for run in latest_first if project in ("", run.project) and not (active and run.is_over)]
        return _limited(wanted, limit)

    def steps(self, run_id: str) -> list[StepState]:
        with self._shelves.turn:
            return sorted(self._shelves.steps.get(run_id, {}).values(), key=lambda state: state.position)

    def delegations(self, run_id: str, step_id: str = "") -> list[Delegation]:
        return self._delegations(lambda one: one.run_id == run_id and step_id in ("", one.step_id))

    def open_delegations(self, project: str) -> list[Delegation]:
        runs = {run.id for run in self.runs(project) if run.project == project}
        return self._delegations(lambda one: one.run_id in runs and one.state in OPEN_DELEGATIONS)

    def _delegations(self, wanted: Callable[[Delegation], bool]) -> list[Delegation]:
        with self._shelves.turn:
            found = [delegation for delegation in self._shelves.delegations.values() if wanted(delegation)]
        return sorted(found, key=lambda delegation: delegation.created)

    # -- wishes

    def wish(self, run_id: str) -> Wish:
        return self._shelves.wishes.get(run_id, Wish(run_id))

    def stop(self, run_id: str) -> None:
        self._wish(run_id, lambda wish: replace(wish, stop=True))

    def resume(self, run_id: str) -> None:
        with self._shelves.turn:
            if run_id in self._shelves.wishes:
                self._wish(run_id, lambda wish: replace(wish, stop=False))

    def approve(self, run_id: str, asked: int) -> None:
        self._wish(run_id, lambda wish: replace(wish, approved=max(wish.approved, asked)))

    def accept(self, run_id: str, step_id: str) -> None:
        def accepted(wish: Wish) -> Wish:
            wish = replace(_without(wish, step_id), stop=False)
            return replace(wish, accept=(*wish.accept, step_id))

        self._wish(run_id, accepted)

    def again(self, run_id: str, step_id: str) -> None:
        def again(wish: Wish) -> Wish:
            wish = replace(_without(wish, step_id), stop=False)
            return replace(wish, again=(*wish.again, step_id))

        self._wish(run_id, again)

    def granted(self, run_id: str, step_id: str) -> None:
        with self._shelves.turn:
            if run_id in self._shelves.wishes:
                self._wish(run_id, lambda wish: _without(wish, step_id))

    def _wish(self, run_id: str, changed: Callable[[Wish], Wish]) -> None:
        with self._shelves.turn:
            if run_id not in self._shelves.runs:
                raise NoSuchRun(run_id)
            self._shelves.wishes[run_id] = changed(self.wish(run_id))
            self._written()

    # -- life signs and history

    def beat(self, heartbeat: Heartbeat) -> None:
        with self._shelves.turn:
            self._shelves.heartbeats[heartbeat.project] = replace(heartbeat, state=_as_json(heartbeat.state))
            self._written()

    def heartbeats(self) -> dict[str, Heartbeat]:
        with self._shelves.turn:
            return {project: self._shelves.heartbeats[project] for project in sorted(self._shelves.heartbeats)}

    def activity(self, after: int = 0, *, project: str = "", run_id: str = "", limit: int = 0) -> list[Activity]:
        with self._shelves.turn:
            later = [one for one in self._shelves.activity if one.sequence > after]
        wanted = [one for one in later if project in ("", one.project) and run_id in ("", one.run_id)]
        return _limited(wanted, limit)

    def remembered(self, what: str) -> Mapping[str, Any]:
        return _as_json(self._shelves.documents.get(what, {}))

    def remember(self, what: str, document: Mapping[str, Any]) -> None:
        with self._shelves.turn:
            self._shelves.documents[what] = _as_json(document)
            self._written()

    def version(self) -> int:
        with self._shelves.turn:
            return self._shelves.writes - self._own_writes

    def close(self) -> None:
        """There is nothing to let go of."""

    def _written(self) -> None:
        self._shelves.writes += 1
        self._own_writes += 1


def _without(wish: Wish, step_id: str) -> Wish:
    return replace(wish, accept=_others(wish.accept, step_id), again=_others(wish.again, step_id))


def _others(step_ids: Iterable[str], step_id: str) -> tuple[str, ...]:
    return tuple(other for other in step_ids if other != step_id)


def _limited(found: list[T], limit: int) -> list[T]:
    return found[:limit] if limit else found


def _as_json(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """A copy, as it would come back from a disk."""
    return dict(json.loads(json.dumps(mapping)))
