"""Who tries a step, and how often: the first choice twice, the runner-up twice, whatever was learned meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.run import Delegation, DelegationState
from conductor.orchestrator.verdicts import attempt_order
from conductor.ports.orchestration import Candidate

A, B, C = (Candidate(name) for name in "abc")


def failed(*names: str) -> list[Delegation]:
    return [
        Delegation(f"r.s.{number}", "r", "s", number, DelegationState.FAILED, 0.0, agent=name)
        for number, name in enumerate(names, start=1)
    ]


def test_each_of_the_first_candidates_tries_twice() -> None:
    assert attempt_order((A, B, C), 2) == (A, A, B, B)
    assert attempt_order((A,), 2) == (A, A)
    assert attempt_order((), 2) == ()


def test_a_failure_that_makes_the_runner_up_the_first_choice_does_not_cost_the_second_try() -> None:
    assert attempt_order((B, A), 2, failed("a")) == (A, A, B, B)
    assert attempt_order((B, A), 2, failed("a", "a")) == (A, A, B, B)
    assert attempt_order((A, B), 2, failed("a", "a", "b")) == (A, A, B, B)


def test_a_third_one_that_came_to_the_front_meanwhile_is_not_tried_beyond_the_depth() -> None:
    assert attempt_order((C, B, A), 2, failed("a", "a", "b")) == (A, A, B, B)


def test_who_can_run_no_more_has_no_second_try() -> None:
    assert attempt_order((B, C), 2, failed("a")) == (A, B, B)
    assert attempt_order((), 2, failed("a")) == (A,)


@given(st.lists(st.permutations((A, B, C)), min_size=8, max_size=8), st.integers(1, 3))
def test_however_the_order_changes_each_tries_twice_in_a_row(orders: list[list[Candidate]], depth: int) -> None:
    tried: list[str] = []
    for candidates in orders:
        order = attempt_order(candidates, depth, failed(*tried))
        if len(order) == len(tried):
            break
        tried.append(order[len(tried)].agent)

    assert len(tried) == 2 * depth
    assert all(tried[number] == tried[number + 1] for number in range(0, len(tried), 2))
    assert len(set(tried)) == depth
