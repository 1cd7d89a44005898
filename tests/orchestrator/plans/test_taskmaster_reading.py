"""Task Master's tasks.json as a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import PlanInvalid
from conductor.domain.graph import Graph
from conductor.domain.plan import Plan
from conductor.orchestrator.plans import Reading, read_plan
from tests.orchestrator.plans.support import shared, written


def task(number: Any, status: str = "pending", **fields: Any) -> dict[str, Any]:
    return {"id": number, "title": f"Task {number}", "description": "Do it", "status": status, **fields}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Plan]:
    def reader(data: Any, tag: str = "") -> Plan:
        return read_plan(written(tmp_path, "tasks.json", json.dumps(data)), Reading(tag=tag))

    return reader


Read = Callable[..., Plan]


def edges(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {step.id: step.depends_on for step in plan.steps}


def test_a_task_becomes_a_step_with_all_that_it_says(read: Read) -> None:
    plan = read(
        {
            "tasks": [
                task(1),
                task(
                    2,
                    details="With care",
                    testStrategy="Run it",
                    acceptanceCriteria="It is fast",
                    priority="high",
                    dependencies=[1],
                    complexity=7,
                ),
            ]
        }
    )

    step = plan.steps[1]
    assert (step.id, step.title, step.description) == ("2", "Task 2", "Do it\n\nWith care")
    assert (step.criteria, step.priority, step.complexity) == (("Run it", "It is fast"), 10, 4)
    assert step.depends_on == ("1",)


def test_sub_tasks_wait_for_what_they_name_and_the_task_waits_for_them(read: Read) -> None:
    subtasks = [task(1), task(2, dependencies=[1]), task(3, dependencies=["3.1", 1])]

    plan = read({"tasks": [task(1), task(3, dependencies=[1], subtasks=subtasks), task(4, dependencies=[3])]})

    assert edges(plan) == {
        "1": (),
        "3": ("1", "3.1", "3.2", "3.3"),
        "3.1": ("1",),
        "3.2": ("3.1", "1"),
        "3.3": ("3.1", "1"),
        "4": ("3",),
    }
    parent = plan.steps[1]
    assert parent.allow_empty
    assert "3.1, 3.2, 3.3" in parent.description
    assert "part of task 3: Task 3" in plan.steps[2].description


def test_a_number_that_is_no_sibling_is_a_task(read: Read) -> None:
    plan = read({"tasks": [task(1), task(9), task(3, subtasks=[task(1, dependencies=[9, 1])])]})

    assert edges(plan)["3.1"] == ("9", "1")


def test_a_sub_task_that_names_its_own_task_waits_for_nothing_by_that(read: Read) -> None:
    plan = read({"tasks": [task(3, subtasks=[task(1, dependencies=[3])])]})

    assert edges(plan) == {"3": ("3.1",), "3.1": ()}


def test_what_is_done_is_left_out_and_counts_as_fulfilled(read: Read) -> None:
    subtasks = [task(1, "done"), task(2)]

    plan = read({"tasks": [task(1, "done"), task(2, dependencies=[1]), task(3, subtasks=subtasks, dependencies=[1])]})

    assert edges(plan) == {"2": (), "3": ("3.2",), "3.2": ()}
    assert plan.notes == ("2 of 5 tasks and sub-tasks are done",)


def test_a_done_task_has_no_open_sub_tasks(read: Read) -> None:
    plan = read({"tasks": [task(1, "done", subtasks=[task(1)]), task(2, dependencies=["1.1"])]})

    assert edges(plan) == {"2": ()}


@pytest.mark.parametrize("status", ["deferred", "cancelled", "review", "blocked"])
def test_what_a_person_holds_is_left_out_with_all_that_waits_for_it(read: Read, status: str) -> None:
    tasks = [task(1, status), task(2, dependencies=[1]), task(3, subtasks=[task(1, dependencies=[2])]), task(4)]

    plan = read({"tasks": tasks})

    assert edges(plan) == {"4": ()}
    assert plan.notes == (
        f"1 is {status}: it is left out",
        "2 is waiting for 1: it is left out",
        "3 is waiting for 3.1: it is left out",
        "3.1 is waiting for 2: it is left out",
    )


def test_a_cancelled_sub_task_is_not_missed_by_its_own_task(read: Read) -> None:
    plan = read({"tasks": [task(3, subtasks=[task(1, "cancelled"), task(2)])]})

    assert edges(plan) == {"3": ("3.2",), "3.2": ()}


def test_a_file_in_which_everything_is_done_says_so(read: Read) -> None:
    with pytest.raises(PlanInvalid, match="nothing left to do"):
        read({"tasks": [task(1, "done")]})


def test_the_master_tag_is_meant_where_none_is_named(read: Read) -> None:
    data = {"other": {"tasks": [task(1)]}, "master": {"tasks": [task(2)], "metadata": {}}}

    assert edges(read(data)) == {"2": ()}
    assert edges(read(data, tag="other")) == {"1": ()}


def test_the_only_tag_is_meant_where_there_is_no_master(read: Read) -> None:
    assert edges(read({"feature": {"tasks": [task(1)]}})) == {"1": ()}


def test_a_tag_that_is_not_there_is_told_with_those_that_are(read: Read) -> None:
    data = {"one": {"tasks": [task(1)]}, "two": {"tasks": [task(1)]}}

    with pytest.raises(PlanInvalid, match="no tag 'three': it has 'one', 'two'"):
        read(data, tag="three")
    with pytest.raises(PlanInvalid, match="which tag"):
        read(data)


def test_faults_are_told_where_the_file_has_them(read: Read) -> None:
    tasks = [task(1, dependencies=[7]), task(2, subtasks=[task("../x"), task(2, title="a\x1b")]), 5]

    with pytest.raises(PlanInvalid) as caught:
        read({"master": {"tasks": tasks}})

    told = "\n".join(caught.value.faults)
    assert "master.tasks[0].dependencies: there is no step '7'" in told
    assert "master.tasks[1].subtasks[0].id: '2.../x' is no id" in told
    assert "master.tasks[1].subtasks[1].title: it holds the control character '\\x1b'" in told
    assert "master.tasks[2].id: is missing" in told


def test_the_project_around_the_file_will_do(tmp_path: Path) -> None:
    written(tmp_path, ".taskmaster/tasks/tasks.json", json.dumps({"master": {"tasks": [task(1)]}}))

    assert edges(read_plan(str(tmp_path))) == {"1": ()}


@pytest.mark.parametrize(("name", "steps"), [("collabcanvas.json", 2), ("testcraft.json", 54)])
def test_a_real_file_is_a_plan_of_what_is_left_in_it(name: str, steps: int) -> None:
    plan = read_plan(shared(f"taskmaster/{name}"))

    assert len(plan.steps) == steps
    assert len(Graph.of(plan.steps).order()) == steps
    assert "are done" in plan.notes[0]
