"""A folder of specs is a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.errors import PlanInvalid
from conductor.orchestrator.plans import read_plan
from tests.orchestrator.plans.support import written


def test_each_spec_is_a_step_with_its_text_and_its_front_matter(tmp_path: Path) -> None:
    folder = tmp_path / "vision" / "specs"
    written(folder, "VC-001-spec.md", "# VC-001 - Camera input\n\nRead frames.\n")
    written(
        folder,
        "VC-002-spec.md",
        "---\ndepends_on: [VC-001]\nfiles: src/actions/**\ncomplexity: 4\n---\n# VC-002: Dispatcher\n\nSend actions.\n",
    )
    written(folder, "README.md", "no spec")

    plan = read_plan(str(folder))

    assert plan.name == "vision"
    first, second = plan.steps
    assert (first.id, first.title, first.depends_on) == ("VC-001", "Camera input", ())
    assert first.description == "# VC-001 - Camera input\n\nRead frames."
    assert (second.id, second.title, second.complexity) == ("VC-002", "Dispatcher", 4)
    assert (second.depends_on, second.files) == (("VC-001",), ("src/actions/**",))


def test_the_project_around_the_folder_will_do(tmp_path: Path) -> None:
    written(tmp_path / "specs", "a-spec.md", "Do it")

    assert [step.id for step in read_plan(str(tmp_path)).steps] == ["a"]


def test_dependencies_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    written(tmp_path, "a-spec.md", "---\ndependencies: none\n---\nA")
    written(tmp_path, "b-spec.md", "---\ndependencies: a\n---\nB")
    written(tmp_path, "c-spec.md", "---\ndependencies: a, b\n---\nC")

    assert [step.depends_on for step in read_plan(str(tmp_path)).steps] == [(), ("a",), ("a", "b")]


def test_numbers_in_names_stand_in_their_own_order(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        written(tmp_path, f"T-{number}-spec.md", "Do it")

    assert [step.id for step in read_plan(str(tmp_path)).steps] == ["T-1", "T-9", "T-10"]


def test_what_is_done_is_left_out_and_counts_as_fulfilled(tmp_path: Path) -> None:
    written(tmp_path, "a-spec.md", "---\nstatus: done\n---\nA")
    written(tmp_path, "b-spec.md", "---\nstatus: pending\ndependencies: a\n---\nB")

    plan = read_plan(str(tmp_path))

    assert [(step.id, step.depends_on) for step in plan.steps] == [("b", ())]
    assert plan.notes == ("1 of 2 specs are done",)


def test_what_is_deferred_is_left_out_with_all_that_waits_for_it(tmp_path: Path) -> None:
    written(tmp_path, "a-spec.md", "---\nstatus: deferred\n---\nA")
    written(tmp_path, "b-spec.md", "---\ndependencies: a\n---\nB")
    written(tmp_path, "c-spec.md", "C")

    plan = read_plan(str(tmp_path))

    assert [step.id for step in plan.steps] == ["c"]
    assert plan.notes == ("a is deferred: it is left out", "b is waiting for a: it is left out")


def test_the_faults_of_every_file_are_told_with_its_name(tmp_path: Path) -> None:
    written(tmp_path, "a-spec.md", "---\nid: b\n---\nA")
    written(tmp_path, "b-spec.md", "---\n[\n---\nB")
    written(tmp_path, "c-spec.md", "---\n- x\n---\nC")
    (tmp_path / "d-spec.md").symlink_to("/etc/passwd")

    with pytest.raises(PlanInvalid) as caught:
        read_plan(str(tmp_path))

    told = caught.value.faults
    assert [fault.split(":")[0] for fault in told] == ["a-spec.md", "b-spec.md", "c-spec.md", "d-spec.md"]


def test_a_fault_in_a_step_is_told_with_the_name_of_its_file(tmp_path: Path) -> None:
    written(tmp_path, "a-spec.md", "---\ndepend_on: b\ncomplexity: 7\n---\nA")
    written(tmp_path, "b-spec.md", "---\ndependencies: nobody\n---\nB")

    with pytest.raises(PlanInvalid) as caught:
        read_plan(str(tmp_path))

    assert caught.value.faults == (
        "a-spec.md.complexity: must be at most 5, not 7",
        "a-spec.md: unknown key 'depend_on': did you mean 'depends_on'?",
        "b-spec.md.depends_on: there is no step 'nobody'",
    )
