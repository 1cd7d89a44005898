"""What is done when a call gives no answer: decided from what it was and what was tried before."""

from __future__ import annotations

from dataclasses import dataclass, replace

from conductor.agents.loop.exchange import ModelRefused
from conductor.domain.failure import Failure

_MOST_CUTS = 2
_MOST_WAITS = 3
_LONGEST_WAIT_SECONDS = 60.0
_FIRST_WAIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Troubles:
    """Of one turn, up to now. `answers`: those of the conversation that would be lost with it."""

    answers: int
    cuts: int = 0
    waits: int = 0
    compacted: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Compact:
    """Once, then again."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


def remedy(refused: ModelRefused, troubles: Troubles) -> tuple[Again | Compact | GiveUp, Troubles]:
    """A cut answer is asked for twice more. A full context is compacted once. What passes by itself is waited for only
    where a conversation would be lost, and not for long: with nothing to lose, the queue waits better, for it parks
    the provider and starts others."""
    if refused.failure is Failure.CUT and troubles.cuts < _MOST_CUTS:
        return Again(), replace(troubles, cuts=troubles.cuts + 1)
    if refused.failure is Failure.CONTEXT and not troubles.compacted:
        return Compact(), replace(troubles, compacted=True)
    passes = refused.failure in (Failure.LIMIT, Failure.OVERLOAD, Failure.NETWORK)
    if passes and troubles.answers and troubles.waits < _MOST_WAITS:
        wait = refused.wait_seconds if refused.wait_seconds is not None else _FIRST_WAIT_SECONDS * 4**troubles.waits
        if wait <= _LONGEST_WAIT_SECONDS:
            return Again(wait), replace(troubles, waits=troubles.waits + 1)
    return GiveUp(), troubles
