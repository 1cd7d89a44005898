"""What orchestration says to models, to git and to people, from the templates of home and project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductor.domain.home import Home
from conductor.domain.run import Delegation, Run, StepState, task_id_of

if TYPE_CHECKING:
    from conductor.orchestrator.rules import Texts
    from conductor.settings.model import Settings


def make_texts(home: Home, settings: Settings, project: str) -> Texts:
    from conductor.orchestrator.rules import Texts
    from conductor.projects.messages import pull_request, run_message, step_message

    def brief(run: Run, state: StepState, merged: tuple[StepState, ...], earlier: tuple[Delegation, ...]) -> str:
        return ""

    return Texts(
        brief=brief,
        planning=lambda run, answer, faults: run.request,
        review=lambda run, states: "",
        commit=lambda run, state: step_message(state.step),
        ending=lambda run, states: run_message(run, _task_ids(states)),
        pull_request=lambda run, states: pull_request(run, _task_ids(states), _report(run)),
    )


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
