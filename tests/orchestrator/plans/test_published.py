"""What is published: the schema, and the plans among the examples."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from conductor.domain.graph import Graph
from conductor.domain.overlap import matches
from conductor.domain.plan import COMMAND_AGENT
from conductor.orchestrator.plans import read_plan
from conductor.orchestrator.plans.form import PLAN_ALIASES, STEP_ALIASES, PlanForm, StepForm
from conductor.orchestrator.plans.schema import PUBLISHED, plan_schema
from tests.support import REPOSITORY

EXAMPLES = REPOSITORY / "examples" / "plans"


def test_the_published_schema_is_the_form_as_it_is() -> None:
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))

    assert published == plan_schema(), "write it anew: python -m conductor.orchestrator.plans.schema"


def test_the_schema_knows_every_word_that_is_read() -> None:
    schema = plan_schema()

    assert set(schema["properties"]) == {*PlanForm.model_fields, *PLAN_ALIASES, "$schema"}
    assert set(schema["$defs"]["StepForm"]["properties"]) == {*StepForm.model_fields, *STEP_ALIASES}


def test_every_example_is_a_plan() -> None:
    for path in EXAMPLES.iterdir():
        assert read_plan(str(path)).steps


def test_the_calculator_is_made_of_commands_that_do_what_their_steps_declare(tmp_path: Path) -> None:
    plan = read_plan(str(EXAMPLES / "calculator.yaml"))
    steps = {step.id: step for step in plan.steps}
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}

    for step_id in Graph.of(plan.steps).order():
        step, before = steps[step_id], set(tmp_path.rglob("*"))
        assert step.agent == COMMAND_AGENT
        for command in filter(None, (step.description, step.verify, plan.check)):
            subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, env=environment, check=True, timeout=60)
        made = [str(path.relative_to(tmp_path)) for path in set(tmp_path.rglob("*")) - before if path.is_file()]
        assert made
        assert all(matches(path, step.files) for path in made)
