"""The graph of a plan as a Mermaid flowchart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from conductor.domain.plan import Plan, Step
from conductor.domain.run import StepStatus

_COLOURS = {
    StepStatus.IN_PROGRESS: "fill:#cfe2ff,stroke:#0b5ed7,color:#000",
    StepStatus.COMPLETED: "fill:#d1e7dd,stroke:#146c43,color:#000",
    StepStatus.FAILED: "fill:#f8d7da,stroke:#b02a37,color:#000",
    StepStatus.NEEDS_REVIEW: "fill:#fff3cd,stroke:#997404,color:#000",
    StepStatus.BLOCKED: "fill:#e9ecef,stroke:#6c757d,color:#000",
    StepStatus.CANCELLED: "fill:#e9ecef,stroke:#adb5bd,color:#000,stroke-dasharray:4",
}
_MOST_TITLE = 60
_SPECIAL = re.compile(r"[^\w .,/()+-]")


def mermaid(steps: Plan | Iterable[Step], statuses: Mapping[str, StepStatus] | None = None) -> str:
    """A flowchart: a box a step with id and title, an arrow from each to those that wait for it, colours by status.

    Boxes are numbered, and every character of a title that Mermaid or a page could obey is written as its number, so a
    title is never more than text.
    """
    return "\n".join(_lines(tuple(steps.steps if isinstance(steps, Plan) else steps), statuses or {})) + "\n"


def _lines(steps: tuple[Step, ...], statuses: Mapping[str, StepStatus]) -> Iterator[str]:
    boxes = {step.id: f"s{number}" for number, step in enumerate(steps)}
    yield "flowchart LR"
    for step in steps:
        status = statuses.get(step.id)
        marked = f":::{status.value}" if status in _COLOURS and status is not None else ""
        yield f'  {boxes[step.id]}["{_escaped(step.id)}: {_escaped(_cut(step.title))}"]{marked}'
    for step in steps:
        for parent in step.depends_on:
            if parent in boxes:
                yield f"  {boxes[parent]} --> {boxes[step.id]}"
    shown = {statuses.get(step.id) for step in steps}
    for status, colours in _COLOURS.items():
        if status in shown:
            yield f"  classDef {status.value} {colours}"


def _cut(title: str) -> str:
    plain = " ".join(title.split())
    return plain if len(plain) <= _MOST_TITLE else plain[: _MOST_TITLE - 1] + "…"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)
