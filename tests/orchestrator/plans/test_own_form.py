"""Plans in conductor's own form: what is read, what is written, and what each fault says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor.domain.errors import PlanInvalid, UsageError
from conductor.domain.plan import CATEGORIES, Plan, Step, StepType
from conductor.orchestrator.plans import parse_plan, plan_document, read_plan, write_plan
from tests.orchestrator.plans.support import faults_of, plan_of, step, written

NO_ID = (
    "{} is no id: at most 64 letters, digits, dots, dashes and underscores, a letter or digit first, no two dots in a "
    "row, neither a dot nor .lock last"
)
WHOLE = """
version: 1
name: calculator
description: Build a calculator
project: calc
check: pytest -q
steps:
  - id: ops
    title: Operations
    description: Write them
    type: test
    category: unit-test-generation
    complexity: 2
    files: [src/ops.py, "tests/**"]
    criteria: [they work]
    agent: claude
    model: opus
    thinking: high
    estimate: 15m
    timeout: 2h
    retries: 2
    verify: pytest tests/test_ops.py
    priority: 5
    allow_empty: true
    confidence: 0.8
  - id: cli
    description: |
      The command line
      of it
    depends_on: [ops]
"""


def test_every_field_of_a_plan_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "plan.yaml", WHOLE)

    plan = read_plan(path)

    assert plan == Plan(
        name="calculator",
        description="Build a calculator",
        project="calc",
        check="pytest -q",
        source=path,
        steps=(
            Step(
                id="ops",
                title="Operations",
                description="Write them",
                type=StepType.TEST,
                category="unit-test-generation",
                complexity=2,
                files=("src/ops.py", "tests/**"),
                criteria=("they work",),
                agent="claude",
                model="opus",
                thinking="high",
                estimate_seconds=900.0,
                timeout_seconds=7200.0,
                retries=2,
                verify="pytest tests/test_ops.py",
                priority=5,
                allow_empty=True,
                confidence=0.8,
            ),
            Step(id="cli", title="The command line", description="The command line\nof it", depends_on=("ops",)),
        ),
    )


def test_other_words_for_the_same_are_read_too() -> None:
    plan = parse_plan(
        {
            "tasks": [
                step("a"),
                step(
                    "b",
                    dependencies=["a"],
                    file_targets=["src/*"],
                    success_criteria=["it works"],
                    estimated_duration="90s",
                ),
            ]
        },
        "the plan",
    )

    second = plan.steps[1]
    assert (second.depends_on, second.files, second.criteria) == (("a",), ("src/*",), ("it works",))
    assert second.estimate_seconds == 90.0


def test_a_bare_list_of_steps_is_a_plan_named_after_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, "nightly.json", '[{"id": 1, "title": "One"}, {"id": 2, "title": "Two", "depends_on": 1}]')

    plan = read_plan(path)

    assert plan.name == "nightly"
    assert [(one.id, one.depends_on) for one in plan.steps] == [("1", ()), ("2", ("1",))]


def test_null_and_nothing_are_as_good_as_left_out() -> None:
    assert plan_of(step(agent=None, model="", estimate=None, depends_on=None)) == plan_of(step())


def test_all_faults_are_told_in_one_go_each_with_its_place() -> None:
    assert faults_of(
        {
            "nme": "x",
            "tasks": [
                step("../a"),
                step("b", complexity=9, dependencies=["c"], type="feet"),
                step("c", dependencies=["b", "zz"], files=["/etc/passwd", "../up", "ok"], estimate=-1),
                step("b", confidence="much", category="api-developmnt"),
                {"id": "e"},
                "f",
            ],
        }
    ) == (
        "tasks[0].id: " + NO_ID.format("'../a'"),
        "tasks[1].type: must be 'feature', 'bug', 'refactor', 'test' or 'documentation', not 'feet'",
        "tasks[1].complexity: must be at most 5, not 9",
        "tasks[2].files[0]: '/etc/passwd' must be relative to the project",
        "tasks[2].files[1]: '../up' leads out of the project",
        "tasks[2].estimate: must be more than 0, not -1",
        "tasks[3].category: 'api-developmnt' is none of the 23: did you mean 'api-development'?",
        "tasks[3].confidence: must be a number, not 'much'",
        "tasks[5]: must hold `name: value`, not 'f'",
        "unknown key 'nme': did you mean 'name'?",
        "'b' is the id of tasks[1] and tasks[3]",
        "tasks[2].dependencies: there is no step 'zz'",
        "a cycle, each waits for the next: b -> c -> b",
    )


def test_a_step_says_what_it_is_for() -> None:
    assert faults_of([{"id": "a"}]) == ("steps[0]: a title or a description is missing",)
    assert faults_of([step(agent="command")]) == (
        "steps[0].description: is missing: for the agent command it is the shell command",
    )


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("depends_onn", [], "steps[0]: unknown key 'depends_onn': did you mean 'depends_on'?"),
        ("a.b", 1, "steps[0]: unknown key 'a.b'"),
        ("colour", "red", "steps[0]: unknown key 'colour'"),
        ("complexity", 0, "steps[0].complexity: must be at least 1, not 0"),
        ("complexity", "high", "steps[0].complexity: must be a whole number, not 'high'"),
        ("complexity", True, "steps[0].complexity: true is no number"),
        ("complexity", 2.5, "steps[0].complexity: must be a whole number, not 2.5"),
        ("timeout", "soon", "steps[0].timeout: can't read 'soon' as a time: write 30s, 10m, 2h or 1h30m"),
        ("timeout", float("inf"), "steps[0].timeout: must be a finite number"),
        ("timeout", "1000w", "steps[0].timeout: '1000w' is more than ten years"),
        ("retries", 21, "steps[0].retries: must be at most 20, not 21"),
        ("priority", 1000, "steps[0].priority: must be at most 999, not 1000"),
        ("confidence", 1.5, "steps[0].confidence: must be at most 1, not 1.5"),
        ("allow_empty", "perhaps", "steps[0].allow_empty: must be true or false, not 'perhaps'"),
        ("files", {"a": 1}, "steps[0].files: must be a list, not a mapping"),
        ("files", ["a\\b"], "steps[0].files[0]: 'a\\\\b': write / between folders, and no backslash"),
        ("files", [".git/hooks/post-merge"], "steps[0].files[0]: '.git/hooks/post-merge' is git's own"),
        ("files", ["~/x"], "steps[0].files[0]: '~/x' must be relative to the project"),
        ("files", ["a\nb"], "steps[0].files[0]: 'a\\nb' is no path"),
        ("title", "a\x1b[2Jb", "steps[0].title: it holds the control character '\\x1b'"),
        ("description", "a\0b", "steps[0].description: it holds the control character '\\x00'"),
        ("description", "\ud800", "steps[0].description: it holds the control character '\\ud800'"),
        ("description", ["a"], "steps[0].description: must be text, not a list"),
        ("agent", "a;b", "steps[0].agent: 'a;b' is no name that could stand here"),
        ("model", "--yolo", "steps[0].model: '--yolo' is no name that could stand here"),
        ("thinking", "-x", "steps[0].thinking: '-x' is no name that could stand here"),
        ("depends_on", [3.1], "steps[0].depends_on[0]: 3.1 is not text: write it in quotes"),
        ("depends_on", ["a"], "a cycle, each waits for the next: a -> a"),
        ("id", 3.1, "steps[0].id: 3.1 is not text: write it in quotes"),
        ("id", True, "steps[0].id: True is not text: write it in quotes"),
        ("id", "x" * 65, "steps[0].id: '" + "x" * 75 + "...' is no id"),
        ("id", "a..b", "steps[0].id: 'a..b' is no id"),
        ("id", "a.lock", "steps[0].id: 'a.lock' is no id"),
        ("id", "a b", "steps[0].id: 'a b' is no id"),
        ("id", "$(id)", "steps[0].id: '$(id)' is no id"),
        ("id", "a\n", "steps[0].id: 'a\\n' is no id"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_place(field: str, value: Any, told: str) -> None:
    faults = faults_of([{**step(), field: value}])

    assert faults[0].startswith(told[:60])
    assert len([fault for fault in faults if not fault.startswith("steps[0].depends_on: there is no")]) == 1


def test_saying_a_thing_twice_in_other_words_is_a_fault() -> None:
    assert faults_of([step("a"), step("b", depends_on=["a"], dependencies=["a"])]) == (
        "steps[1]: 'depends_on' and 'dependencies' mean the same: write one of them",
    )


@pytest.mark.parametrize("data", [None, 3, "text", {}, {"steps": []}, {"steps": {}}, {"steps": None}, [], [[]]])
def test_what_is_no_plan_at_all_is_answered(data: Any) -> None:
    assert faults_of(data)


def test_the_version_of_the_form_is_checked() -> None:
    assert faults_of({"version": 2, "steps": [step()]}) == ("version: must be at most 1, not 2",)


def test_a_misspelt_dependency_is_told_with_the_nearest_id() -> None:
    assert faults_of([step("parser"), step("b", depends_on=["praser"])]) == (
        "steps[1].depends_on: there is no step 'praser': did you mean 'parser'?",
    )


def test_very_many_faults_are_told_in_part() -> None:
    faults = faults_of([step(f"s{number}", complexity=9) for number in range(1000)])

    assert len(faults) == 201
    assert faults[-1] == "... and more"


def test_a_file_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't read the plan"):
        read_plan(str(tmp_path / "nowhere.yaml"))


def test_a_plan_behind_a_link_is_read(tmp_path: Path) -> None:
    written(tmp_path, "real.yaml", WHOLE)
    (tmp_path / "link.yaml").symlink_to("real.yaml")

    assert read_plan(str(tmp_path / "link.yaml")).name == "calculator"


def test_a_model_may_say_more_than_was_asked_and_number_nothing() -> None:
    plan = parse_plan(
        {"tasks": [{"description": "One", "why": "because"}, {"description": "Two", "dependencies": ["task-001"]}]},
        "the answer",
        from_model=True,
    )

    assert plan.from_model
    assert [(one.id, one.depends_on) for one in plan.steps] == [("task-001", ()), ("task-002", ("task-001",))]


def test_a_model_cannot_say_that_it_is_none() -> None:
    assert parse_plan({"from_model": False, "steps": [step()]}, "the answer", from_model=True).from_model


def test_a_written_plan_of_a_model_is_still_one(tmp_path: Path) -> None:
    plan = parse_plan([step(verify="rm -rf x")], "the answer", from_model=True)
    path = str(tmp_path / "plan.yaml")

    write_plan(plan, path)

    assert read_plan(path).from_model


PLAIN = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
LINES = st.lists(PLAIN.map(str.strip), min_size=1, max_size=3).map("\n".join)
SECONDS = st.floats(0.001, 1e6)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    ids = draw(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,8}", fullmatch=True), min_size=1, unique=True))
    steps = tuple(
        Step(
            id=step_id,
            title=" ".join(draw(PLAIN).split()),
            description=draw(LINES).strip(),
            type=draw(st.sampled_from(StepType)),
            category=draw(st.sampled_from(["", *CATEGORIES])),
            complexity=draw(st.integers(1, 5)),
            depends_on=tuple(draw(st.lists(st.sampled_from(ids[:at]), unique=True))) if at else (),
            files=tuple(draw(st.lists(st.sampled_from(["src/**", "a b.py", "[id]/*", "#x", "yes"]), unique=True))),
            criteria=tuple(draw(st.lists(LINES, max_size=2))),
            agent=draw(st.sampled_from(["", "claude", "no", "1e3"])),
            estimate_seconds=draw(st.none() | SECONDS),
            timeout_seconds=draw(SECONDS),
            verify=draw(st.sampled_from(["", "pytest -q", "test -f 'a: b'"])),
            confidence=draw(st.none() | st.floats(0, 1)),
            allow_empty=draw(st.booleans()),
        )
        for at, step_id in enumerate(ids)
    )
    return Plan(
        name=" ".join(draw(PLAIN).split()), steps=steps, description=draw(LINES), from_model=draw(st.booleans())
    )


@settings(max_examples=40)
@given(plan=plans())
def test_what_is_written_reads_back_as_the_same_plan(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    path = str(tmp_path_factory.getbasetemp() / "written.yaml")

    write_plan(plan, path)

    assert replace(read_plan(path), source="") == plan
    assert parse_plan(plan_document(plan), "the document") == plan


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NEARLY = st.fixed_dictionaries(
    {"id": JSON | st.sampled_from(["a", "b"])},
    optional={
        name: JSON | st.sampled_from(["a", ["a", "b"], 3])
        for name in ("title", "description", "depends_on", "dependencies", "files", "complexity", "estimate", "model")
    },
)


@given(JSON | st.lists(NEARLY | JSON, max_size=4) | st.fixed_dictionaries({"steps": st.lists(NEARLY, max_size=4)}))
def test_whatever_a_model_answers_is_a_plan_or_told_why_not(data: Any) -> None:
    for from_model in (True, False):
        try:
            plan = parse_plan(data, "the answer", from_model=from_model)
        except PlanInvalid as error:
            str(error).encode()
        else:
            assert parse_plan(plan_document(plan), "the document", from_model=from_model) == plan


def test_what_is_completed_is_left_out_and_counts_as_merged() -> None:
    plan = plan_of(step("a", status="completed"), step("b", depends_on=["a"], status="in_progress"))

    assert [(one.id, one.depends_on) for one in plan.steps] == [("b", ())]
    assert plan.notes == ("1 of 2 steps are done",)


def test_what_is_cancelled_is_left_out_with_all_that_waits_for_it() -> None:
    plan = plan_of(step("a", status="cancelled"), step("b", depends_on=["a"]), step("c"))

    assert [one.id for one in plan.steps] == ["c"]
    assert plan.notes == ("a is cancelled: it is left out", "b is waiting for a: it is left out")


def test_a_plan_of_which_all_is_completed_says_so() -> None:
    assert faults_of([step(status="done")]) == ("there is nothing left to do: every step is completed or cancelled",)


def test_a_model_cannot_say_that_a_step_is_done_already() -> None:
    assert parse_plan([step(status="completed")], "the answer", from_model=True).steps


def test_a_status_alone_makes_no_plan_another_programs(tmp_path: Path) -> None:
    text = "tasks: [{id: a, title: A, status: pending}, {id: b, title: B, status: pending, depends_on: a}]"

    assert read_plan(written(tmp_path, "plan.yaml", text)).steps[1].depends_on == ("a",)


def test_ids_in_a_cycle_cannot_speak_to_a_terminal() -> None:
    assert "\x1b" not in "".join(faults_of([{"id": "\x1b[2J", "title": "A", "depends_on": ["\x1b[2J"]}]))


def test_a_long_request_is_no_fault_of_whoever_takes_it_apart() -> None:
    assert parse_plan({"description": "x" * 200_000, "steps": [step()]}, "the answer", from_model=True)
