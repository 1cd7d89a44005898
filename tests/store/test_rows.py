"""Values as rows, and back."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.errors import StoreRefused
from conductor.domain.plan import Step, StepType
from conductor.domain.run import Delegation, DelegationState, Run, RunStatus, StepState, StepStatus
from conductor.store.rows import delegation_of, delegation_row, document_of, run_of, run_row, step_of, step_row
from conductor.testing.contract_store_base import FULL_RUN, FULL_STEP

TEXTS = st.text(st.characters(exclude_categories=[]), max_size=20)  # half surrogates too
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
STEPS = st.builds(
    Step,
    id=TEXTS,
    title=TEXTS,
    description=TEXTS,
    type=st.sampled_from(StepType),
    depends_on=st.lists(TEXTS, max_size=3).map(tuple),
    files=st.lists(TEXTS, max_size=3).map(tuple),
    estimate_seconds=st.none() | NUMBERS,
    timeout_seconds=NUMBERS,
    priority=st.integers(),
    allow_empty=st.booleans(),
)


@given(
    st.builds(
        Run, id=TEXTS, project=TEXTS, title=TEXTS, status=st.sampled_from(RunStatus), created=NUMBERS, reason=TEXTS
    )
)
def test_any_run_comes_back(run: Run) -> None:
    assert run_of(run_row(run)) == run


@given(
    st.builds(
        StepState, run_id=TEXTS, step=STEPS, position=st.integers(), status=st.sampled_from(StepStatus), reason=TEXTS
    )
)
def test_any_step_comes_back(state: StepState) -> None:
    row = step_row(state)

    assert step_of(row) == state
    assert row["step"].isascii()
    assert row["facts"].isascii()


@given(
    st.builds(
        Delegation,
        **dict.fromkeys(("task_id", "run_id", "step_id", "worktree", "reason"), TEXTS),
        round=st.integers(),
        state=st.sampled_from(DelegationState),
        created=NUMBERS,
    )
)
def test_any_delegation_comes_back(delegation: Delegation) -> None:
    assert delegation_of(delegation_row(delegation)) == delegation


def with_facts(row: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {**row, "facts": json.dumps({**json.loads(row["facts"]), **facts})}


def test_a_fact_that_nobody_knows_any_more_is_passed_over() -> None:
    assert run_of(with_facts(run_row(FULL_RUN), colour="green")) == FULL_RUN


def test_a_fact_that_was_not_known_yet_has_its_default() -> None:
    row = run_row(FULL_RUN)
    facts = json.loads(row["facts"])
    del facts["wip"]

    assert run_of({**row, "facts": json.dumps(facts)}).wip == 0


@pytest.mark.parametrize("facts", ["", "no JSON", "[]", "null", '{"asked_for": 3}', '{"autonomy": "dancing"}', "{}"])
def test_a_row_that_can_not_be_read_is_told(facts: str) -> None:
    with pytest.raises(StoreRefused, match="a row of Run can't be read"):
        run_of({**run_row(FULL_RUN), "facts": facts})


@given(st.text())
def test_a_step_of_any_rubbish_is_told_and_nothing_else_is_raised(rubbish: str) -> None:
    with suppress(StoreRefused):
        step_of({**step_row(FULL_STEP), "step": rubbish})


@given(st.text())
def test_a_document_of_any_rubbish_is_told_and_nothing_else_is_raised(rubbish: str) -> None:
    with suppress(StoreRefused):
        assert isinstance(document_of(rubbish), dict)


@pytest.mark.parametrize("text", ["", "3", "[1]", "null", '"text"'])
def test_a_document_that_is_none_is_told(text: str) -> None:
    with pytest.raises(StoreRefused, match="a document in the store can't be read"):
        document_of(text)
