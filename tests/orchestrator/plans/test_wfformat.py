"""Recorded workflows are replayed as plans."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import PlanInvalid
from conductor.domain.graph import Graph
from conductor.domain.plan import STEP_ID, Plan
from conductor.orchestrator.plans import Reading, Replay, read_plan
from conductor.orchestrator.plans.wfformat import step_id
from tests.orchestrator.plans.support import shared, written


def workflow(**changes: Any) -> dict[str, Any]:
    return {
        "name": "tiny",
        "description": "Two tasks",
        "schemaVersion": "1.5",
        "workflow": {
            "specification": {
                "tasks": [
                    {"id": "first_1", "name": "first", "parents": [], "children": ["second_2"]},
                    {"id": "second_2", "name": "second; rm", "parents": [], "children": []},
                ]
            },
            "execution": {
                "tasks": [
                    {
                        "id": "first_1",
                        "runtimeInSeconds": 2.5,
                        "command": {"program": "do it", "arguments": ["a b", "$x"]},
                    },
                    {"id": "second_2", "runtimeInSeconds": 7200, "command": {"program": "echo a; echo b"}},
                ]
            },
        },
        **changes,
    }


def replayed(tmp_path: Path, replay: Replay, data: dict[str, Any] | None = None) -> Plan:
    return read_plan(written(tmp_path, "tiny.json", json.dumps(data or workflow())), Reading(replay=replay))


def test_each_task_sleeps_as_long_as_it_ran_times_the_scale(tmp_path: Path) -> None:
    plan = replayed(tmp_path, Replay(scale=0.1))

    first, second = plan.steps
    assert (plan.name, plan.description) == ("tiny", "Two tasks")
    assert (first.agent, first.description, first.estimate_seconds) == ("command", "sleep 0.25", 0.25)
    assert (second.description, second.depends_on) == ("sleep 720", ("first_1",))
    assert first.may_be_empty


def test_a_step_may_take_twice_as_long_as_was_recorded(tmp_path: Path) -> None:
    assert [step.timeout_seconds for step in replayed(tmp_path, Replay()).steps] == [3600.0, 14400.0]


def test_the_recorded_command_can_be_run_itself(tmp_path: Path) -> None:
    first, second = replayed(tmp_path, Replay(mode="command")).steps

    assert shlex.split(first.description) == ["do it", "a b", "$x"]
    assert second.description == "echo a; echo b"


def test_what_a_workflow_says_is_only_ever_a_word_of_the_template(tmp_path: Path) -> None:
    command = "work --name {name} --for {seconds} -- {program} {arguments} ${HOME} {other}"

    first, second = replayed(tmp_path, Replay("command", 2.0, command)).steps

    assert first.description == "work --name first --for 5 -- 'do it' 'a b' '$x' ${HOME} {other}"
    assert second.description.startswith("work --name 'second; rm' --for 14400 -- 'echo a; echo b' ")


def test_an_id_that_cannot_be_a_steps_is_shortened_and_stays_its_own() -> None:
    long = "NFCORE_" * 20
    ids = [long + "1", long + "2", "a/b", "a:b", "../x", "", "ü"]

    made = [step_id(one) for one in ids]

    assert len(set(made)) == len(ids)
    assert all(STEP_ID.fullmatch(one) for one in made)
    assert step_id("mProject_ID0000003") == "mProject_ID0000003"


def test_a_long_id_is_named_by_its_children_as_by_its_parents(tmp_path: Path) -> None:
    data = workflow()
    long = "x/" * 50
    data["workflow"]["specification"]["tasks"] = [
        {"id": long, "parents": []},
        {"id": "b", "parents": [long]},
    ]

    plan = replayed(tmp_path, Replay(), data)

    assert plan.steps[1].depends_on == (plan.steps[0].id,)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schemaVersion": "1.3"}, "WfFormat 1.5 is read, not '1.3'"),
        ({"workflow": {}}, "workflow.specification.tasks: must be a list"),
        ({"workflow": {"specification": {"tasks": [{}]}, "execution": {"tasks": []}}}, "must hold a text `id`"),
        (
            {"workflow": {"specification": {"tasks": [{"id": "a", "parents": ["b"]}]}, "execution": {"tasks": []}}},
            r"workflow.specification.tasks\[0\].depends_on: there is no step 'b'",
        ),
        (
            {
                "workflow": {
                    "specification": {"tasks": [{"id": "a"}]},
                    "execution": {"tasks": [{"id": "a", "runtimeInSeconds": -1}]},
                }
            },
            r"tasks\[0\].estimate: must be more than 0, not -1",
        ),
        (
            {"workflow": {"specification": {"tasks": [{"id": "a"}]}, "execution": 5}},
            "workflow.execution.tasks: must be a list",
        ),
        (
            {
                "workflow": {
                    "specification": {"tasks": [{"id": "a", "parents": 3, "children": {"x": 1}}]},
                    "execution": {"tasks": []},
                }
            },
            r"tasks\[0\]: parents and children must be lists",
        ),
    ],
)
def test_a_workflow_of_the_wrong_shape_is_answered(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanInvalid, match=told):
        replayed(tmp_path, Replay(), workflow(**changes))


def test_a_scale_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanInvalid, match="must be more than 0"):
        replayed(tmp_path, Replay(scale=0))


@pytest.mark.parametrize(
    ("name", "steps", "waves"),
    [
        ("bacass-dirt02-001", 11, 5),
        ("hic-dirt02-001", 38, 13),
        ("montage-chameleon-2mass-01d-001", 103, 8),
        ("seismology-chameleon-100p-001", 101, 2),
    ],
)
@pytest.mark.parametrize("mode", ["sleep", "command"])
def test_a_recorded_workflow_is_a_plan(name: str, steps: int, waves: int, mode: Any) -> None:
    plan = read_plan(shared(f"wfinstances/{name}.json"), Reading(replay=Replay(mode=mode)))

    graph = Graph.of(plan.steps)
    assert (len(graph), len(graph.waves())) == (steps, waves)
    assert all(step.agent == "command" for step in plan.steps)
