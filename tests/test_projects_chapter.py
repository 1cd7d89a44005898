"""The chapter "Projects and plans", done as a reader would do it: real git, at most a simulated model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.home import Home
from conductor.orchestrator.plans.form import PLAN_ALIASES, STEP_ALIASES, PlanForm, StepForm
from conductor.settings.orchestration import HeartbeatSettings, OrchestrationSettings, RoutingSettings
from conductor.testing.sim import Sim
from tests.conftest import DaemonFactory
from tests.support import REPOSITORY, run_cli
from tests.test_examples import EXAMPLES, shell

README = (REPOSITORY / "README.md").read_text()
IN_FULL = (REPOSITORY / "docs/projects.md").read_text()
SHARED = REPOSITORY.parent / "shared" / "data"
WORKFLOWS = {
    "bacass-dirt02-001": 0.0001,
    "hic-dirt02-001": 0.0001,
    "montage-chameleon-2mass-01d-001": 0.001,
    "seismology-chameleon-100p-001": 0.001,
}
"""And the scale at which each is over in a moment."""
AGENTS: dict[str, Any] = {"chat": {"model": "some-model"}}


def part(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    return text.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]


def block(text: str, language: str) -> str:
    """The first code block of that language."""
    return text.split(f"```{language}\n", 1)[1].split("\n```", 1)[0] + "\n"


def first_cells(text: str) -> set[str]:
    """All that stands in backquotes in the first column of the tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {name for cell in rows for name in re.findall(r"`([^`]+)`", cell)}


def subjects(workspace: Path) -> list[str]:
    told = subprocess.run(["git", "log", "--format=%s"], cwd=workspace, capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository (shared/data)")
    return path


# -- what it says


def test_the_tables_of_the_plan_format_name_every_field_and_no_other() -> None:
    told = first_cells(part(README, "### The plan format"))

    assert told == {*PlanForm.model_fields, *StepForm.model_fields, *STEP_ALIASES, *PLAN_ALIASES}


def test_the_table_of_settings_names_every_one_and_no_other() -> None:
    def names(fields: Iterable[str], before: str = "") -> set[str]:
        return {before + name for name in fields}

    told = {f"heartbeat{name}" if name.startswith(".") else name for name in first_cells(part(IN_FULL, "## Settings"))}

    orchestration = names(OrchestrationSettings.model_fields) - {"heartbeat"}
    heartbeat = names(HeartbeatSettings.model_fields, "heartbeat.")
    assert told == orchestration | heartbeat | names(RoutingSettings.model_fields, "routing.")


# -- the worked example


def test_the_worked_example_does_what_it_says(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    example = part(README, "### A worked example")
    (tmp_path / "greeting.yaml").write_text(block(example, "yml"))
    daemon()

    # when
    ran = shell(home, f"set -e\n{block(example, 'sh')}", tmp_path)

    # then
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("Hello, you!\n")
    made = subjects(tmp_path / "projects/greeting")
    told = example.rsplit("```", 2)[1].strip().splitlines()
    assert sorted(made) == sorted(told), "cli and tests run at the same time: either may be merged first"
    assert (made[0], made[3:]) == (told[0], told[3:])
    for trailer in ("Conductor-Step: ", "Conductor-Task: ", "Conductor-Work: "):
        assert f"`{trailer.rstrip(': ')}`" in README


def test_what_people_and_tools_read_tells_of_the_worked_example(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    (tmp_path / "greeting.yaml").write_text(block(part(README, "### A worked example"), "yml"))
    daemon()
    run_cli(home, "project", "create", "greeting")

    ran = run_cli(home, "run", "greeting.yaml", "--project", "greeting", "--wait")

    folder = tmp_path / "projects/greeting/.conductor"
    state = json.loads((folder / "project-state.json").read_text())
    assert (ran.returncode, state["status"], state["progress"]["completed"]) == (0, "completed", 3)
    entries = json.loads((folder / "execution-log.json").read_text())["entries"]
    told = [entry["action"] for entry in entries]
    assert (told[0], told[-2:]) == ("run_started", ["run_landed", "run_ended"])
    status = ["git", "status", "--porcelain"]
    assert subprocess.run(status, cwd=folder.parent, capture_output=True).stdout == b"", "git passes over these files"
    for action in {*told}:
        assert f"`{action}`" in IN_FULL


def test_a_request_is_built_by_the_default_agent_where_no_planner_is_named(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    request = re.findall(r'conductor build "([^"]+)"', README)[0]
    with Sim() as model:
        daemon(agent="chat", agents=AGENTS, simulate=model.url)

        ran = run_cli(home, "build", request, "--project", "calculator", "--watch", env={"LANG": "C.UTF-8"})

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert subjects(tmp_path / "projects/calculator")[0] == "feat: calculator - 5 tasks completed"


# -- other plans, and the examples


def test_the_calculator_of_the_examples_is_built_by_commands_alone(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    daemon()

    ran = shell(home, str(EXAMPLES / "build-calculator.sh"), tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "42.0" in ran.stdout
    assert subjects(tmp_path / "projects/calculator")[0] == "feat: calculator - 5 tasks completed"


def test_the_task_master_example_is_done_and_written_back(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    shutil.copytree(EXAMPLES / "taskmaster", tmp_path / "taskmaster")
    script = [
        {"match": "Write the words into", "do": [{"write": "words.txt", "content": "hello\n"}]},
        {"match": "into count.txt how many", "do": [{"write": "count.txt", "content": "1\n"}]},
    ]
    with Sim(script=script) as model:
        daemon(agents=AGENTS, simulate=model.url)

        # when
        ran = shell(home, "conductor project create words && sh taskmaster/run.sh chat", tmp_path)

    # then
    assert ran.returncode == 0, ran.stdout + ran.stderr
    tasks = json.loads((tmp_path / "taskmaster/tasks.json").read_text())["master"]["tasks"]
    assert [task["status"] for task in tasks] == ["done", "done", "done"]
    assert [part["status"] for part in tasks[2]["subtasks"]] == ["done"]
    assert {"words.txt", "count.txt"} <= {path.name for path in (tmp_path / "projects/words").iterdir()}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_recorded_workflow_is_replayed(daemon: DaemonFactory, home: Home, tmp_path: Path, name: str) -> None:
    workflow = shared(f"wfinstances/{name}.json")
    tasks = json.loads(workflow.read_text())["workflow"]["specification"]["tasks"]
    daemon()

    ran = run_cli(home, "run", str(workflow), "--scale", str(WORKFLOWS[name]), "--workspace", str(tmp_path), "--wait")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"completed: {len(tasks)} of {len(tasks)} steps" in ran.stdout


def test_what_is_left_of_a_real_task_master_plan_becomes_merged_commits(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given
    plan = shutil.copy(shared("taskmaster/collabcanvas.json"), tmp_path / "tasks.json")
    told = {"conflict resolution in shape": "tests.md", "toDataURL": "export.md"}
    script = [{"match": words, "do": [{"write": path, "content": "made\n"}]} for words, path in told.items()]
    with Sim(script=script) as model:
        daemon(agents=AGENTS, simulate=model.url)
        run_cli(home, "project", "create", "canvas")

        # when
        ran = run_cli(home, "run", str(plan), "--project", "canvas", "--agent", "chat", "--write-back", "--wait")

    # then
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert subjects(tmp_path / "projects/canvas")[0] == "feat: canvas - 2 tasks completed"
    tasks = json.loads(Path(plan).read_text())["master"]["tasks"]
    assert {task["status"] for task in tasks} == {"done"}
