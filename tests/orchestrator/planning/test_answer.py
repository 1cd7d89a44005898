"""A planner's answer: what it meant is taken, everything else is a fault that can be sent back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conductor.domain.errors import PlanInvalid
from conductor.domain.plan import Plan
from conductor.orchestrator.planning.answer import read_answer

REQUEST = "Build a shop"
A = {"id": "a", "title": "The model", "description": "Write model.py", "files": ["model.py"]}
B = {"id": "b", "title": "The view", "description": "Write view.py", "depends_on": ["a"], "files": ["view.py"]}
TWO = json.dumps({"name": "shop", "steps": [A, B]})


def read(text: str, **more: Any) -> Plan:
    return read_answer(text, project="shop", request=REQUEST, **more)


def faults(text: str, **more: Any) -> str:
    with pytest.raises(PlanInvalid) as raised:
        read(text, **more)
    return "\n".join(raised.value.faults)


def steps(*given: Any) -> str:
    return json.dumps({"steps": given})


FORMS = {
    "bare": TWO,
    "in a fence": f"```json\n{TWO}\n```",
    "in an indented fence": f"Here:\n  ~~~~\n{TWO}\n  ~~~~\nDone.",
    "among words": f"I [looked] at it {{carefully}}. The plan: {TWO} That is all.",
    "in a fence among others": f"```python\nx = {{'a': [1]}}\n```\nand\n```json\n{TWO}\n```\n[1]",
    "in a longer fence with a shorter one in it": f"````\n```\n{TWO}\n```\n````",
    "the best of several": f"A draft:\n```json\n{json.dumps([A])}\n```\nBetter:\n```json\n{TWO}\n```",
    "wrapped": json.dumps({"plan": {"steps": [A, B]}}),
    "a bare list": json.dumps([A, B]),
    "called tasks": json.dumps({"tasks": [A, B]}),
    "after a beginning that is no JSON": f'{{"steps": oops}} no, this: {TWO}',
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_a_plan_is_found_wherever_it_stands(text: str) -> None:
    plan = read(text)
    assert [(step.id, step.depends_on) for step in plan.steps] == [("a", ()), ("b", ("a",))]
    assert plan.from_model
    assert (plan.project, plan.description) == ("shop", REQUEST)


def test_of_two_plans_as_long_the_last_one_counts() -> None:
    second = json.dumps([{**A, "title": "Another"}, B])
    assert read(f"{TWO}\n\n{second}").steps[0].title == "Another"


BAD = {
    "nothing": ("", "the answer is empty"),
    "words": ("I can't do that.", "there is no plan in the answer"),
    "another shape": ('{"answer": 42}', "there is no plan in the answer"),
    "a list of words": ('["a", "b"]', "there is no plan in the answer"),
    "no steps": ('{"steps": []}', "the plan has no steps"),
    "a trailing comma": ('{"steps": [{"id": "a", "title": "x"},]}', "the JSON can't be read"),
    "single quotes": ("{'steps': [{'id': 'a'}]}", "double quotes at line 1"),
    "not a number": ('{"steps": [{"title": "x", "confidence": NaN}]}', "NaN is no JSON number"),
    "broken off": (TWO[:-20], "breaks off before its JSON ends"),
    "broken off in a fence": (f"```json\n{TWO[:60]}", "breaks off"),
    "broken off after a draft": (f"{json.dumps([A])}\nBetter: {TWO[:-3]}", "breaks off"),
    "broken off in a second fence": (f"```json\n{json.dumps([A])}\n```\nBetter:\n```json\n{TWO[:60]}", "breaks off"),
    "half of a character in an id": (
        '{"steps": [{"id": "\\ud800", "title": "x", "depends_on": ["\\udfff"]}]}',
        "is no id",
    ),
    "deep": ("[" * 5000, "nested deeper than"),
    "rather deep": ('{"steps":' * 80 + "1" + "}" * 80, "nested deeper than"),
    "huge": ("x" * 2_000_001, "longer than"),
    "a huge number": ('{"steps": [{"title": "x", "complexity": ' + "9" * 5000 + "}]}", "the JSON can't be read"),
    "a step that is none": (steps(A, "b"), "steps[1]"),
    "a cycle": (steps({**A, "depends_on": ["b"]}, B), "a -> b -> a"),
    "itself": (steps({**A, "depends_on": ["a"]}), "a -> a"),
    "an unknown dependency": (steps(A, {**B, "depends_on": ["zzz"]}), "there is no step 'zzz'"),
    "the same id twice": (steps(A, {**B, "id": "a", "depends_on": []}), "'a' is the id of"),
    "a metacharacter in an id": (steps({**A, "id": "$(id)"}), "is no id"),
    "a way out in an id": (steps({**A, "id": "../../etc"}), "is no id"),
    "a way out in a file": (steps({**A, "files": ["../../etc/passwd"]}), "steps[0].files"),
    "an absolute file": (steps({**A, "files": ["/etc/passwd"]}), "steps[0].files"),
    "an unknown category": (steps({**A, "category": "magic"}), "category"),
    "complexity nine": (steps({**A, "complexity": 9}), "complexity"),
    "the agent command": (steps({**A, "agent": "command"}), "not yours to choose"),
    "an unknown agent": (steps({**A, "agent": "root"}), "one of claude, codex"),
    "an agent that is a list": (steps({**A, "agent": ["claude"]}), "not yours to choose"),
    "too many steps": (steps(*[{"title": "x"}] * 501), "at most 500"),
    "half of a character": ('{"steps": [{"title": "\\ud800", "description": "x"}]}', "steps[0]"),
    "a NUL": ('{"steps": [{"title": "x", "description": "a\\u0000b"}]}', "steps[0]"),
}


@pytest.mark.parametrize(("text", "told"), BAD.values(), ids=BAD.keys())
def test_what_is_no_plan_is_a_fault(text: str, told: str) -> None:
    found = faults(text, agents=("command", "claude", "codex"))
    assert told in found
    found.encode()


def test_all_faults_are_told_at_once_and_on_a_line_each() -> None:
    told = faults(steps({**A, "agent": "command", "complexity": 9}, {**B, "id": "x y", "depends_on": ["no\nbody"]}))
    assert all(word in told for word in ("not yours", "complexity", "is no id", "body"))
    assert len(told.splitlines()) <= 6


def test_very_many_faults_are_bounded() -> None:
    told = faults(steps(*[{"id": f"s{n}", "title": "x", "complexity": 9} for n in range(300)]))
    assert len(told.splitlines()) == 41
    assert "more faults" in told


def test_no_answer_makes_reading_it_endless() -> None:
    for text in (
        "````x\n" * 200_000,
        "~~~\n{" * 100_000,
        "[" * 300 + '"a",' * 200_000 + "x" + "]" * 300,
        steps(*[{"title": f"s{n}", "depends_on": [f"nobody-{m}" for m in range(300)]} for n in range(300)]),
        '{"a":' * 200_000,
    ):
        assert faults(text)


def test_agents_that_are_offered_may_be_chosen() -> None:
    assert read(steps({**A, "agent": "claude"}), agents=("claude",)).steps[0].agent == "claude"


def test_the_form_of_a_bare_list_without_ids_is_read() -> None:
    text = json.dumps(
        [
            {
                "description": "Design the schema",
                "category": "database-operations",
                "complexity": 4,
                "dependencies": [],
            },
            {"description": "Log in", "dependencies": ["task-001"], "file_targets": ["src/auth/*"]},
        ]
    )
    plan = read(text)
    assert [(step.id, step.depends_on, step.files) for step in plan.steps] == [
        ("task-001", (), ()),
        ("task-002", ("task-001",), ("src/auth/*",)),
    ]


def dependency(named: Any, **first: Any) -> tuple[str, ...]:
    return read(steps({"title": "The model", **first}, {"title": "View", "dependencies": named})).steps[1].depends_on


@pytest.mark.parametrize("named", [["task-001"], ["1"], [1], 1, "Task 1", "step_1", "#1", ["the  MODEL"], [{"id": 1}]])
def test_without_ids_a_step_is_meant_by_number_or_title(named: Any) -> None:
    assert dependency(named) == ("task-001",)


@pytest.mark.parametrize("named", ["M", "m", "the model", 1, "task-001"])
def test_with_ids_too_where_no_id_is_a_number(named: Any) -> None:
    assert dependency(named, id="m") == ("m",)


def test_a_number_means_the_id_that_has_it() -> None:
    text = steps({"id": "T-7", "title": "x"}, {"id": "T-8", "title": "y", "dependencies": [7]})
    assert read(text).steps[1].depends_on == ("T-7",)


def test_where_ids_have_numbers_no_place_is_meant() -> None:
    assert "there is no step '1'" in faults(
        steps({"id": "T-7", "title": "x"}, {"id": "T-8", "title": "y", "dependencies": [1]})
    )


def test_counting_from_nought_is_a_fault() -> None:
    assert "there is no step '0'" in faults(steps({"title": "x"}, {"title": "y", "dependencies": [0]}))


def test_a_title_that_two_steps_have_is_a_doubt() -> None:
    text = steps({"title": "x"}, {"title": "X"}, {"title": "y", "dependencies": ["x"]})
    assert "the title of several steps" in faults(text)


def test_an_id_that_conductor_gives_is_never_taken() -> None:
    plan = read(steps({"title": "x"}, {"id": "task-001", "title": "y"}))
    assert len({step.id for step in plan.steps}) == 2


def test_a_request_in_odd_letters_names_no_odd_plan() -> None:
    plan = read_answer(steps(A), project="shop", request="Bui\0ld\x1b \ud800 a\tshop\n" * 40)
    assert len(plan.name) <= 80
    assert plan.name.isprintable()
    plan.description.encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "id task_id title description dependencies depends_on files steps tasks agent name complexity category "
                "check verify confidence timeout plan x".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.one_of(st.text(), VALUES.map(json.dumps), st.lists(VALUES).map(lambda many: json.dumps({"steps": many}))))
@example("```\n{\n```")
@example('{"steps": [{"title": "x", "depends_on": [[1]]}]}')
@example('[{"title": 1, "id": []}]')
def test_any_text_is_a_plan_or_has_faults(text: str) -> None:
    try:
        plan = read(text)
    except PlanInvalid as error:
        told = error.faults
    else:
        told = tuple(step.id for step in plan.steps)
    assert told
    "".join(told).encode()
