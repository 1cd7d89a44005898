"""What makes a task acceptable, and how its tries are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from conductor.domain.durations import MOST_SECONDS
from conductor.domain.errors import BadTask
from conductor.domain.outcome import FINAL_STATUS, Outcome, Status, TaskResult, cancelled
from conductor.domain.task import MAX_DESCRIPTION_BYTES, TaskSpec, Tries, check_spec
from conductor.domain.view import Counts, Ended, Queued, view_id
from tests.domain.strategies import SPECS

GOOD = TaskSpec("t1", "make test")


@given(SPECS)
def test_a_good_task_is_returned_as_it_is(spec: TaskSpec) -> None:
    assert check_spec(spec) is spec


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "a"},
        {"id": "A" * 64},
        {"id": "1.2_3-4"},
        {"description": "é" * (MAX_DESCRIPTION_BYTES // 2)},
        {"description": "\x1b[31m\u2028"},
        {"priority": -999},
        {"priority": 999},
        {"timeout_seconds": 0.000001},
        {"timeout_seconds": MOST_SECONDS},
        {"retries": 0},
        {"retries": 1000},
        {"workspace": "/"},
        {"env": (("_a1", ""),)},
    ],
)
def test_the_edge_of_what_is_allowed_is_allowed(changes: dict[str, Any]) -> None:
    check_spec(replace(GOOD, **changes))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"id": ""}, "task id"),
        ({"id": "-a"}, "task id"),
        ({"id": "a\n"}, "task id"),
        ({"id": "a/../b"}, "task id"),
        ({"id": "a~b"}, "task id"),
        ({"id": "٣"}, "task id"),
        ({"pool": ""}, "pool"),
        ({"pool": "a/b"}, "pool"),
        ({"pool": ".hidden"}, "pool"),
        ({"description": ""}, "description is empty"),
        ({"description": " \t\n"}, "description is empty"),
        ({"description": "x" * (MAX_DESCRIPTION_BYTES + 1)}, "longer than 1048576 bytes"),
        ({"description": "é" * (MAX_DESCRIPTION_BYTES // 2) + "x"}, "longer than 1048576 bytes"),
        ({"description": "a\0b"}, "description holds a NUL"),
        ({"description": "a\ud800"}, "description is not valid UTF-8"),
        ({"model": "\0"}, "model holds a NUL"),
        ({"thinking": "\udcff"}, "thinking is not valid UTF-8"),
        ({"agent": "\0"}, "agent holds a NUL"),
        ({"workspace": "relative/path"}, "not an absolute path"),
        ({"workspace": "~/path"}, "not an absolute path"),
        ({"workspace": "/a\0"}, "workspace holds a NUL"),
        ({"priority": 1000}, "priority 1000 is not between"),
        ({"priority": -1000}, "priority -1000 is not between"),
        ({"timeout_seconds": 0.0}, "timeout must be longer than nothing"),
        ({"timeout_seconds": -1.0}, "timeout must be longer than nothing"),
        ({"timeout_seconds": float("nan")}, "timeout must be longer than nothing"),
        ({"timeout_seconds": MOST_SECONDS + 1}, "at most ten years"),
        ({"stall_seconds": 0.0}, "stall must be longer than nothing"),
        ({"retries": -1}, "retries -1 is not between"),
        ({"retries": 1001}, "retries 1001 is not between"),
        ({"not_before_ms": -1}, "outside the years"),
        ({"submitted_ms": 1 << 44}, "outside the years"),
        ({"env": (("", "x"),)}, "is not a name"),
        ({"env": (("A=B", "x"),)}, "is not a name"),
        ({"env": (("1A", "x"),)}, "is not a name"),
        ({"env": (("A\n", "x"),)}, "is not a name"),
        ({"env": (("A", "\0"),)}, "value of A holds a NUL"),
        ({"env": (("A", "\udc80"),)}, "value of A is not valid UTF-8"),
    ],
)
def test_a_faulty_task_is_refused_by_name_of_the_fault(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(BadTask) as caught:
        check_spec(replace(GOOD, **changes))

    assert names in str(caught.value)


def test_started_only_grows_and_a_refunded_or_lost_attempt_is_no_failure() -> None:
    tries = Tries().next_attempt()
    assert (tries.started, tries.failures) == (1, 1)

    tries = tries.refund().next_attempt().lose().next_attempt()

    assert (tries.started, tries.refunded, tries.lost, tries.failures) == (3, 1, 1, 1)


def test_forgiven_tries_keep_only_the_attempt_number() -> None:
    forgiven = Tries(started=7, refunded=2, lost=3).forgiven()

    assert (forgiven.started, forgiven.failures, forgiven.lost) == (7, 0, 0)


def test_every_outcome_has_a_word_for_its_end_and_none_of_them_is_retry() -> None:
    assert set(FINAL_STATUS) == set(Outcome)
    assert Status.RETRY not in FINAL_STATUS.values()


def test_a_result_that_came_too_late_counts_as_cancelled_and_keeps_its_facts() -> None:
    result = TaskResult(Outcome.SUCCESS, "", "done", 1.0, 2.0, 0, None, 3.0, 4, 5)

    counted = cancelled(result)

    assert counted == replace(result, outcome=Outcome.CANCELLED, reason="cancelled", preview="cancelled")


def test_what_is_pending_is_what_may_still_be_claimed() -> None:
    assert Counts(batched=1, ready=2, waiting=4, running=8, dead=16, corrupt=32).pending == 7


def test_every_view_tells_its_task() -> None:
    assert view_id(Queued(GOOD, Tries())) == "t1"
    assert view_id(Ended("t2", Status.SUCCESS, {})) == "t2"
