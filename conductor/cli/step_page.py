"""The page of `runs show --step`: what a step is for, and every round of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conductor.cli.run_tables import table
from conductor.cli.snapshot import Snapshot
from conductor.cli.step_reasons import StepReasons
from conductor.cli.wording import doer, every_character, money, one_line
from conductor.domain.durations import format_duration
from conductor.domain.plan import COMMAND_AGENT
from conductor.domain.run import Delegation, StepState

_ROUND_HEAD = ("ROUND", "STATE", "AGENT", "TIME", "COST", "TASK", "WHY")


def step_page(snapshot: Snapshot, state: StepState, rounds: Sequence[Delegation], wip: int) -> Iterator[str]:
    """`rounds`: of this step, oldest first; `wip`: the most steps in progress at once."""
    step = state.step
    facts = {
        "step": f"{step.id} of {state.run_id}",
        "title": one_line(step.title),
        "status": f"{state.status.value.replace('_', ' ')}: {StepReasons(snapshot, wip=wip).of(state)}",
        "kind": " · ".join(part for part in (step.type.value, step.category, f"complexity {step.complexity}") if part),
        "agent": doer(step.agent, step.model, step.thinking) if step.agent else "",
        "after": ", ".join(step.depends_on),
        "files": one_line(", ".join(step.files)),
        "commit": state.commit,
        "cost": money(state.usd) if state.usd else "",
    }
    yield from (f"{name:<10}{value}" for name, value in facts.items() if value)
    yield from _text("runs" if step.agent == COMMAND_AGENT else "described as", step.description)
    yield from _text("verified by", step.verify)
    yield from _text("done when", "\n".join(step.criteria))
    yield ""
    yield from table(_ROUND_HEAD, [_row(one, snapshot.at) for one in rounds]) or ["not handed out yet"]
    for one in rounds[-1:]:
        yield ""
        yield f"what was said: conductor logs {one.task_id}"
        if one.context:
            yield f"what it was given beside the task: {one.context}"


def _text(name: str, text: str) -> Iterator[str]:
    if text:
        yield name
        yield from (f"  {line}" for line in every_character(text))


def _row(one: Delegation, now: float) -> tuple[str, ...]:
    return (
        str(one.round),
        one.state.value,
        doer(one.agent, one.model) if one.agent else "",
        format_duration(max(0.0, (one.ended or now) - one.created)),
        money(one.usd) if one.usd else "",
        one.task_id,
        one_line(one.reason),
    )
