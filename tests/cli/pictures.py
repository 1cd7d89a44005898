"""Snapshots of runs, made up for the views that are drawn from them."""

from __future__ import annotations

from typing import Any

from conductor.cli.snapshot import Snapshot, TaskLook
from conductor.domain.plan import Step
from conductor.domain.run import (
    Delegation,
    DelegationState,
    Run,
    RunStatus,
    StepState,
    StepStatus,
    task_id_of,
)

RUN_ID = "r-ab23cd45"
BEGAN = 1_800_000_000.0
NOW = BEGAN + 100


def a_run(**changes: Any) -> Run:
    facts = {
        "id": RUN_ID, "project": "calc", "title": "Build a calculator", "status": RunStatus.RUNNING,
        "created": BEGAN, "started": BEGAN, "workspace": "/home/me/calc", "branch": f"conductor/{RUN_ID}",
        "target": "main",
    }  # fmt: skip
    return Run(**{**facts, **changes})


def a_step(step_id: str, *depends_on: str, **changes: Any) -> Step:
    return Step(step_id, changes.pop("title", f"Make {step_id}"), "As it says.", depends_on=depends_on, **changes)


def a_state(step: Step, status: StepStatus = StepStatus.PENDING, position: int = 0, **changes: Any) -> StepState:
    known: dict[str, Any] = {}
    if status is not StepStatus.PENDING:
        known = {"round": 1, "agent": "claude", "model": "sonnet", "started": BEGAN + 10, "usd": 0.25}
    if status is StepStatus.COMPLETED:
        known |= {"commit": "0123456789abcdef", "ended": BEGAN + 40}
    if status is StepStatus.IN_PROGRESS:
        known |= {"usd": 0.0}
    return StepState(RUN_ID, step, position, status, **{**known, **changes})


def an_open_round(state: StepState, stage: DelegationState = DelegationState.WORKING, **changes: Any) -> Delegation:
    task_id = task_id_of(RUN_ID, state.step.id, max(1, state.round))
    return Delegation(task_id, RUN_ID, state.step.id, max(1, state.round), stage, BEGAN + 10, **changes)


def a_snapshot(*states: StepState, **changes: Any) -> Snapshot:
    """With an open round for each step in progress, whose task works, unless `delegations` says otherwise."""
    opened = tuple(an_open_round(state) for state in states if state.status is StepStatus.IN_PROGRESS)
    facts: dict[str, Any] = {"run": a_run(), "at": NOW, "delegations": opened}
    facts |= changes
    facts.setdefault("tasks", {one.task_id: TaskLook("works") for one in facts["delegations"]})
    return Snapshot(steps=states, **facts)


def a_ladder(rungs: int, width: int, done: int, moving: int) -> Snapshot:
    """`rungs` waves of `width` steps, each after all of the wave before; the first `done` are over."""
    states = []
    for number in range(rungs * width):
        rung = number // width
        needed = [f"s{one}" for one in range((rung - 1) * width, rung * width)] if rung else []
        over = number < done
        status = StepStatus.COMPLETED if over else StepStatus.PENDING
        status = StepStatus.IN_PROGRESS if done <= number < done + moving else status
        states.append(a_state(a_step(f"s{number}", *needed), status, number))
    return a_snapshot(*states)
