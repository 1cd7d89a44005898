"""What follows on an attempt: a table of stories, replayed through the policy."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.failure import Failure
from conductor.domain.outcome import Outcome, Status
from conductor.domain.retry import NextState, RetryPolicy, Verdict, after_attempt, backoff_ms, retries_for
from conductor.domain.task import Tries

NOW_MS = 1_800_000_000_000
S, F, T, C, B, L = (
    Outcome.SUCCESS,
    Outcome.FAILED,
    Outcome.TIMEOUT,
    Outcome.CANCELLED,
    Outcome.BUDGET,
    Outcome.LOST,
)
AT_ONCE = 0


@dataclass(frozen=True)
class Story:
    """How the attempts end one after the other, the waits (ms) between them, and what results.txt says."""

    outcomes: list[Outcome]
    waits: list[int]
    statuses: str
    retries: int = 0
    policy: RetryPolicy = RetryPolicy()


STORIES = {
    "it works": Story([S], [], "SUCCESS"),
    "a failure is final by default": Story([F], [], "FAILED"),
    "a timeout is final by default": Story([T], [], "TIMEOUT"),
    "it fails once and works then": Story([F, S], [1000], "RETRY SUCCESS", retries=1),
    "a timeout is retried like a failure": Story([T, F, S], [1000, 2000], "RETRY RETRY SUCCESS", retries=2),
    "retries are used up": Story([F, F, F], [1000, 2000], "RETRY RETRY FAILED", retries=2),
    "the last timeout is called so": Story([F, T], [1000], "RETRY TIMEOUT", retries=1),
    "the wait doubles up to a minute": Story(
        [F] * 9, [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000], "RETRY " * 8 + "FAILED", retries=8
    ),
    "cancelled is never retried": Story([C], [], "CANCELLED", retries=5),
    "a spent budget is never retried": Story([B], [], "BUDGET", retries=5),
    "cancelled while it is retried": Story([F, C], [1000], "RETRY CANCELLED", retries=5),
    "a lost attempt is retried in any case": Story([L, S], [AT_ONCE], "RETRY SUCCESS"),
    "three may be lost in all, the first at once": Story([L, L, L], [AT_ONCE, 1000], "RETRY RETRY FAILED"),
    "more may be lost where the settings say so": Story(
        [L] * 5, [AT_ONCE, 1000, 2000, 4000], "RETRY " * 4 + "FAILED", policy=RetryPolicy(max_lost=5)
    ),
    "none may be lost where the settings say so": Story([L], [], "FAILED", policy=RetryPolicy(max_lost=1)),
    "a lost attempt is no failure": Story([L, F, L, S], [AT_ONCE, 1000, 1000], "RETRY RETRY RETRY SUCCESS", retries=1),
    "a failure is no loss": Story([F, L, F], [1000, AT_ONCE], "RETRY RETRY FAILED", retries=1),
    "failures and losses are counted apart": Story(
        [L, F, L, F, L], [AT_ONCE, 1000, 1000, 2000], "RETRY RETRY RETRY RETRY FAILED", retries=2
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_story_of_attempts_ends_as_it_is_told(story: Story) -> None:
    tries, waits, statuses = Tries(), [], []
    verdict = Verdict(NextState.WAITING, Status.RETRY, tries)
    for outcome in story.outcomes:
        assert verdict.state is NextState.WAITING, "no attempt follows on the end"
        verdict = after_attempt(outcome, tries.next_attempt(), story.retries, story.policy, NOW_MS, chance=0.0)
        tries = verdict.tries
        statuses.append(verdict.status.value)
        if verdict.state is NextState.WAITING:
            waits.append(verdict.due_ms - NOW_MS if verdict.due_ms else AT_ONCE)

    assert waits == story.waits
    assert " ".join(statuses) == story.statuses
    assert verdict.state is (NextState.ENDED if story.outcomes[-1] is S else NextState.DEAD)
    assert tries.started == len(story.outcomes)


@given(st.lists(st.sampled_from([F, T, L]), min_size=1, max_size=60), st.integers(0, 5), st.integers(1, 5))
def test_whatever_goes_wrong_poison_has_an_end(outcomes: list[Outcome], retries: int, max_lost: int) -> None:
    tries, attempts = Tries(), 0
    for outcome in outcomes:
        attempts += 1
        verdict = after_attempt(outcome, tries.next_attempt(), retries, RetryPolicy(max_lost=max_lost), NOW_MS, 0.5)
        tries = verdict.tries
        if verdict.state is NextState.DEAD:
            break

    assert attempts <= retries + max_lost
    assert verdict.state is NextState.DEAD or attempts == len(outcomes)


def test_a_refunded_attempt_costs_no_retry() -> None:
    given_back = Tries().next_attempt().refund().next_attempt().refund()

    verdict = after_attempt(F, given_back.next_attempt(), 1, RetryPolicy(), NOW_MS, 0.0)

    assert verdict.state is NextState.WAITING
    assert verdict.due_ms == NOW_MS + 1000


def test_after_a_retry_by_hand_every_count_starts_anew_and_numbers_go_on() -> None:
    dead = after_attempt(L, Tries(started=3, lost=2), 0, RetryPolicy(), NOW_MS, 0.0)
    assert dead.state is NextState.DEAD

    again = dead.tries.forgiven().next_attempt()

    assert again.started == 4
    assert again.failures == 1
    assert after_attempt(L, again, 0, RetryPolicy(), NOW_MS, 0.0).state is NextState.WAITING
    assert after_attempt(F, again, 1, RetryPolicy(), NOW_MS, 0.0).state is NextState.WAITING


@given(st.integers(1, 10_000), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_the_wait_is_doubled_capped_and_has_up_to_a_quarter_on_top(nth: int, chance: float) -> None:
    plain = min(1000 * 2 ** min(nth - 1, 6), 60_000)

    assert plain <= backoff_ms(nth, RetryPolicy(), chance) <= plain * 1.25


def test_chance_spreads_the_waits() -> None:
    waits = {backoff_ms(1, RetryPolicy(), chance / 100) for chance in range(100)}

    assert len(waits) > 50
    assert min(waits) == 1000
    assert max(waits) > 1200


@pytest.mark.parametrize(
    ("failure", "retries", "fallbacks", "wanted"),
    [
        (Failure.NONE, 0, 0, 0),
        (Failure.NONE, 2, 3, 2),
        (Failure.NETWORK, 0, 0, 3),
        (Failure.OVERLOAD, 0, 0, 3),
        (Failure.OVERLOAD, 7, 0, 7),
        (Failure.CUT, 1, 0, 3),
        (Failure.CONTEXT, 0, 0, 0),
        (Failure.CONTEXT, 0, 2, 2),
        (Failure.TIMEOUT, 1, 2, 1),
        (Failure.BAD_KEY, 5, 0, 0),
        (Failure.BAD_KEY, 5, 1, 1),
        (Failure.BAD_REQUEST, 5, 1, 0),
        (Failure.DENIED, 5, 1, 0),
        (Failure.BUDGET, 5, 1, 0),
        (Failure.EMPTY, 0, 0, 1),
        (Failure.VERIFY, 0, 0, 2),
    ],
)
def test_how_often_is_decided_by_the_class_of_the_failure(
    failure: Failure, retries: int, fallbacks: int, wanted: int
) -> None:
    assert retries_for(failure, retries, fallbacks, RetryPolicy()) == wanted
