"""What orchestration says to models, to git and to people, from the templates of home and project."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from conductor.domain.home import Home
from conductor.domain.run import Run, StepState, task_id_of

if TYPE_CHECKING:
    from conductor.orchestrator.briefs import Surroundings
    from conductor.orchestrator.planning.context import RepositoryContext
    from conductor.orchestrator.rules import Briefing, Texts
    from conductor.settings.model import Settings

_CONTEXT_SECONDS = 60.0
"""How long what was seen of a repository holds for the prompts of a run."""


def make_texts(home: Home, settings: Settings, project: str, agents: Sequence[str]) -> Texts:
    """`agents`: those that a plan may name."""
    from conductor.orchestrator.briefs import resolver_brief, step_brief
    from conductor.orchestrator.planning.prompt import PlanningRequest, planning_prompt, planning_prompt_again
    from conductor.orchestrator.review import review_prompt
    from conductor.orchestrator.rules import Texts
    from conductor.orchestrator.templating import PromptTemplates, template_folders
    from conductor.projects.messages import pull_request, run_message, step_message

    templates = PromptTemplates(template_folders(home.path, project))
    look = _context_of(settings.orchestration_of(project).check)

    def brief(told: Briefing) -> str:
        write = resolver_brief if told.for_resolver else step_brief
        return write(told.run, told.step, _around(told, look(told.run.workspace)), told.earlier, templates)

    def planning(run: Run, answer: str, faults: tuple[str, ...], times: int) -> str:
        asked = PlanningRequest(run.request, run.project if run.isolated else "", look(run.workspace), tuple(agents))
        if not faults:
            return planning_prompt(asked, templates)
        return planning_prompt_again(asked, answer, faults, times, templates)

    return Texts(
        brief=brief,
        planning=planning,
        review=lambda run, states, changed: review_prompt(run, states, changed.stat, changed.patch, templates),
        commit=lambda run, state: step_message(state.step),
        ending=lambda run, states: run_message(run, _task_ids(states)),
        pull_request=lambda run, states: pull_request(run, _task_ids(states), _report(run)),
    )


def _context_of(configured: str) -> Callable[[str], RepositoryContext]:
    from conductor.orchestrator.planning.context import repository_context
    from conductor.projects.checks import find_check

    known: dict[str, tuple[float, RepositoryContext]] = {}

    def look(folder: str) -> RepositoryContext:
        seen, context = known.get(folder, (0.0, None))
        if context is None or time.monotonic() - seen > _CONTEXT_SECONDS:
            context = repository_context(folder, check=find_check(folder, configured).command)
            known[folder] = (time.monotonic(), context)
        return context

    return look


def _around(told: Briefing, context: RepositoryContext) -> Surroundings:
    from conductor.orchestrator.briefs import MergedStep, Surroundings

    merged = tuple(MergedStep(state.step.title, state.commit) for state in told.merged)
    return Surroundings(context.told(with_conventions=False), told.plan, merged, told.run.check)


def _task_ids(states: tuple[StepState, ...]) -> list[str]:
    return [task_id_of(state.run_id, state.step.id, state.round) for state in states]


def _report(run: Run) -> str:
    if not run.report:
        return ""
    try:
        with open(run.report, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
