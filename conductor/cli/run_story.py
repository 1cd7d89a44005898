"""What happened in a run, one line an event, and what is left when it is over. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from conductor.cli.snapshot import Snapshot
from conductor.cli.wording import many, money, names, one_line
from conductor.domain.durations import format_duration
from conductor.domain.run import Activity, Asks, Delegation, Run, RunStatus, StepState, StepStatus

_COMMITS = frozenset({"commit", "work", "base", "tip", "target"})
_KEPT = (StepStatus.NEEDS_REVIEW, StepStatus.FAILED)
_ASKED = {
    Asks.PLAN: "the plan",
    Asks.COMMANDS: "commands that a model wrote",
    Asks.WAVE: "the next wave",
}


def told(event: Activity) -> str:
    """`12:30:01 parser: merged (commit 1a2b3c4d5, 12.0s)`: the action's own words, so that none is ever lost."""
    words = event.action.replace("_", " ")
    if event.step_id:
        words = f"{event.step_id}: {words.removeprefix('step ')}"
    facts = ", ".join(_facts(event.facts.items()))
    clock = time.strftime("%H:%M:%S", time.localtime(event.at))
    return one_line(f"{clock} {words} ({facts})" if facts else f"{clock} {words}", 300)


def _facts(facts: Iterable[tuple[str, Any]]) -> Iterable[str]:
    for name, value in facts:
        if value in (None, "", [], (), {}, False):
            continue
        if name.endswith("seconds") and isinstance(value, int | float):
            yield format_duration(value)
        elif name == "usd" and isinstance(value, int | float):
            yield money(value)
        elif name in _COMMITS:
            yield f"{name} {str(value)[:9]}"
        elif name == "reason":
            yield str(value)
        elif isinstance(value, list | tuple):
            yield f"{name} {names(map(str, value))}"
        else:
            yield f"{name} {value}"


def asked(run: Run) -> str:
    """`the next wave (a, b, c)`: what is to be approved."""
    what = _ASKED.get(run.asks, "an approval")
    if run.asks is Asks.WAVE and run.asked_for:
        return f"{what} ({names(run.asked_for)})"
    if run.asks is Asks.COMMANDS:
        return f"{many(len(run.asked_for), 'command')} that a model wrote"
    return what


def notes(snapshot: Snapshot) -> list[str]:
    """What a person should know now: what the run waits for, and whom."""
    run, found = snapshot.run, []
    if snapshot.asks_now:
        found.append(f"waits for you: {asked(run)}: conductor approve {run.id}")
    elif run.status is RunStatus.WAITING and run.asks is Asks.NOTHING and run.reason:
        found.append(f"waits: {one_line(run.reason)}")
    if not run.is_over and not snapshot.daemon:
        found.append("no conductord runs on this home: start one with `conductord`, the run goes on then")
    elif not run.is_over and snapshot.beat is not None:
        silent = snapshot.at - snapshot.beat.at
        if silent > snapshot.stale_seconds:
            found.append(f"its orchestrator said nothing for {format_duration(silent)}: conductord replaces it")
    limits = {look.obstacle for look in snapshot.tasks.values() if look.obstacle}
    found.extend(f"limit: {one_line(limit)}" for limit in sorted(limits)[:2])
    return found


def ending(snapshot: Snapshot) -> str:
    """`r-ab12cd34 completed: 7 of 7 steps in 4m12s, $0.42`."""
    run, counts = snapshot.run, snapshot.counts()
    done = counts.get(StepStatus.COMPLETED, 0)
    others = [
        f"{count} {status.value.replace('_', ' ')}" for status, count in counts.items() if status in _TOLD_AT_THE_END
    ]
    parts = [
        f"{done} of {many(len(snapshot.steps), 'step')} in {format_duration(snapshot.elapsed_seconds)}",
        *others,
        *([money(snapshot.usd)] if snapshot.usd else []),
        *([f"{snapshot.tokens:,} tokens"] if snapshot.tokens else []),
    ]
    reason = f" ({one_line(run.reason)})" if run.reason else ""
    return f"{run.id} {run.status.value.replace('_', ' ')}{reason}: {', '.join(parts)}"


_TOLD_AT_THE_END = (StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.BLOCKED, StepStatus.CANCELLED)


def kept(snapshot: Snapshot, last_rounds: Mapping[str, Delegation]) -> list[str]:
    """Where the results are, and what can be done with what is not merged. `last_rounds`: by step id."""
    run = snapshot.run
    lines = [*_places(run)]
    for state in snapshot.steps:
        if state.status in _KEPT:
            lines.extend(_kept_step(run, state, last_rounds.get(state.step.id)))
    return lines


def _places(run: Run) -> Iterable[str]:
    if run.pull_request:
        yield f"pull request: {one_line(run.pull_request)}"
    if run.is_over and run.isolated and run.status is RunStatus.COMPLETED:
        yield f"merged: on {run.target or 'the target branch'} in {run.workspace}"
    elif run.is_over and run.isolated and run.branch:
        yield f"kept: what was merged is on {run.branch} in {run.workspace}"
    elif run.is_over and run.workspace and not run.isolated:
        yield f"kept: everything is in {run.workspace}"
    if run.report:
        yield f"review: {run.report}"


def _kept_step(run: Run, state: StepState, last: Delegation | None) -> Iterable[str]:
    step_id = state.step.id
    yield f"{state.status.value.replace('_', ' ')}: {step_id}: {one_line(state.reason) or 'no reason was given'}"
    if last is not None:
        yield f"  what was said: conductor logs {last.task_id}"
        if last.work and run.workspace:
            yield f"  its work is kept: git -C {run.workspace} show {last.work[:12]}"
    if state.status is StepStatus.NEEDS_REVIEW:
        yield f"  take it as it is: conductor approve {run.id} --step {step_id}"
    yield f"  try it anew: conductor runs retry {run.id} {step_id}"
