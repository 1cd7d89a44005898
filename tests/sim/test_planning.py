"""The simulated model in conductor's own roles: plans that can be read, and those that can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conductor.domain.errors import PlanInvalid
from conductor.domain.plan import Plan
from conductor.domain.run import Run, RunStatus
from conductor.orchestrator.commands import unseen_commands
from conductor.orchestrator.planning.answer import read_answer
from conductor.orchestrator.planning.context import RepositoryContext
from conductor.orchestrator.planning.prompt import PlanningRequest, planning_prompt, planning_prompt_again
from conductor.orchestrator.review import Severity, Verdict, read_review, review_prompt
from conductor.orchestrator.templating import PromptTemplates
from conductor.testing.sim.asked import Asked, Tool, Turn
from conductor.testing.sim.calculator import PARTS
from conductor.testing.sim.planning import FAULTS, role_of
from conductor.testing.sim.script import answer_to
from tests.sim.asking import schema

OURS = PromptTemplates()
CALCULATOR = "Build a calculator with operations, a CLI and unit tests"
WRITE = Tool("write", schema(path="string", content="string"))


def asked_for(request: str) -> PlanningRequest:
    return PlanningRequest(request, "shop", RepositoryContext(files=1, readme="Say [[say nonsense]] to it."))


def answer(prompt: str, model: str = "m") -> str:
    return answer_to(Asked(model, (Turn(by_model=False, text=prompt),)), (), 0).text


def planned(request: str, model: str = "m") -> Plan:
    return read_answer(answer(planning_prompt(asked_for(request), OURS), model), project="shop", request=request)


def test_a_calculator_is_planned_in_steps_that_never_touch_the_same_file() -> None:
    plan = planned(CALCULATOR)
    assert [step.id for step in plan.steps] == ["package", "operations", "unit-tests", "cli", "docs"]
    files = [path for step in plan.steps for path in step.files]
    assert len(files) == len(set(files))
    assert unseen_commands(plan, ()) == ()


def test_any_other_request_is_planned_too() -> None:
    plan = planned("Add dark mode support to the settings page\n[[think 0]]")
    assert [step.depends_on for step in plan.steps] == [(), ("1",), ("2",)]
    assert plan.steps[1].files == ("docs/simulated/add-dark-mode-support-to-the-settings-pa-implement.md",)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.id)
def test_each_step_of_the_calculator_is_done_with_the_files_that_it_declares(part: object) -> None:
    step = next(one for one in planned(CALCULATOR).steps if one.id == getattr(part, "id", ""))
    asked = Asked("m", (Turn(by_model=False, text=f"{step.title}\n\n{step.description}"),), tools=(WRITE,))
    calls = answer_to(asked, (), 0).calls
    assert tuple(call.object["path"] for call in calls) == step.files


def test_a_step_of_another_plan_is_done_too() -> None:
    step = planned("Paint it blue").steps[0]
    asked = Asked("m", (Turn(by_model=False, text=f"{step.title}\n\n{step.description}"),), tools=(WRITE,))
    assert [call.object["path"] for call in answer_to(asked, (), 0).calls] == list(step.files)


def test_what_the_calculators_steps_write_passes_its_own_tests(tmp_path: Path) -> None:
    for part in PARTS:
        for path, content in part.files:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)
        command = [
            sys.executable,
            "-B",
            "-m",
            "unittest",
            "discover",
            "-q",
            "-s",
            "tests",
            "-t",
            ".",
            "-p",
            "*_tests.py",
        ]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0, f"after {part.id}: {ended.stderr}"
    assert "Ran 6 tests" in ended.stderr


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"verify"}))
def test_a_plan_can_be_asked_for_that_is_wrong_and_is_right_the_next_time(fault: str) -> None:
    asked = asked_for(f"{CALCULATOR} [[plan {fault} 1]]")
    text = answer(planning_prompt(asked, OURS))
    with pytest.raises(PlanInvalid) as raised:
        read_answer(text, project="shop", request=CALCULATOR)
    again = answer(planning_prompt_again(asked, text, raised.value.faults, 2, OURS))
    assert read_answer(again, project="shop", request=CALCULATOR).steps


def test_a_plan_can_be_wrong_always_or_as_one_model() -> None:
    asked = asked_for(f"{CALCULATOR} [[plan words]]")
    assert answer(planning_prompt_again(asked, "x", ["y"], 3, OURS)).startswith("I would rather")
    assert planned(f"{CALCULATOR} [[plan words 9 opus]]", model="sonnet").steps
    with pytest.raises(PlanInvalid):
        planned(f"{CALCULATOR} [[plan words 9 opus]]", model="opus")


def test_a_plan_can_have_commands_that_nobody_has_seen() -> None:
    found = unseen_commands(planned(f"{CALCULATOR} [[plan verify]]"), ())
    assert [one.command for one in found] == ["touch unseen-check", "touch unseen-verify"]


def test_only_the_request_of_a_planning_prompt_gives_directives() -> None:
    role = role_of(planning_prompt(asked_for("Build a shop"), OURS))
    assert role is not None
    assert (role.deed, role.task, role.times) == ("plan", "Build a shop", 1)
    assert role_of("Take a walk") is None


def test_a_review_is_asked_and_answered() -> None:
    run = Run("r-1", "shop", "The shop", RunStatus.FINISHING, 0.0, request=CALCULATOR)
    review = read_review(answer(review_prompt(run, (), "", "", OURS)))
    assert review.verdict is Verdict.APPROVED
    assert [one.severity for one in review.findings] == [Severity.LOW]
