"""The live view of a run: what it shows, and that it always fits."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from conductor.cli.graph_view import body_lines, graph_lines, waves_in
from conductor.cli.snapshot import Snapshot
from conductor.domain.run import (
    Activity,
    Asks,
    Delegation,
    DelegationState,
    Heartbeat,
    RunStatus,
    StepState,
    StepStatus,
)
from tests.cli.pictures import NOW, RUN_ID, a_ladder, a_run, a_snapshot, a_state, a_step, an_open_round


def drawn(snapshot: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    """What a terminal of that size shows."""
    console = Console(width=width, height=height, record=True, file=StringIO())
    for line in graph_lines(snapshot, width, height):
        console.print(line)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_a_small_run_is_drawn_whole() -> None:
    states = [
        a_state(a_step("parser"), StepStatus.COMPLETED, 0),
        a_state(a_step("printer"), StepStatus.IN_PROGRESS, 1),
        a_state(a_step("cli", "parser", "printer"), StepStatus.PENDING, 2),
    ]
    event = Activity(NOW, "step_merged", "calc", RUN_ID, "parser", {"commit": "0123456789abcdef"})

    lines = drawn(a_snapshot(*states, activity=(event,)))

    assert lines[0].startswith("r-ab23cd45  Build a calculator")
    assert lines[0].endswith("running 1m40s")
    assert lines[1].endswith("  1 of 3 steps · 1 in progress · $0.25")
    assert lines[2:7] == [
        "  wave 1: 1 in progress, 1 done",
        "  ✓ parser   Make parser                 merged 012345678 · 30.0s · $0.25",
        "  ● printer  Make printer                claude:sonnet · works · 1m30s",
        "○ wave 2: 1 step to come",
        "  ○ cli      Make cli                    waits for printer",
    ]
    assert lines[7].endswith("parser: merged (commit 012345678)")
    assert len(lines) == 8


def test_waves_that_are_over_are_folded() -> None:
    lines = drawn(a_ladder(rungs=2, width=2, done=2, moving=1))

    assert "✓ wave 1: 2 steps · 30.0s · $0.50" in lines
    assert not any(" s0 " in line for line in lines)
    assert any(" s2 " in line for line in lines)


def test_of_a_long_graph_what_moves_is_shown_and_the_rest_counted() -> None:
    lines = drawn(a_ladder(rungs=20, width=50, done=520, moving=8))

    assert len(lines) <= 24
    assert "✓ waves 1-10: 500 steps · 30.0s · $125.00" in lines
    assert "  wave 11: 8 in progress, 20 done, 22 to come" in lines
    assert [line.split()[1] for line in lines if "●" in line] == [f"s{number}" for number in range(520, 528)]
    assert "○ waves 12-20: 450 steps to come" in lines


def test_where_even_what_moves_is_too_much_the_rest_is_counted() -> None:
    lines = drawn(a_ladder(rungs=3, width=100, done=0, moving=60), height=20)

    shown = [line for line in lines if "●" in line]
    assert len(shown) >= 10
    assert any(line.strip() == f"… and {60 - len(shown)} more" for line in lines)


def test_trouble_is_never_folded_away_before_what_is_well() -> None:
    snapshot = a_ladder(rungs=20, width=50, done=520, moving=2)
    broken = replace(snapshot.steps[3], status=StepStatus.NEEDS_REVIEW, reason="conflict in a.py", commit="")
    states = (*snapshot.steps[:3], broken, *snapshot.steps[4:])

    lines = drawn(replace(snapshot, steps=states))

    assert any(line.startswith("  ! s3 ") and "conflict in a.py" in line for line in lines)
    assert "1 to review" in lines[1]


def test_the_merge_queue_tells_who_is_in_it() -> None:
    states = [a_state(a_step(name), StepStatus.IN_PROGRESS) for name in ("a", "b", "c")]
    opened = tuple(an_open_round(state, DelegationState.MERGING) for state in states[:2])

    assert "merge queue: a, b" in drawn(a_snapshot(*states, delegations=opened))
    assert not any("merge queue:" in line for line in drawn(a_snapshot(*states)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"run": a_run(status=RunStatus.WAITING, asks=Asks.PLAN, asked=1), "delegations": ()},
            "waits for you: the plan: conductor approve r-ab23cd45",
        ),
        ({"daemon": False}, "no conductord runs on this home: start one with `conductord`, the run g"),
        ({"beat": Heartbeat("calc", "o-1", NOW - 700)}, "its orchestrator said nothing for 11m40s: conductord"),
    ],
)
def test_what_a_run_waits_for_is_told(changes: dict[str, object], said: str) -> None:
    snapshot = replace(a_snapshot(a_state(a_step("a"))), **changes)  # type: ignore[arg-type]

    assert any(line.startswith(said) for line in drawn(snapshot))


def test_while_the_request_is_taken_apart_it_says_by_whom_and_how_often() -> None:
    opened = Delegation("t", RUN_ID, "plan", 2, DelegationState.WORKING, NOW, agent="claude", model="opus")

    lines = drawn(a_snapshot(run=a_run(status=RunStatus.PLANNING), delegations=(opened,), tasks={}))

    assert lines[1] == "a model takes the request apart: claude:opus, attempt 2"


def test_of_a_long_id_both_ends_are_shown() -> None:
    states = [a_state(a_step(f"NFCORE_BACASS.BACASS.FASTQC_{number}")) for number in (1, 2)]

    lines = drawn(a_snapshot(*states))

    assert [line.split()[1] for line in lines if "is next" in line] == ["NFCORE_B….FASTQC_1", "NFCORE_B….FASTQC_2"]


def test_escape_sequences_of_strangers_do_not_reach_the_terminal() -> None:
    state = a_state(a_step("a", title="x\x1b]0;owned\x07\u202ey\nz"), StepStatus.FAILED, reason="\x1b[2J")
    event = Activity(NOW, "step_failed", "calc", RUN_ID, "a", {"reason": "\x1b[31m"})

    lines = drawn(a_snapshot(state, run=a_run(title="t\x1b[2J\r"), activity=(event,)))

    assert not any(char in line for line in lines for char in "\x1b\x07\u202e\r")


def test_the_waves_are_those_in_which_each_step_can_come_at_the_earliest() -> None:
    states = [a_state(a_step(*names)) for names in (("d", "c", "a"), ("a",), ("c", "b"), ("b", "a"))]

    assert [[state.step.id for state in wave.steps] for wave in waves_in(a_snapshot(*states))] == [
        ["a"], ["b"], ["c"], ["d"],
    ]  # fmt: skip


STATUSES = st.sampled_from(list(StepStatus))
TITLES = st.text(max_size=60)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    states: list[StepState] = []
    for number in range(draw(st.integers(0, 40))):
        earlier = st.sampled_from([state.step.id for state in states]) if states else st.nothing()
        needed = draw(st.lists(earlier, max_size=3)) if states else []
        step = a_step(f"step-{number}", *needed, title=draw(TITLES))
        states.append(a_state(step, draw(STATUSES), number, reason=draw(TITLES)))
    run = a_run(status=draw(st.sampled_from(list(RunStatus))), title=draw(TITLES), asks=draw(st.sampled_from(Asks)))
    events = tuple(Activity(NOW, "step_merged", facts={"reason": draw(TITLES)}) for _ in range(draw(st.integers(0, 9))))
    return a_snapshot(*states, run=run, activity=events, daemon=draw(st.booleans()))


@settings(max_examples=60)
@given(snapshots(), st.integers(10, 200), st.integers(0, 60))
def test_the_view_is_never_larger_than_the_terminal(snapshot: Snapshot, width: int, height: int) -> None:
    lines = graph_lines(snapshot, width, height)

    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert all("\n" not in line.plain for line in lines)
    assert len(body_lines(snapshot, width, height)) <= height


@settings(max_examples=40)
@given(snapshots())
def test_every_step_that_moves_is_shown_where_there_is_room_for_all(snapshot: Snapshot) -> None:
    text = "\n".join(line.plain for line in graph_lines(snapshot, 120, 120))

    assert all(f"● {state.step.id} " in text for state in snapshot.steps if state.status is StepStatus.IN_PROGRESS)
