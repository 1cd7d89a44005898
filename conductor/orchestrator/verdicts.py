"""What follows when a round of a step did not end in a merge: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conductor.domain.outcome import Status
from conductor.domain.run import Delegation, DelegationState
from conductor.ports.orchestration import Candidate

TRIES_EACH = 2


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Another round, by `who`."""

    who: Candidate


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further round."""

    reason: str


Next = TryAgain | GiveUp


def after_failure(status: Status, reason: str, rounds: Sequence[Delegation], order: Sequence[Candidate]) -> Next:
    """A task ended badly. `rounds`: all of the step, this one included; `order`: who is tried, one entry a try.

    A budget that is used up and a person's cancel are not answered with another try.
    """
    failed = [one for one in rounds if one.state is DelegationState.FAILED]
    if status is Status.CANCELLED:
        return GiveUp("cancelled")
    if status is Status.BUDGET:
        return GiveUp(f"its budget is used up: {reason}")
    if len(failed) < len(order):
        return TryAgain(order[len(failed)])
    return GiveUp("; ".join(_told(one) for one in failed) or reason)


def _told(one: Delegation) -> str:
    return f"round {one.round} by {one.who}: {one.reason or 'failed'}"


def after_bounce(bounces: int, most: int, last: Candidate, resolver: Candidate | None) -> Next:
    """The merge queue sent a step back for the `bounces`th time: its own agent mends it, at last the resolver."""
    if bounces <= most:
        return TryAgain(last)
    if resolver is not None and bounces == most + 1:
        return TryAgain(resolver)
    return GiveUp(f"refused {bounces} times" if bounces > 1 else "refused")


def attempt_order(
    candidates: Sequence[Candidate], depth: int, failed: Sequence[Delegation] = ()
) -> tuple[Candidate, ...]:
    """The first choice twice, the runner-up twice, and so on for `depth` of them; at its beginning stand those who
    `failed`, oldest first.

    Who comes first may have changed since (a failure is a penalty, another may be parked by now): who has begun goes
    on to the second try all the same, and nobody gets a third.
    """
    tried = [(one.agent, one.model) for one in failed]
    here = {(one.agent, one.model): one for one in candidates}
    begun = list(dict.fromkeys(reversed(tried)))
    names = [*begun, *(name for name in here if name not in begun)][: max(depth, len(begun))]
    left = [here[name] for name in names if name in here for _ in range(TRIES_EACH - tried.count(name))]
    return (*(here.get(name, Candidate(*name)) for name in tried), *left)
