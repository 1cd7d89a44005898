"""Why a step stands where it stands: what it waits for, who works on it, how it ended. Pure."""

from __future__ import annotations

from conductor.cli.snapshot import Snapshot
from conductor.cli.wording import many, names, one_line
from conductor.domain.overlap import overlaps
from conductor.domain.run import Asks, Delegation, DelegationState, StepState, StepStatus

_WILL_NOT_COME = frozenset({StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.BLOCKED, StepStatus.CANCELLED})


class StepReasons:
    """Answers for the steps of one snapshot. `wip`: the most steps in progress at once; 0: not known here."""

    def __init__(self, snapshot: Snapshot, *, wip: int = 0) -> None:
        self._snapshot = snapshot
        self._wip = wip
        self._states = {state.step.id: state for state in snapshot.steps}
        self._moving = [state for state in snapshot.steps if state.status is StepStatus.IN_PROGRESS]
        self._delegations = {one.step_id: one for one in snapshot.delegations}

    def of(self, state: StepState) -> str:
        """One line: never empty."""
        match state.status:
            case StepStatus.PENDING:
                return self._what_holds(state)
            case StepStatus.IN_PROGRESS:
                return self._progress(state)
            case StepStatus.COMPLETED:
                return f"merged {state.commit[:9]}" if state.commit else "done"
            case StepStatus.BLOCKED:
                return one_line(state.reason) or self._blocked(state)
        return one_line(state.reason) or state.status.value.replace("_", " ")

    def delegation(self, state: StepState) -> Delegation | None:
        """Its open round."""
        return self._delegations.get(state.step.id)

    # -- inside

    def _what_holds(self, state: StepState) -> str:
        run = self._snapshot.run
        if run.is_over:
            return f"the run is over: {run.status.value.replace('_', ' ')}"
        needed = [self._states[one] for one in state.step.depends_on if one in self._states]
        lost = [one.step.id for one in needed if one.status in _WILL_NOT_COME]
        if lost:
            return f"waits for {names(lost)}, which did not come"
        missing = [one.step.id for one in needed if one.status is not StepStatus.COMPLETED]
        if missing:
            return f"waits for {names(missing)}"
        return self._held_though_ready(state)

    def _held_though_ready(self, state: StepState) -> str:
        snapshot, run = self._snapshot, self._snapshot.run
        if snapshot.asks_now and (run.asks is not Asks.WAVE or state.step.id in run.asked_for):
            return "waits for your approval"
        if run.sequential and self._moving:
            return f"one step at a time: waits for {self._moving[0].step.id}"
        met = [one.step.id for one in self._moving if overlaps(state.step.files, one.step.files)]
        if met:
            return f"touches the same files as {names(met)}"
        if self._wip and len(self._moving) >= self._wip:
            return f"{many(len(self._moving), 'step')} in progress, as many as may be"
        if not snapshot.daemon:
            return "no conductord runs"
        return "is next"

    def _progress(self, state: StepState) -> str:
        found = self._delegations.get(state.step.id)
        told = self._round_told(found) if found else "goes back for another round"
        return f"{told}, round {state.round}" if state.round > 1 else told

    def _round_told(self, found: Delegation) -> str:
        match found.state:
            case DelegationState.SPAWNING:
                return "is handed out"
            case DelegationState.RETURNED:
                return "its work is taken"
            case DelegationState.MERGING:
                return "in the merge queue"
        look = self._snapshot.tasks.get(found.task_id)
        if look is None:
            return "works"
        return f"{look.state}: {one_line(look.obstacle)}" if look.obstacle else look.state

    def _blocked(self, state: StepState) -> str:
        lost = [
            one for one in state.step.depends_on if one in self._states and self._states[one].status in _WILL_NOT_COME
        ]
        return f"{names(lost)} did not come" if lost else "something that it depends on will not come"
