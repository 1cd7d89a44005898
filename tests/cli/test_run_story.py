"""What is told of a run: events, what to know, the end and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from conductor.cli.run_story import asked, ending, kept, notes, told
from conductor.cli.snapshot import TaskLook
from conductor.domain.run import Activity, Asks, DelegationState, RunStatus, StepStatus
from tests.cli.pictures import NOW, RUN_ID, a_run, a_snapshot, a_state, a_step, an_open_round


@pytest.mark.parametrize(
    ("action", "step_id", "facts", "said"),
    [
        ("run_started", "", {}, "run started"),
        ("step_merged", "a", {"commit": "0123456789abcdef", "seconds": 12}, "a: merged (commit 012345678, 12.0s)"),
        ("step_bounced", "a", {"reason": "conflict in a.py", "round": 2}, "a: bounced (conflict in a.py, round 2)"),
        ("plan_refused", "", {"faults": ["x", "y"]}, "plan refused (faults x, y)"),
        ("step_ended", "a", {"usd": 0.5, "reason": "", "empty": None}, "a: ended ($0.50)"),
        ("never_heard_of", "a", {"odd": {"x": 1}}, "a: never heard of (odd {'x': 1})"),
        ("step_failed", "a", {"reason": "\x1b[2J\nboo", "seconds": "soon"}, "a: failed (·[2J boo, seconds soon)"),
    ],
)
def test_every_event_is_a_line_whatever_it_is_called(
    action: str, step_id: str, facts: dict[str, Any], said: str
) -> None:
    line = told(Activity(NOW, action, "calc", RUN_ID, step_id, facts))

    assert line.split(" ", 1)[1] == said


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (a_run(asks=Asks.PLAN), "the plan"),
        (a_run(asks=Asks.WAVE, asked_for=("a", "b")), "the next wave (a, b)"),
        (a_run(asks=Asks.COMMANDS, asked_for=("make",)), "1 command that a model wrote"),
        (a_run(asks=Asks.COMMANDS, asked_for=("make", "ls")), "2 commands that a model wrote"),
    ],
)
def test_what_is_asked_for_is_named(run: Any, said: str) -> None:
    assert asked(run) == said


def test_a_limit_that_holds_several_steps_is_told_once() -> None:
    states = [a_state(a_step(name), StepStatus.IN_PROGRESS) for name in ("a", "b")]
    snapshot = a_snapshot(*states)
    limited = {task_id: TaskLook("queued", "claude is limited until 15:00") for task_id in snapshot.tasks}

    assert notes(a_snapshot(*states, tasks=limited)) == ["limit: claude is limited until 15:00"]


def test_a_run_that_was_approved_meanwhile_asks_no_more() -> None:
    run = a_run(status=RunStatus.WAITING, asks=Asks.PLAN, asked=2)

    assert notes(a_snapshot(run=run, approved=1)) == [f"waits for you: the plan: conductor approve {RUN_ID}"]
    assert notes(a_snapshot(run=run, approved=2)) == []


def test_the_end_counts_what_came_and_what_did_not() -> None:
    run = a_run(status=RunStatus.NEEDS_REVIEW, ended=NOW + 20, reason="1 step is held")
    states = [
        a_state(a_step("a"), StepStatus.COMPLETED, tokens=1200),
        a_state(a_step("b"), StepStatus.NEEDS_REVIEW),
        a_state(a_step("c", "b"), StepStatus.BLOCKED),
    ]

    assert ending(a_snapshot(*states, run=run)) == (
        f"{RUN_ID} needs review (1 step is held): 1 of 3 steps in 2m00s, 1 needs review, 1 blocked, $0.75, 1,200 tokens"
    )


def test_a_completed_run_says_where_its_commits_are() -> None:
    run = a_run(status=RunStatus.COMPLETED, report="/home/me/review.md", pull_request="https://example.org/1")

    assert kept(a_snapshot(a_state(a_step("a"), StepStatus.COMPLETED), run=run), {}) == [
        "pull request: https://example.org/1",
        "merged: on main in /home/me/calc",
        "review: /home/me/review.md",
    ]


def test_what_was_not_merged_is_told_with_where_it_is_and_what_can_be_done() -> None:
    run = a_run(status=RunStatus.NEEDS_REVIEW)
    held = a_state(a_step("a"), StepStatus.NEEDS_REVIEW, reason="conflict in a.py")
    failed = a_state(a_step("b"), StepStatus.FAILED)
    rounds = {
        "a": an_open_round(held, DelegationState.HELD, work="fedcba9876543210"),
        "b": an_open_round(failed, DelegationState.FAILED, worktree="/home/me/w/b"),
    }

    assert kept(a_snapshot(held, failed, run=run), rounds) == [
        f"kept: what was merged is on conductor/{RUN_ID} in /home/me/calc",
        "needs review: a: conflict in a.py",
        f"  what was said: conductor logs {RUN_ID}.a.1",
        "  its work is kept: git -C /home/me/calc show fedcba987654",
        f"  take it as it is: conductor approve {RUN_ID} --step a",
        f"  try it anew: conductor runs retry {RUN_ID} a",
        "failed: b: no reason was given",
        f"  what was said: conductor logs {RUN_ID}.b.1",
        f"  try it anew: conductor runs retry {RUN_ID} b",
    ]


def test_a_run_without_git_says_in_which_folder_everything_is() -> None:
    run = a_run(status=RunStatus.FAILED, isolated=False, project=RUN_ID, workspace="/home/me/here", branch="")
    failed = a_state(a_step("a"), StepStatus.FAILED, reason="exit 1")
    rounds = {"a": an_open_round(failed, DelegationState.FAILED, worktree="/home/me/here")}

    assert kept(a_snapshot(failed, run=run), rounds) == [
        "kept: everything is in /home/me/here",
        "failed: a: exit 1",
        f"  what was said: conductor logs {RUN_ID}.a.1",
        f"  try it anew: conductor runs retry {RUN_ID} a",
    ]
