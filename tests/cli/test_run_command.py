"""`conductor run`, `plan` and `build`: from a plan or a request to a run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conductor.domain.run import Project, Run, RunAutonomy, RunStatus
from conductor.kit.unixsocket import listen
from tests.cli.front import Shell
from tests.cli.orchestra import Orchestra
from tests.cli.pictures import a_step
from tests.support import eventually

PLAN = """
name: Calculator
steps:
  - id: parser
    title: Write the parser
    description: Read expressions.
    agent: claude
    estimate: 10m
    files: [calc/parser.py]
  - id: tests
    title: Test it
    description: pytest -q
    agent: command
    depends_on: [parser]
    verify: "true"
"""


@pytest.fixture
def orchestra(shell: Shell) -> Orchestra:
    shell.ok("list")
    return Orchestra(shell.home)


@pytest.fixture
def somebody_listens(shell: Shell, orchestra: Orchestra) -> Iterator[None]:
    """As conductord does, but nothing is driven: what an orchestrator would write is written by the test."""
    with closing(listen(shell.home.control_socket)):
        yield


@pytest.fixture
def plan(shell: Shell) -> str:
    path = Path(shell.cwd, "plan.yaml")
    path.write_text(PLAN)
    return str(path)


@pytest.fixture
def project(orchestra: Orchestra, tmp_path: Path) -> Project:
    found = Project("calc", str(tmp_path / "calc"), "main", 1.0)
    with orchestra.store() as store:
        store.add_project(found)
    return found


# -- run


def test_a_plan_becomes_a_run_in_the_folder_one_stands_in(shell: Shell, orchestra: Orchestra, plan: str) -> None:
    answer = shell.ok("run", plan)

    run = orchestra.only_run()
    assert answer.out == f"{run.id}\n", "standard output is the id and nothing else"
    assert "no conductord runs" in answer.err
    assert re.fullmatch(r"r-[a-z0-9]{8}", run.id)
    assert (run.project, run.isolated, run.workspace) == (run.id, False, shell.cwd)
    assert (run.title, run.status, run.autonomy) == ("Calculator", RunStatus.RUNNING, RunAutonomy.FULL)
    assert list(orchestra.steps(run.id)) == ["parser", "tests"]
    assert os.path.exists(f"{shell.home.project(run.id)}/wanted")


def test_the_options_of_a_run_are_kept_with_it(shell: Shell, orchestra: Orchestra, project: Project, plan: str) -> None:
    shell.ok(
        "run", plan, "--project", "calc", "--autonomy", "manual", "--wip", "3", "--sequential", "--timeout", "2h"
    )  # fmt: skip

    run = orchestra.only_run()
    assert (run.project, run.isolated, run.workspace) == ("calc", True, project.workspace)
    assert (run.autonomy, run.wip, run.sequential) == (RunAutonomy.MANUAL, 3, True)
    assert run.timeout_seconds == 7200


def test_a_project_that_is_not_there_exits_3(shell: Shell, orchestra: Orchestra, plan: str) -> None:
    answer = shell("run", plan, "--project", "calc")

    assert answer.code == 3
    assert "no project 'calc' here" in answer.err


def test_a_dry_run_shows_the_plan_and_starts_nothing(shell: Shell, orchestra: Orchestra, plan: str) -> None:
    out = shell.ok("run", plan, "--dry-run").out

    assert "parser  Write the parser" in out
    assert "wave 2" in out
    with orchestra.store() as store:
        assert store.runs() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [{id: a, title: A, description: x, depends_on: [b]}]", "b"),
        ("steps: [{id: '../a', title: A, description: x}]", "../a"),
        ("not a plan", "plan"),
    ],
)
def test_a_plan_with_faults_exits_2_with_each_of_them(shell: Shell, orchestra: Orchestra, text: str, said: str) -> None:
    Path(shell.cwd, "bad.yaml").write_text(text)

    answer = shell("run", "bad.yaml")

    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_task_masters_tag_and_a_recorded_workflows_scale_are_read(shell: Shell, orchestra: Orchestra) -> None:
    tasks = {"tasks": [{"id": 1, "title": "One", "description": "x", "status": "pending", "dependencies": []}]}
    Path(shell.cwd, "tasks.json").write_text(json.dumps({"master": {"tasks": []}, "shop": tasks}))
    task = {"name": "one", "id": "one", "parents": [], "children": []}
    ran = {"tasks": [{"id": "one", "runtimeInSeconds": 40.0, "command": {"program": "true"}}], "machines": []}
    workflow = {"specification": {"tasks": [task]}, "execution": ran}
    Path(shell.cwd, "flow.json").write_text(json.dumps({"name": "f", "schemaVersion": "1.5", "workflow": workflow}))

    assert "One" in shell.ok("run", "tasks.json", "--tag", "shop", "--dry-run").out
    replayed = shell.ok("run", "flow.json", "--scale", "0.5", "--dry-run").out

    assert "duration  at least 20.0s" in replayed
    assert "sleep" in replayed


def test_a_path_that_is_not_there_exits_2_and_names_build(shell: Shell) -> None:
    answer = shell("run", "nothing.yaml")

    assert answer.code == 2
    assert "`conductor build" in answer.err


def test_a_workspace_and_a_project_exclude_each_other(shell: Shell, plan: str, project: Project) -> None:
    assert shell("run", plan, "--project", "calc", "--workspace", "/tmp").code == 2


def test_a_run_is_waited_for(shell: Shell, orchestra: Orchestra, plan: str) -> None:
    waiting = shell.start("run", plan, "--wait")
    eventually(waiting.out, what="the id")

    orchestra.end(orchestra.only_run().id)

    answer = waiting.answer()
    assert answer.code == 0
    assert "completed: 0 of 2 steps" in answer.out


# -- plan


def test_a_plan_that_exists_is_shown_without_a_daemon(shell: Shell, plan: str) -> None:
    out = shell.ok("plan", plan).out

    assert "parser  Write the parser" in out
    assert "feature · complexity 3 · " in out
    assert " · 10m00s" in out
    assert "tests is verified by\n      true" in out
    assert f"nothing runs yet: conductor run {plan}" in out


def test_a_plan_as_json_holds_waves_commands_and_the_longest_chain(shell: Shell, plan: str) -> None:
    found = shell.ok("plan", plan, "--json").json

    assert [(step["id"], step["wave"]) for step in found["steps"]] == [("parser", 1), ("tests", 2)]
    assert found["critical_path"] == ["parser", "tests"]
    assert [one["command"] for one in found["commands"]] == ["pytest -q", "true"]
    assert found["seconds_expected"] == 600


def test_a_request_is_not_planned_some_day_when_nobody_waits_for_it(shell: Shell, orchestra: Orchestra) -> None:
    refused = shell("plan", "Build a calculator")

    assert refused.code == 4
    assert "start one with `conductord`" in refused.err
    with orchestra.store() as store:
        assert store.runs() == []


@pytest.mark.usefixtures("somebody_listens")
def test_a_request_is_planned_shown_and_written(shell: Shell, orchestra: Orchestra) -> None:
    planning = shell.start("plan", "Build a calculator", "-o", "calc.yaml", "--planner", "claude:opus")
    run = eventually(lambda: _started(orchestra), what="the run")
    assert (run.status, run.plan_only, run.planner) == (RunStatus.PLANNING, True, "claude:opus")

    orchestra.planned(run.id, a_step("a", verify="make"), a_step("b", "a"))

    answer = planning.answer()
    assert answer.code == 0
    assert "b  Make b" in answer.out
    assert "commands that a model wrote" in answer.out
    assert f"nothing runs yet: conductor approve {run.id}, or conductor run calc.yaml" in answer.out
    assert list(shell.ok("plan", "calc.yaml", "--json").json["steps"][1]["depends_on"]) == ["a"]
    assert orchestra.wish(run.id).approved == 0


@pytest.mark.usefixtures("somebody_listens")
def test_a_request_that_no_model_could_take_apart_says_why_and_what_is_kept(shell: Shell, orchestra: Orchestra) -> None:
    planning = shell.start("plan", "Build a calculator")
    run = eventually(lambda: _started(orchestra), what="the run")

    orchestra.end(run.id, RunStatus.FAILED, reason="no planner is set: `orchestrator.planner`")

    answer = planning.answer()
    assert answer.code == 1
    assert answer.out == ""
    assert "no planner is set" in answer.err
    assert f"conductor runs show {run.id}" in answer.err


@pytest.mark.parametrize("request_text", ["", "  ", "missing.yaml"])
@pytest.mark.parametrize("command", [["plan"], ["build", "--project", "calc"]])
def test_what_cannot_be_a_request_is_refused(shell: Shell, command: list[str], request_text: str) -> None:
    assert shell(*command, request_text).code == 2


# -- build


def test_a_build_starts_with_a_request_to_be_planned(shell: Shell, orchestra: Orchestra, project: Project) -> None:
    answer = shell.ok("build", "Build a calculator", "--project", "calc", "--autonomy", "confirm")

    run = orchestra.only_run()
    assert answer.out == f"{run.id}\n"
    assert (run.status, run.request, run.plan_only) == (RunStatus.PLANNING, "Build a calculator", False)
    assert (run.project, run.autonomy) == ("calc", RunAutonomy.CONFIRM)


def _started(orchestra: Orchestra) -> Run | None:
    with orchestra.store() as store:
        return next(iter(store.runs()), None)
