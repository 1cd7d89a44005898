"""One run as its orchestrator holds it in memory: changed and written in one step, never one without the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from conductor.domain.overlap import FilesInUse
from conductor.domain.run import OPEN_DELEGATIONS, Delegation, Run, StepState, StepStatus
from conductor.domain.task import TaskSpec
from conductor.orchestrator.journal import Journal
from conductor.orchestrator.schedule import Schedule
from conductor.ports.orchestration import Store


class Board:
    """`open` has the delegations that are not over, by task id; `specs` the tasks that were emitted for them."""

    def __init__(self, run: Run, store: Store, journal: Journal, files: FilesInUse) -> None:
        self.run = run
        self._store = store
        self._journal = journal
        self._files = files
        self.latest: dict[str, Delegation] = {}
        """The latest round of each step."""
        self.paths: dict[str, tuple[str, ...]] = {}
        """What each step changed, as far as this process has seen it."""
        self.states: dict[str, StepState] = {}
        self.open: dict[str, Delegation] = {}
        self.specs: dict[str, TaskSpec] = {}
        self._counts: dict[StepStatus, int] = {}
        self._load(store.steps(run.id))
        for delegation in store.delegations(run.id):
            self.latest[delegation.step_id] = delegation
            if delegation.state in OPEN_DELEGATIONS:
                self.open[delegation.task_id] = delegation
                if delegation.step_id in self.states:
                    self.schedule.occupy(delegation.step_id)

    def _load(self, states: Iterable[StepState]) -> None:
        self.states = {state.step.id: state for state in states}
        self.schedule = Schedule(self.run.id, list(self.states.values()), self._files)
        done = (state for state in self.states.values() if state.status is StepStatus.COMPLETED)
        self._merged = [state.step.id for state in sorted(done, key=lambda state: state.ended)]
        self._counts = {}
        for state in self.states.values():
            self._counts[state.status] = self._counts.get(state.status, 0) + 1

    # -- looking

    def count(self, *statuses: StepStatus) -> int:
        return sum(self._counts.get(status, 0) for status in statuses)

    def in_status(self, *statuses: StepStatus) -> list[StepState]:
        return [state for state in self.states.values() if state.status in statuses]

    def merged(self, most: int = 0) -> tuple[StepState, ...]:
        """In the order in which they were merged; `most`: the latest ones."""
        return tuple(self.states[step_id] for step_id in self._merged[-most:])

    def rounds_of(self, step_id: str) -> tuple[Delegation, ...]:
        """All rounds of a step, oldest first, from the store."""
        return tuple(self._store.delegations(self.run.id, step_id))

    def all_rounds(self) -> tuple[Delegation, ...]:
        return tuple(self._store.delegations(self.run.id))

    # -- changing

    def note(self, action: str, step_id: str = "", **facts: Any) -> None:
        """What happened; written with the next change."""
        self._journal.note(action, self.run.id, step_id, **facts)

    def set_run(self, **fields: Any) -> None:
        self.run = replace(self.run, **fields)
        self._journal.save(self.run)

    def set_plan(self, run: Run, states: tuple[StepState, ...]) -> None:
        self.run = run
        self._journal.replace_steps(run, states)
        self._load(states)

    def set_steps(self, step_ids: Iterable[str], **fields: Any) -> None:
        changed = tuple(self._changed(step_id, fields) for step_id in step_ids)
        if changed:
            self._journal.save(None, changed)

    def set_round(self, delegation: Delegation, **fields: Any) -> None:
        """The delegation as it is now, and with `fields` its step, in one transaction."""
        changed = delegation.step_id in self.states and fields
        self._remember(delegation)
        self._journal.save(None, (self._changed(delegation.step_id, fields),) if changed else (), (delegation,))

    def give_up(self, step_id: str, delegation: Delegation | None, **fields: Any) -> None:
        """The step will not come, and nothing that depends on it: one transaction with the round that decided it."""
        stuck = {"status": StepStatus.BLOCKED, "reason": f"{step_id} did not come", "ended": fields.get("ended", 0.0)}
        blocked = self.schedule.given_up(step_id)
        changed = (self._changed(step_id, fields), *(self._changed(one, stuck) for one in blocked))
        if delegation is not None:
            self._remember(delegation)
        self._journal.save(None, changed, (delegation,) if delegation is not None else ())

    def _remember(self, delegation: Delegation) -> None:
        self.latest[delegation.step_id] = delegation
        if delegation.state in OPEN_DELEGATIONS:
            self.open[delegation.task_id] = delegation
        else:
            self.open.pop(delegation.task_id, None)
            self.specs.pop(delegation.task_id, None)

    def _changed(self, step_id: str, fields: dict[str, Any]) -> StepState:
        before = self.states[step_id]
        after = self.states[step_id] = replace(before, **fields)
        if before.status is not after.status:
            self._counts[before.status] -= 1
            if after.status is StepStatus.COMPLETED:
                self._merged.append(step_id)
            self._counts[after.status] = self._counts.get(after.status, 0) + 1
        return after
