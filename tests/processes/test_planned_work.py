"""Requests, steps and reviews as real tasks under a real conductord, on the simulated model: what the orchestrator
does one after the other, by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from conductor.domain.errors import PlanInvalid
from conductor.domain.home import Home
from conductor.domain.run import Run, RunStatus
from conductor.orchestrator.briefs import MergedStep, Surroundings, step_brief
from conductor.orchestrator.planning.answer import read_answer
from conductor.orchestrator.planning.context import repository_context
from conductor.orchestrator.planning.prompt import PlanningRequest, planning_prompt, planning_prompt_again
from conductor.orchestrator.review import Verdict, read_review, review_prompt
from conductor.orchestrator.templating import PromptTemplates
from conductor.testing.sim import Sim
from tests.conftest import DaemonFactory
from tests.support import record_of, submit, wait_for_end

REQUEST = "Build a calculator with operations, a CLI and unit tests"
OURS = PromptTemplates()
AGENTS = {"chat": {"model": "some-model"}}


def asked(home: Home, prompt: str, workspace: Path, **options: str) -> str:
    """The answer to a task of the agent that works on the simulated model."""
    task = submit(home, prompt, agent="chat", workspace=str(workspace), **options)
    assert wait_for_end(home, task).status.value == "SUCCESS", record_of(home, task)
    return Path(home.attempt(task, 1), "RESULT.txt").read_text()


def test_a_request_is_planned_its_steps_are_done_and_the_whole_is_reviewed(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given
    work = tmp_path / "calculator"
    work.mkdir()
    with Sim() as sim:
        daemon(workers=1, agent="chat", agents=AGENTS, simulate=sim.url)

        # when
        context = repository_context(str(work))
        prompt = planning_prompt(PlanningRequest(REQUEST, "calculator", context), OURS)
        plan = read_answer(asked(home, prompt, work, autonomy="read-only"), project="calculator", request=REQUEST)
        assert not list(work.iterdir())
        run = Run("r-1", "calculator", "Calculator", RunStatus.RUNNING, 0.0, request=REQUEST)
        merged: list[MergedStep] = []
        for step in plan.steps:
            spec = tmp_path / f"{step.id}.md"
            spec.write_text(step_brief(run, step, Surroundings("", plan.steps, tuple(merged), "make test"), (), OURS))
            asked(home, f"{step.title}\n\n{step.description}", work, spec_file=str(spec))
            merged.append(MergedStep(step.title, "0" * 40))
        review = read_review(asked(home, review_prompt(run, (), "", "", OURS), work, autonomy="read-only"))

    # then
    made = {str(path.relative_to(work)) for path in work.rglob("*") if path.is_file()}
    assert made == {path for step in plan.steps for path in step.files}
    assert subprocess.run(["make", "test"], cwd=work, capture_output=True).returncode == 0
    said = subprocess.run(["python3", "-B", "-m", "calculator", "6", "x", "7"], cwd=work, capture_output=True)
    assert said.stdout == b"42\n"
    assert review.verdict is Verdict.APPROVED


def test_a_plan_that_is_wrong_is_asked_for_again_with_its_faults(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given
    request = PlanningRequest(f"{REQUEST} [[plan hostile 1]]", "calculator", repository_context(str(tmp_path)))
    with Sim() as sim:
        daemon(workers=1, agent="chat", agents=AGENTS, simulate=sim.url)

        # when
        first = asked(home, planning_prompt(request, OURS), tmp_path, autonomy="read-only")
        with pytest.raises(PlanInvalid) as raised:
            read_answer(first, project="calculator", request=request.text)
        again = planning_prompt_again(request, first, raised.value.faults, 2, OURS)

        # then
        second = asked(home, again, tmp_path, autonomy="read-only")
        assert len(read_answer(second, project="calculator", request=request.text).steps) == 5
