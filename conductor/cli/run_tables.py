"""Runs and steps as tables of plain lines: for `runs`, `runs show` and the end of a watch. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from conductor.cli.snapshot import Snapshot
from conductor.cli.step_reasons import StepReasons
from conductor.cli.waves import waves_of
from conductor.cli.wording import doer, money, one_line
from conductor.domain.durations import format_duration
from conductor.domain.run import Run, StepState, StepStatus

_MOST_IN_SUMMARY = 40
_LONGEST_REASON = 300
_STEP_HEAD = ("WAVE", "STEP", "STATUS", "ROUND", "TIME", "COST", "AGENT", "WHY")
_RUN_HEAD = ("RUN", "STATUS", "PROJECT", "STEPS", "TIME", "TITLE")
_LONGEST_TITLE = 60


def summary(snapshot: Snapshot) -> list[str]:
    """The steps at the end of a run: all; of many, those that did not come."""
    if len(snapshot.steps) <= _MOST_IN_SUMMARY:
        return steps_table(snapshot, snapshot.steps)
    missing = [state for state in snapshot.steps if state.status is not StepStatus.COMPLETED]
    return steps_table(snapshot, missing) if missing else []


def steps_table(snapshot: Snapshot, states: Sequence[StepState], *, wip: int = 0) -> list[str]:
    """A line for each of `states`, wave by wave, with why it stands where it stands."""
    waves = waves_of([state.step for state in snapshot.steps])
    reasons = StepReasons(snapshot, wip=wip)
    ordered = sorted(states, key=lambda state: (waves[state.step.id], state.position))
    rows = [
        (
            str(waves[state.step.id]),
            state.step.id,
            state.status.value.replace("_", " "),
            str(state.round) if state.round else "",
            _time(state, snapshot.at),
            money(state.usd) if state.usd else "",
            doer(state.agent, state.model) if state.agent else "",
            one_line(reasons.of(state), _LONGEST_REASON),
        )
        for state in ordered
    ]
    return table(_STEP_HEAD, rows)


def _time(state: StepState, now: float) -> str:
    return format_duration(max(0.0, (state.ended or now) - state.started)) if state.started else ""


def runs_table(rows: Sequence[tuple[Run, str]], now: float) -> list[str]:
    """`rows`: each run with how many of its steps are done, as text."""
    return table(
        _RUN_HEAD,
        [
            (
                run.id,
                run.status.value.replace("_", " "),
                "-" if run.project == run.id else one_line(run.project),
                steps,
                format_duration(max(0.0, (run.ended or now) - (run.started or run.created))),
                one_line(run.title, _LONGEST_TITLE),
            )
            for run, steps in rows
        ],
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns as wide as they need, those that are empty throughout left out; none without rows."""
    if not rows:
        return []
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines = [[line[column] for column in kept] for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(kept))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
