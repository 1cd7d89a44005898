"""What happens to a task after an attempt: decided here as a value, carried out by the queue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from conductor.domain.failure import Failure, Remedy, remedy_for
from conductor.domain.outcome import FINAL_STATUS, Outcome, Status
from conductor.domain.task import Tries


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon. Waits are seconds."""

    retries: int = 0
    """Further attempts after a failure, where the task does not say."""
    max_lost: int = 3
    """Attempts that worker or machine may lose, in all."""
    first_wait: float = 1.0
    longest_wait: float = 60.0
    transient: int = 3
    """Further attempts after a failure that is transient by its class, where `retries` are fewer."""
    verify: int = 2
    """The same where the task's own check did not pass."""


class NextState(StrEnum):
    """DEAD: ended without success, kept for `conductor retry`."""

    ENDED = "ended"
    WAITING = "waiting"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`due_ms` is when a WAITING task may run again, 0: at once; `tries` is what it carries on with."""

    state: NextState
    status: Status
    tries: Tries
    due_ms: int = 0


def after_attempt(
    outcome: Outcome, tries: Tries, retries: int, policy: RetryPolicy, now_ms: int, chance: float
) -> Verdict:
    """What follows on an attempt that ended with `outcome`. `chance` in [0, 1) makes the jitter.

    A failure is retried `retries` times: `retries_for` tells how many its class allows. A limited attempt does not
    count and goes back to the head of its pool: the doorkeeper holds it up there. A lost attempt is retried in any
    case, `max_lost` attempts in all, the first at once.
    """
    if outcome is Outcome.SUCCESS:
        return Verdict(NextState.ENDED, Status.SUCCESS, tries)
    if outcome is Outcome.LIMITED:
        return Verdict(NextState.WAITING, Status.RETRY, tries.refund())
    if outcome is Outcome.LOST:
        tries = tries.lose()
        if tries.lost < policy.max_lost:
            wait_ms = 0 if tries.lost == 1 else backoff_ms(tries.lost - 1, policy, chance)
            return Verdict(NextState.WAITING, Status.RETRY, tries, now_ms + wait_ms if wait_ms else 0)
    elif outcome not in (Outcome.BUDGET, Outcome.CANCELLED) and tries.failures <= retries:
        return Verdict(NextState.WAITING, Status.RETRY, tries, now_ms + backoff_ms(tries.failures, policy, chance))
    return Verdict(NextState.DEAD, FINAL_STATUS[outcome], tries)


def retries_for(failure: Failure, retries: int, fallbacks: int, policy: RetryPolicy) -> int:
    """How many further attempts a task with so many `retries` and fallbacks has after a failure of that class."""
    match remedy_for(failure):
        case Remedy.STOP:
            return 0
        case Remedy.SWITCH if failure.group == "permanent":
            return fallbacks
        case Remedy.SWITCH:
            retries = max(retries, fallbacks)
    if failure.group == "transient":
        return max(retries, policy.transient)
    return max(retries, {Failure.VERIFY: policy.verify, Failure.EMPTY: 1}.get(failure, 0))


def backoff_ms(nth: int, policy: RetryPolicy, chance: float) -> int:
    """The wait before the retry after the `nth` failure: doubling, capped, with up to a quarter on top."""
    wait = min(policy.first_wait * 2.0 ** min(nth - 1, 30), policy.longest_wait)
    return round(wait * (1 + chance / 4) * 1000)
