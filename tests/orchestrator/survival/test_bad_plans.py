"""Plans that a model wrote and nobody should run, through the whole product: answered, nothing of them executed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conductor.app.orchestration import RunOptions
from conductor.domain.run import RunAutonomy
from conductor.testing.sim import Sim
from conductor.testing.sim.planning import FAULTS
from tests.conftest import DaemonFactory
from tests.orchestrator.survival.house import GIT_SETTINGS, RESTLESS, House, git
from tests.support import eventually, unfinished

GOOD = {"verify"}
"""Of the sim's faults the one whose plan is good, but for commands that a person has to see."""
MARKS = ("stolen", "unseen-check", "unseen-verify")
BAD_ANSWERS = {
    "id-with-shell": {"id": "$(touch stolen)"},
    "id-that-climbs": {"id": "../../stolen"},
    "id-of-a-lock": {"id": "main.lock"},
    "id-with-newline": {"id": "a\nb"},
    "files-that-climb": {"files": ["../../stolen"]},
    "files-absolute": {"files": ["/etc/passwd"]},
    "itself": {"depends_on": ["one"]},
    "deep": {"complexity": 10**400},
    "agent-with-shell": {"agent": "chat; touch stolen"},
    "model-as-option": {"agent": "chat", "model": "--dangerously-skip-permissions"},
}


@pytest.fixture
def sim() -> Iterator[Sim]:
    with Sim() as one:
        yield one


def settings_for(sim: Sim, **orchestrator: Any) -> dict[str, Any]:
    return {
        **RESTLESS,
        "workers": 3,
        "agent": "chat",
        "agents": {"chat": {"model": "some-model"}},
        "simulate": sim.url,
        "orchestrator": {"planner": ["chat"], **orchestrator},
    }


def stolen(folder: Path) -> list[str]:
    """Marks that a command of a plan would have left, anywhere."""
    return [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names if name in MARKS]


def _check_nothing_done(house: House, run_id: str) -> None:
    """Only planners were asked, and what they said is kept."""
    rounds = house.rounds(run_id)
    assert {one.step_id for one in rounds} == {"-plan"}
    assert all(os.path.exists(f"{house.home.task(one.task_id)}/latest/RESULT.txt") for one in rounds)
    assert house.store.steps(run_id) == []


def _check_all_answered(house: House, runs: dict[str, str], folder: Path) -> None:
    """Each run failed and says why; nothing of any was executed, and the repository is as it was."""
    for name, run_id in runs.items():
        run = house.wait(run_id)
        assert run.status.value == "failed", f"{name}: {run}"
        assert run.reason, name
        _check_nothing_done(house, run_id)
    assert house.ours() == []
    assert git(house.workspace, "status", "--porcelain", "--untracked-files=all") == ""
    assert stolen(folder) == []
    assert not unfinished(house.home)


def test_a_plan_that_stays_wrong_fails_its_run_with_its_faults_and_executes_nothing(
    daemon: DaemonFactory, house: House, tmp_path: Path, sim: Sim
) -> None:
    daemon(env=GIT_SETTINGS, **settings_for(sim))

    runs = {fault: house.build(f"A thing [[plan {fault}]]") for fault in sorted(set(FAULTS) - GOOD)}

    _check_all_answered(house, runs, tmp_path)


def test_hostile_ids_files_and_names_are_refused_however_they_are_written(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    rules = [
        {"match": f"a request for {name}\\b", "do": [{"say": _plan_with(bad)}]} for name, bad in BAD_ANSWERS.items()
    ]
    with Sim(script=rules) as sim:
        daemon(env=GIT_SETTINGS, **settings_for(sim))

        runs = {name: house.build(f"a request for {name}") for name in BAD_ANSWERS}

        _check_all_answered(house, runs, tmp_path)


def _plan_with(bad: dict[str, Any]) -> str:
    one = {"id": "one", "title": "One", "description": "touch stolen", "files": ["one.txt"], **bad}
    other = {"id": "two", "title": "Two", "description": "two", "files": ["two.txt"]}
    return json.dumps({"title": "Hostile", "name": "hostile", "steps": [one, other]})


def test_commands_that_a_model_wrote_wait_for_a_person_whatever_the_autonomy(
    daemon: DaemonFactory, house: House, tmp_path: Path, sim: Sim
) -> None:
    # given
    daemon(env=GIT_SETTINGS, **settings_for(sim))

    # when a plan with a check and a verify command comes, in each mode
    runs = {mode: house.build("A thing [[plan verify]]", RunOptions(autonomy=mode)) for mode in RunAutonomy}

    # then each run waits and shows them, and none was run
    for mode, run_id in runs.items():
        eventually(lambda run_id=run_id: house.run_of(run_id).status.value == "waiting", what=mode)  # type: ignore[misc]
        asked = " ".join(house.run_of(run_id).asked_for)
        assert "touch unseen-check" in asked
        assert "touch unseen-verify" in asked
        assert {one.step_id for one in house.rounds(run_id)} == {"-plan"}
    refused = house.cli("approve", runs[RunAutonomy.FULL])
    assert refused.returncode == 2
    assert "touch unseen-verify" in refused.stdout
    assert stolen(tmp_path) == []

    # and approved, that one's steps begin
    assert house.cli("approve", runs[RunAutonomy.FULL], "--yes").returncode == 0
    eventually(lambda: house.rounds(runs[RunAutonomy.FULL])[-1].step_id != "-plan", what="a step begins")
    assert all(house.run_of(runs[mode]).status.value == "waiting" for mode in runs if mode is not RunAutonomy.FULL)


def test_commands_on_the_allow_list_wait_for_nobody(daemon: DaemonFactory, house: House, sim: Sim) -> None:
    daemon(env=GIT_SETTINGS, **settings_for(sim, allow_commands=["touch unseen-*"], bounces=0))

    run_id = house.build("A thing [[plan verify]]")

    run = house.wait(run_id)
    assert run.asked == 0
    assert house.merged(run_id, "main" if run.status.value == "completed" else run.branch)


@pytest.mark.parametrize("name", ["../stolen", "a;touch stolen", "a/b", "$(touch stolen)", ".git", "a\nb"])
def test_a_project_whose_name_could_lead_anywhere_is_refused(house: House, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))

    done = house.cli("build", "A thing", "--project", name)

    assert done.returncode in (2, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert stolen(tmp_path) == []
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and "home" not in path.parts] == []
