"""What results teach."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.ports.orchestration import Candidate
from conductor.routing.learning import (
    MOST_FAILURES,
    MOST_MODELS,
    Record,
    from_document,
    metrics,
    result,
    to_document,
    total,
    with_result,
)
from conductor.routing.registry import Cost
from tests.routing.stories import API, NOW, Place, model, named, step

CLAUDE, CODEX = Candidate("claude", "opus"), Candidate("codex", "sol")
DAY = 86_400


def place() -> Place:
    return Place(model("claude", "opus"), model("codex", "sol"))


def parts(one: Place, agent: str) -> dict[str, float]:
    found = next(found for found in one.router.choose(step()).candidates if found.agent == agent)
    return dict(found.parts)


def failed(one: Place, candidate: Candidate = CLAUDE) -> None:
    one.router.learn(step(), candidate, succeeded=False, seconds=5, tokens=100)


def done(one: Place, candidate: Candidate = CLAUDE) -> None:
    one.router.learn(step(), candidate, succeeded=True, seconds=120, tokens=1000)


def test_a_task_well_done_is_a_point_of_experience_in_its_category() -> None:
    one = place()
    done(one)
    done(one)

    assert parts(one, "claude")["experience"] == 2
    assert parts(one, "codex")["experience"] == 0
    assert dict(one.router.choose(step("code-review")).candidates[0].parts)["experience"] == 0


def test_after_a_failure_the_runner_up_comes_first_until_a_day_has_passed() -> None:
    one = place()
    assert named(one.router.choose(step())) == ["claude:opus", "codex:sol"]

    failed(one)
    assert named(one.router.choose(step())) == ["codex:sol", "claude:opus"]
    assert parts(one, "claude")["failures"] == -5

    one.now += DAY
    assert named(one.router.choose(step())) == ["claude:opus", "codex:sol"]


def test_what_one_process_learned_the_others_know_a_second_later() -> None:
    one = place()
    other = one.another()
    other.choose(step())
    failed(one)

    one.now += 1.1

    assert named(other.choose(step()))[0] == "codex:sol"


def test_two_processes_that_learn_in_turn_lose_nothing() -> None:
    one = place()
    routers = one.router, one.another()
    for number in range(10):
        routers[number % 2].learn(step(), CLAUDE, succeeded=True, seconds=60, tokens=10)

    assert one.another().learned("claude:opus").succeeded == 10


def test_what_was_learned_outlives_the_process() -> None:
    one = place()
    done(one)
    failed(one)

    found = one.another().learned("claude:opus", API)

    assert (found.succeeded, found.failed, found.seconds, found.tokens) == (1, 1, 120, 1100)


def test_only_so_many_failures_are_kept() -> None:
    one = place()
    for _ in range(MOST_FAILURES + 5):
        failed(one)

    assert parts(one, "claude")["failures"] == -5 * MOST_FAILURES
    assert one.router.learned("claude:opus").failed == MOST_FAILURES + 5


def test_a_failure_under_a_clock_far_ahead_counts_for_nothing() -> None:
    one = place()
    one.now += 400 * DAY
    failed(one)
    one.now -= 400 * DAY

    assert parts(one, "claude")["failures"] == 0


def test_the_tokens_of_earlier_tasks_make_the_expected_cost() -> None:
    def expected(record: Record) -> float | None:
        one = Place(model("claude", "opus", cost=Cost(input=10, output=10)))
        one.document = to_document({"claude:opus": {API: record}})
        return one.router.choose(step()).candidates[0].usd_expected

    assert expected(Record(succeeded=3, failed=1, tokens=4_000_000)) == 10
    assert expected(Record(succeeded=1, tokens=4_000_000)) == 4, (
        "one task says little: the usual tokens of complexity 3"
    )


def test_the_figures_are_those_of_the_claw_form() -> None:
    found = total([Record(3, 1, 540.0, 9000), Record(1, 0, 60.0, 1000)])

    assert metrics(found) == {
        "tasks_completed": 4,
        "success_rate": 0.8,
        "avg_completion_time_minutes": 2.5,
        "total_tokens_used": 10_000,
    }
    assert metrics(Record())["avg_completion_time_minutes"] is None


def test_what_runs_its_text_as_it_is_teaches_nothing() -> None:
    one = place()
    one.change("codex", prompted=False)
    done(one, CODEX)

    assert one.document == {}


def test_what_is_kept_does_not_grow_with_the_models_that_plans_name() -> None:
    records: Any = {}
    for number in range(MOST_MODELS + 20):
        records = with_result(records, f"a:{number}", API, Record(succeeded=1))
        records = with_result(records, "b", API, Record(succeeded=1))

    assert len(records) == MOST_MODELS
    assert records["b"][API].succeeded == MOST_MODELS + 20
    assert "a:0" not in records


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"models": []},
        {"models": {"a": None}},
        {"models": {"a": {API: {"succeeded": "many"}}}},
        {"models": {"a": {API: {"succeeded": 1e999, "failed": 0, "seconds": 0, "tokens": 0, "failures": []}}}},
        {"models": {"a": {API: {"succeeded": -1, "failed": 0, "seconds": 0, "tokens": 0, "failures": []}}}},
        {"models": {"a": {API: {"succeeded": 1, "failed": 0, "seconds": 0, "tokens": 0, "failures": 7}}}},
        {"models": {"a": {"no-category": {"succeeded": 1, "failed": 0, "seconds": 0, "tokens": 0, "failures": []}}}},
    ],
)
def test_a_damaged_document_teaches_nothing_and_breaks_nothing(document: dict[str, Any]) -> None:
    assert from_document(document) == {}


RESULTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from([API, "code-review"]), st.booleans(), st.floats(0, 1e6)),
    max_size=30,
)


@given(RESULTS)
def test_no_result_is_lost_on_its_way_through_the_document(results: list[tuple[str, str, bool, float]]) -> None:
    document: dict[str, Any] = {}
    for name, category, succeeded, at in results:
        one = result(succeeded=succeeded, seconds=1, tokens=1, at=NOW + at)
        document = to_document(with_result(from_document(document), name, category, one))

    found = from_document(document)

    assert sum(total(of_model.values()).tasks for of_model in found.values()) == len(results)
    assert sum(total(of_model.values()).succeeded for of_model in found.values()) == sum(one[2] for one in results)
    assert all(len(one.failures) <= MOST_FAILURES for of_model in found.values() for one in of_model.values())
