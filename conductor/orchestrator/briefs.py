"""What a worker is told beside its task: where its step stands, what is merged, why its earlier work came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from conductor.domain.plan import Step
from conductor.domain.quoting import fenced, head_of, tail_of
from conductor.domain.run import Run
from conductor.orchestrator.templating import PromptTemplates

MOST_REQUEST = 20_000
MOST_CONTEXT = 30_000
MOST_TOLD = 8_000
MOST_LINES = 100
ROUNDS_TOLD = 3
"""The latest ones."""


class BounceKind(StrEnum):
    CONFLICT = "conflict"
    CHECK = "check"
    FAULTS = "faults"
    """What forbids merging it: files outside of what it declared, conflict markers, a nested repository."""
    FAILED = "failed"
    """Its task ended badly."""


_WHY = {
    BounceKind.CONFLICT: "it conflicts with what was merged meanwhile",
    BounceKind.CHECK: "merged, it did not pass the project's check",
    BounceKind.FAULTS: "it can't be merged as it is",
    BounceKind.FAILED: "its task failed",
}
_TOLD_IS = {
    BounceKind.CONFLICT: "What git says",
    BounceKind.CHECK: "The end of the check's output",
    BounceKind.FAULTS: "What is wrong with it",
    BounceKind.FAILED: "What is known of it",
}


@dataclass(frozen=True, slots=True)
class MergedStep:
    title: str
    commit: str


@dataclass(frozen=True, slots=True)
class EarlierRound:
    """One round of a step that came back."""

    number: int
    kind: BounceKind
    told: str = ""
    """Git's words, the check's output, the faults: as they are."""
    paths: tuple[str, ...] = ()
    work: str = ""
    """The ref or commit that keeps what was done; empty: nothing was."""
    in_worktree: bool = False
    """It lies in the new worktree already, with conflict markers."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a step's worker is told of everything but the step."""

    context: str = ""
    """`RepositoryContext.told()`."""
    steps: tuple[Step, ...] = ()
    """Of the whole plan, in its order."""
    merged: tuple[MergedStep, ...] = ()
    """In the order of the branch."""
    check: str = ""


def step_brief(
    run: Run, step: Step, around: Surroundings, earlier: Sequence[EarlierRound], templates: PromptTemplates
) -> str:
    """The text of the file that goes into the worker's prompt, beside the step's description and criteria, which the
    task has itself. Raises SettingsInvalid where a template is broken."""
    request = _fenced(run.request or run.title, "request", MOST_REQUEST)
    return templates.render(
        "step.md.j2",
        request,
        step_id=step.id,
        project=run.project,
        isolated=run.isolated,
        request=request,
        standing=_fenced(_standing(step, around.steps), "plan", MOST_TOLD),
        merged=_fenced(_merged(around.merged), "merged", MOST_TOLD),
        files=_fenced(_listed(step.files), "files", MOST_TOLD),
        check=_fenced(around.check, "sh", MOST_TOLD),
        context=_fenced(around.context, "repository", MOST_CONTEXT),
        bounces=_bounces(earlier, templates),
    )


def resolver_brief(
    run: Run, step: Step, around: Surroundings, earlier: Sequence[EarlierRound], templates: PromptTemplates
) -> str:
    """The same for the agent that gets what the step's own could not bring together."""
    brief = step_brief(run, step, around, earlier, templates).strip("\n")
    return templates.render("resolve.md.j2", brief, brief=brief)


def _standing(step: Step, steps: Sequence[Step]) -> str:
    """The step's neighbours: a plan of thousands is not told whole."""
    if len(steps) < 2:
        return ""
    by_id = {one.id: one for one in steps}
    position = next((number for number, one in enumerate(steps, 1) if one.id == step.id), 0)
    after = [one for one in steps if step.id in one.depends_on]
    lines = [f"Step {position} of {len(steps)}."]
    lines += [f"It stands on: {_titled(by_id[one])}" for one in step.depends_on if one in by_id]
    lines += [f"These wait for it: {_titled(one)}" for one in after]
    if len(steps) <= MOST_LINES:
        near = {step.id, *step.depends_on, *(one.id for one in after)}
        lines += [f"Somebody else's: {_titled(one)}" for one in steps if one.id not in near]
    return "\n".join(_bounded(lines))


def _titled(step: Step) -> str:
    files = f" [{', '.join(step.files[:5])}{', …' if len(step.files) > 5 else ''}]" if step.files else ""
    return f"{step.id}: {_line(step.title)}{files}"


def _merged(merged: Sequence[MergedStep]) -> str:
    left_out = len(merged) - MOST_LINES
    lines = [f"{left_out} earlier ones are left out."] if left_out > 0 else []
    return "\n".join([*lines, *(f"{one.commit[:12]} {_line(one.title)}" for one in merged[-MOST_LINES:])])


def _bounces(earlier: Sequence[EarlierRound], templates: PromptTemplates) -> str:
    told = earlier[-ROUNDS_TOLD:]
    if not told:
        return ""
    latest = told[-1]
    must_hold = _output(latest) or _WHY[latest.kind]
    rounds = [_round(one) for one in told]
    return templates.render("bounce.md.j2", must_hold, round=latest.number + 1, rounds=rounds).strip("\n")


def _output(one: EarlierRound) -> str:
    return fenced(tail_of(one.told, MOST_TOLD), "output")


def _round(one: EarlierRound) -> dict[str, object]:
    return {
        "number": one.number,
        "why": _WHY[one.kind],
        "told_is": _TOLD_IS[one.kind],
        "told": _output(one),
        "paths": _fenced(_listed(one.paths), "paths", MOST_TOLD),
        "work": one.work,
        "in_worktree": one.in_worktree,
    }


def _listed(items: Sequence[str]) -> str:
    return "\n".join(_bounded([f"- {_line(item)}" for item in items]))


def _bounded(lines: Sequence[str]) -> list[str]:
    left_out = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"… and {left_out} more"] if left_out > 0 else list(lines)


def _line(text: str) -> str:
    return " ".join(text.split())


def _fenced(text: str, label: str, most: int) -> str:
    return fenced(head_of(text.strip("\n"), most), label)
