"""Why a step stands where it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conductor.cli.snapshot import Snapshot, TaskLook
from conductor.cli.step_reasons import StepReasons
from conductor.domain.run import Asks, DelegationState, RunStatus, StepState, StepStatus
from tests.cli.pictures import a_run, a_snapshot, a_state, a_step, an_open_round

IN_PROGRESS, COMPLETED, PENDING = StepStatus.IN_PROGRESS, StepStatus.COMPLETED, StepStatus.PENDING


def reason(snapshot: Snapshot, step_id: str, *, wip: int = 0) -> str:
    state = next(state for state in snapshot.steps if state.step.id == step_id)
    return StepReasons(snapshot, wip=wip).of(state)


# -- what a step waits for


def test_a_step_waits_for_what_it_depends_on_and_is_not_there_yet() -> None:
    snapshot = a_snapshot(
        a_state(a_step("a"), COMPLETED), a_state(a_step("b"), IN_PROGRESS), a_state(a_step("c", "a", "b"))
    )

    assert reason(snapshot, "c") == "waits for b"


@pytest.mark.parametrize("status", [StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.CANCELLED])
def test_a_step_whose_dependency_is_lost_says_so(status: StepStatus) -> None:
    snapshot = a_snapshot(a_state(a_step("a"), status), a_state(a_step("b", "a")))

    assert reason(snapshot, "b") == "waits for a, which did not come"


def test_many_dependencies_are_counted() -> None:
    needed = [a_state(a_step(f"n{number}")) for number in range(9)]
    last = a_state(a_step("last", *(state.step.id for state in needed)))

    assert reason(a_snapshot(*needed, last), "last") == "waits for n0, n1, n2 and 6 more"


def test_a_step_whose_files_overlap_with_one_in_progress_names_that_one() -> None:
    snapshot = a_snapshot(
        a_state(a_step("a", files=("src/*.py",)), IN_PROGRESS),
        a_state(a_step("b", files=("src/app.py",))),
        a_state(a_step("c", files=("docs/**",))),
    )

    assert reason(snapshot, "b") == "touches the same files as a"
    assert reason(snapshot, "c") == "is next"


def test_the_limit_of_steps_in_progress_is_told() -> None:
    snapshot = a_snapshot(a_state(a_step("a"), IN_PROGRESS), a_state(a_step("b"), IN_PROGRESS), a_state(a_step("c")))

    assert reason(snapshot, "c", wip=2) == "2 steps in progress, as many as may be"
    assert reason(snapshot, "c", wip=3) == "is next"


def test_in_a_run_of_one_step_at_a_time_the_next_waits_for_the_one_in_progress() -> None:
    states = (a_state(a_step("a"), IN_PROGRESS), a_state(a_step("b")))

    assert reason(a_snapshot(*states, run=a_run(sequential=True)), "b") == "one step at a time: waits for a"


@pytest.mark.parametrize(
    ("asks", "asked_for", "told"),
    [
        (Asks.PLAN, (), "waits for your approval"),
        (Asks.COMMANDS, ("make",), "waits for your approval"),
        (Asks.WAVE, ("a",), "waits for your approval"),
        (Asks.WAVE, ("b",), "is next"),
    ],
)
def test_what_a_person_has_to_approve_waits_for_that(asks: Asks, asked_for: tuple[str, ...], told: str) -> None:
    run = a_run(status=RunStatus.WAITING, asks=asks, asked=1, asked_for=asked_for)
    waiting = a_snapshot(a_state(a_step("a")), run=run)

    assert reason(waiting, "a") == told
    assert reason(replace(waiting, approved=1), "a") == "is next"


def test_nothing_starts_after_the_run_is_over_or_without_conductord() -> None:
    stopped = a_snapshot(a_state(a_step("a")), run=a_run(status=RunStatus.STOPPED))

    assert reason(stopped, "a") == "the run is over: stopped"
    assert reason(a_snapshot(a_state(a_step("a")), daemon=False), "a") == "no conductord runs"


# -- what is done with it


@pytest.mark.parametrize(
    ("stage", "look", "told"),
    [
        (DelegationState.SPAWNING, None, "is handed out"),
        (DelegationState.WORKING, None, "works"),
        (DelegationState.WORKING, TaskLook("queued"), "queued"),
        (DelegationState.WORKING, TaskLook("queued", "claude is limited"), "queued: claude is limited"),
        (DelegationState.RETURNED, None, "its work is taken"),
        (DelegationState.MERGING, None, "in the merge queue"),
    ],
)
def test_a_step_in_progress_tells_where_its_work_is(stage: DelegationState, look: TaskLook | None, told: str) -> None:
    state = a_state(a_step("a"), IN_PROGRESS)
    opened = an_open_round(state, stage)
    tasks = {opened.task_id: look} if look else {}

    assert reason(a_snapshot(state, delegations=(opened,), tasks=tasks), "a") == told


def test_a_further_round_is_told() -> None:
    again = a_state(a_step("a"), IN_PROGRESS, round=3)

    assert reason(a_snapshot(again), "a") == "works, round 3"
    assert reason(a_snapshot(again, delegations=()), "a") == "goes back for another round, round 3"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (a_state(a_step("a"), COMPLETED), "merged 012345678"),
        (a_state(a_step("a"), COMPLETED, commit=""), "done"),
        (a_state(a_step("a"), StepStatus.FAILED, reason="exit code 1"), "exit code 1"),
        (a_state(a_step("a"), StepStatus.FAILED), "failed"),
        (a_state(a_step("a"), StepStatus.NEEDS_REVIEW, reason="two\nlines\x1b[2J"), "two lines·[2J"),
        (a_state(a_step("a", "gone"), StepStatus.BLOCKED), "something that it depends on will not come"),
        (a_state(a_step("a"), StepStatus.CANCELLED), "cancelled"),
    ],
)
def test_a_step_that_is_over_tells_how(state: StepState, told: str) -> None:
    assert reason(a_snapshot(state), "a") == told


def test_a_blocked_step_without_a_reason_names_what_it_lost() -> None:
    snapshot = a_snapshot(a_state(a_step("a"), StepStatus.FAILED), a_state(a_step("b", "a"), StepStatus.BLOCKED))

    assert reason(snapshot, "b") == "a did not come"
