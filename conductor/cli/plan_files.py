"""Plans on disk, as the commands read, write and draw them. What reads them is loaded when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from conductor.domain.plan import Plan
from conductor.domain.run import StepState


def read(path: str, *, tag: str = "", mode: Literal["sleep", "command"] = "sleep", scale: float = 1.0) -> Plan:
    """A plan of any form that is known, by what the file or folder is. Raises PlanInvalid, UsageError.

    `tag` is Task Master's; `mode` and `scale` (seconds of the recorded runtime to seconds here) a workflow's.
    """
    from conductor.orchestrator.plans import Reading, Replay, read_plan

    return read_plan(path, Reading(tag, Replay(mode, scale)))


def write(plan: Plan, path: str) -> None:
    """As YAML."""
    from conductor.orchestrator.plans import write_plan

    write_plan(plan, path)


def mermaid_of(states: Sequence[StepState]) -> str:
    """The graph with where each step stands."""
    from conductor.orchestrator.plans import mermaid

    return mermaid([state.step for state in states], {state.step.id: state.status for state in states})
