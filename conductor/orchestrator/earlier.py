"""Why earlier rounds of a step came back, as the next round's brief has it."""

from __future__ import annotations

from collections.abc import Sequence

from conductor.domain.run import Delegation, DelegationState
from conductor.orchestrator.briefs import BounceKind, EarlierRound

CONFLICT_SAYS = "it conflicts with what was merged meanwhile, in "
CHECK_SAYS = "the check `"


def earlier_rounds(rounds: Sequence[Delegation], overlaid: bool) -> tuple[EarlierRound, ...]:
    """`overlaid`: the latest conflict lies in the new worktree already, with markers."""
    told = [one for one in rounds if one.state in (DelegationState.BOUNCED, DelegationState.FAILED)]
    return tuple(_round(one, in_worktree=overlaid and one is told[-1]) for one in told)


def _round(one: Delegation, *, in_worktree: bool) -> EarlierRound:
    kind = _kind(one)
    first, _, rest = one.reason.partition("\n")
    paths = tuple(first.removeprefix(CONFLICT_SAYS).rstrip(":").split(", ")) if kind is BounceKind.CONFLICT else ()
    told = rest if kind is BounceKind.CONFLICT else one.reason
    return EarlierRound(one.round, kind, told, paths, one.work, in_worktree and kind is BounceKind.CONFLICT)


def _kind(one: Delegation) -> BounceKind:
    if one.state is DelegationState.FAILED:
        return BounceKind.FAILED
    if one.reason.startswith(CONFLICT_SAYS):
        return BounceKind.CONFLICT
    return BounceKind.CHECK if one.reason.startswith(CHECK_SAYS) else BounceKind.FAULTS
