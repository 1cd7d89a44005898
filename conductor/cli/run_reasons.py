"""Why a run or a step stands where it stands, and what a run has to say of its task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from conductor.cli.finding import find_run, find_step
from conductor.cli.run_follower import RunFollower
from conductor.cli.run_story import ending, notes
from conductor.cli.snapshot import Snapshot
from conductor.cli.step_reasons import StepReasons
from conductor.domain.run import StepState

if TYPE_CHECKING:
    from conductor.cli.watching import Desk

_MOST_STEPS = 20


def why_run(desk: Desk, run_id: str) -> Iterator[str]:
    """Of the run, and of each step of it that is not over. Raises NoSuchRun, UsageError."""
    snapshot = _look(desk, run_id)
    if snapshot.run.is_over:
        yield ending(snapshot)
        return
    yield f"{snapshot.run.id} is {snapshot.run.status.value.replace('_', ' ')}"
    yield from notes(snapshot)
    reasons = _reasons(desk, snapshot)
    left = [state for state in snapshot.steps if not state.is_over]
    yield from (f"{state.step.id}: {reasons.of(state)}" for state in left[:_MOST_STEPS])
    if len(left) > _MOST_STEPS:
        yield f"and {len(left) - _MOST_STEPS} more: `conductor runs show {snapshot.run.id}`"


def why_step(desk: Desk, run_id: str, step_id: str) -> Iterator[str]:
    """Raises NoSuchRun, UsageError."""
    snapshot = _look(desk, run_id)
    state = find_step(desk.store, snapshot.run, step_id)
    yield from _of_step(desk, snapshot, state)


def of_task(desk: Desk, task_id: str) -> list[str]:
    """What the run of that task says of it; nothing where it is no task of a run. Also for one that is not handed out
    yet."""
    run_id, _, rest = task_id.partition(".")
    if not rest or desk.store.run(run_id) is None:
        return []
    snapshot = _look(desk, run_id)
    given = {one.task_id: one.step_id for one in desk.store.delegations(run_id)}
    step_id = given.get(task_id, rest.rpartition(".")[0])
    state = next((one for one in snapshot.steps if one.step.id == step_id), None)
    if state is None:
        return [f"it serves run {run_id}, which is {snapshot.run.status.value}: `conductor why {run_id}`"]
    return list(_of_step(desk, snapshot, state))


def _of_step(desk: Desk, snapshot: Snapshot, state: StepState) -> Iterator[str]:
    told = _reasons(desk, snapshot).of(state)
    yield f"step {state.step.id} of {snapshot.run.id}, {state.status.value.replace('_', ' ')}: {told}"
    if not state.is_over:
        yield from notes(snapshot)


def _reasons(desk: Desk, snapshot: Snapshot) -> StepReasons:
    run = snapshot.run
    wip = run.wip or desk.settings.orchestration_of(run.project).wip or 2 * desk.settings.workers
    return StepReasons(snapshot, wip=wip)


def _look(desk: Desk, run_id: str) -> Snapshot:
    run = find_run(desk.store, run_id)
    return RunFollower(desk.store, desk.layout, desk.settings, run.id).look()
