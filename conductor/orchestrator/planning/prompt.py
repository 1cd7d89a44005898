"""What a planner is asked, and asked again with the faults of its last answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conductor.domain.plan import CATEGORIES, COMMAND_AGENT, StepType
from conductor.domain.quoting import fenced, head_of
from conductor.orchestrator.planning.context import RepositoryContext
from conductor.orchestrator.planning.rounds import MOST_TIMES_AGAIN
from conductor.orchestrator.templating import PromptTemplates

MOST_REQUEST = 100_000
MOST_ANSWER = 30_000
_NOTHING = "(nothing)"


@dataclass(frozen=True, slots=True)
class PlanningRequest:
    """A request in plain words, and what it is for."""

    text: str
    project: str
    context: RepositoryContext
    agents: tuple[str, ...] = ()
    """That a step may name; none: nobody is offered."""


def planning_prompt(asked: PlanningRequest, templates: PromptTemplates) -> str:
    """Raises SettingsInvalid where a template is broken."""
    request = _fenced(asked.text, "request", MOST_REQUEST)
    return templates.render(
        "plan.md.j2",
        request,
        project=asked.project,
        request=request,
        context=_fenced(asked.context.told(), "repository", MOST_REQUEST),
        categories=CATEGORIES,
        types=tuple(StepType),
        agents=tuple(agent for agent in asked.agents if agent != COMMAND_AGENT),
    )


def planning_prompt_again(
    asked: PlanningRequest, answer: str, faults: Sequence[str], times: int, templates: PromptTemplates
) -> str:
    """`times`: the how manieth asking of this planner it is. Raises SettingsInvalid where a template is broken."""
    told = _fenced("\n".join(f"- {fault}" for fault in faults), "faults", MOST_ANSWER)
    return templates.render(
        "plan_again.md.j2",
        told,
        asked=planning_prompt(asked, templates),
        faults=told,
        answer=_fenced(answer, "answer", MOST_ANSWER),
        times=times,
        most_times=MOST_TIMES_AGAIN + 1,
    )


def _fenced(text: str, label: str, most: int) -> str:
    return fenced(head_of(text.strip("\n"), most), label) or fenced(_NOTHING, label)
