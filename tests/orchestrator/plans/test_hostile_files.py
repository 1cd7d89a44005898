"""Files that mean harm, or are broken: each is answered with a fault, nothing is executed, nothing grows."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.errors import PlanInvalid, UsageError
from conductor.domain.graph import Graph
from conductor.orchestrator.plans import read_plan
from conductor.orchestrator.plans.loading import MOST_BYTES, load_text
from tests.orchestrator.plans.support import written

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join(['*' + before] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k1: 1, k2: 2}\n" + "".join(
    f"{after}: &{after} {{<<: [{', '.join(['*' + before] * 9)}]}}\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 200_000, "nested deeper"),
        ("[" * 200_000 + "]" * 200_000, "nested deeper"),
        ("a: " + "[" * 200_000, "nested deeper"),
        ("- " * 100_000, "nested deeper"),
        ("".join(" " * depth + "a:\n" for depth in range(500)), "line 101: it is nested deeper"),
        (LAUGHS, "aliases stand for more than"),
        ("a: &a [*a]", "aliases stand for more than"),
        (MERGES, "merges far too much"),
        ("steps: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("steps:\n- id: a\n  id: b\n", "line 2, column 3: it is not YAML: the key 'id' stands twice"),
        ('{"steps": [], "steps": []}', "the key 'steps' stands twice"),
        ('{"steps": NaN}', "NaN is no number"),
        ('{"steps": ' + "1" * 5000 + "}", "Exceeds the limit"),
        ("steps: " + "1" * 5000, "Exceeds the limit"),
        ("steps: 2024-13-45", "month must be in 1..12"),
        ("steps: [a", "it is not YAML"),
        ('{"steps": [}', "line 1, column 12: it is not JSON"),
        ("steps: \x00", "control characters"),
        ("? [a]\n: b", "unhashable key"),
    ],
)
def test_text_that_means_harm_is_answered_with_one_fault(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, "plan.yaml", text)

    with pytest.raises(PlanInvalid) as caught:
        read_plan(path)

    assert len(caught.value.faults) == 1
    assert told in caught.value.faults[0]
    assert len(str(caught.value)) < 1000


def test_a_merged_mapping_may_be_overruled(tmp_path: Path) -> None:
    first = "- &one {id: a, title: A, agent: claude, complexity: 2}\n"
    text = first + "- {<<: *one, id: b, complexity: 3}\n- {<<: *one, id: c}\n"

    plan = read_plan(written(tmp_path, "plan.yaml", text))

    assert [(step.id, step.agent, step.complexity) for step in plan.steps] == [
        ("a", "claude", 2),
        ("b", "claude", 3),
        ("c", "claude", 2),
    ]


def test_a_plan_in_braces_need_not_be_json(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, "plan.yaml", "{steps: [{id: a, title: A}]}"))

    assert plan.steps[0].id == "a"


def test_a_file_of_no_text_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(PlanInvalid, match="not UTF-8 text"):
        read_plan(str(path))


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES * 100)

    with pytest.raises(PlanInvalid, match="larger than 64 MiB"):
        read_plan(str(path))


def test_a_pipe_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan.yaml")

    with pytest.raises(PlanInvalid):
        read_plan(str(tmp_path / "plan.yaml"))


def test_a_folder_without_a_plan_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no plan"):
        read_plan(str(tmp_path))


def test_names_in_faults_cannot_speak_to_a_terminal(tmp_path: Path) -> None:
    path = written(tmp_path, "plan.json", '[{"id": "\\u001b[2J", "\\u001b]0;x": 1, "depends_on": ["\\u0007"]}]')

    with pytest.raises(PlanInvalid) as caught:
        read_plan(path)

    assert not set(str(caught.value)) & {"\x1b", "\x07"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.floats() | st.sampled_from(["", "1", "1.1", "done", "x\x1b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
TASKS: st.SearchStrategy[Any] = st.deferred(
    lambda: st.lists(
        JSON
        | st.fixed_dictionaries(
            {"id": JSON},
            optional={
                "status": JSON,
                "title": JSON,
                "dependencies": JSON,
                "subtasks": JSON | TASKS,
                "parents": JSON,
                "children": JSON,
                "complexity": JSON,
                "runtimeInSeconds": JSON,
                "command": JSON | st.fixed_dictionaries({"program": JSON, "arguments": JSON}),
            },
        ),
        max_size=4,
    )
)
PART = st.fixed_dictionaries({"tasks": TASKS})
RECORDED = st.fixed_dictionaries({"specification": PART, "execution": PART})
FOREIGN = PART | st.fixed_dictionaries({"workflow": RECORDED}) | st.dictionaries(st.sampled_from(["master", "x"]), PART)


@given(data=FOREIGN)
def test_whatever_another_program_wrote_is_a_plan_or_told_why_not(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "foreign.json"
    path.write_text(json.dumps(data).replace("NaN", "0").replace("-Infinity", "0").replace("Infinity", "1e999"))

    with suppress(PlanInvalid):
        Graph.of(read_plan(str(path)).steps)


@given(st.text(max_size=200) | st.lists(st.sampled_from(list("{}[]:,-&*?|>!%@`'\"# \n\tab1<"))).map("".join))
def test_no_text_at_all_does_more_than_raise_a_fault(text: str) -> None:
    with suppress(PlanInvalid):
        load_text(text, "plan.yaml")
