"""Keeps a conversation under the model's window: the oldest tool results are shortened first, then the oldest turns
are left out; what was asked first and the last turns stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from conductor.agents.loop.exchange import Answer, Asked, Returned, ToolOutcome, Turn

FULL_SHARE = 0.8
TARGET_SHARE = 0.5
_KEPT_TURNS = 4
"""The last two answers with their outcomes."""
_SHORT_RESULT = 400
_CHARACTERS_PER_TOKEN = 3.0
"""Until usage tells better: rather too few than too many."""


@dataclass(frozen=True, slots=True)
class Window:
    """`characters`: the size of what was asked last; `tokens`: what that took, by its usage. 0: not known yet."""

    tokens_most: int
    characters: int = 0
    tokens: int = 0

    @property
    def characters_per_token(self) -> float:
        if self.tokens <= 0 or self.characters <= 0:
            return _CHARACTERS_PER_TOKEN
        return min(max(self.characters / self.tokens, 0.5), 8.0)

    def is_full(self, turns: Sequence[Turn]) -> bool:
        return size(turns) / self.characters_per_token > FULL_SHARE * self.tokens_most

    @property
    def target(self) -> int:
        """Characters to get down to."""
        return int(TARGET_SHARE * self.tokens_most * self.characters_per_token)


def size(turns: Sequence[Turn]) -> int:
    """Characters."""
    return sum(_size(turn) for turn in turns)


def _size(turn: Turn) -> int:
    if isinstance(turn, Asked):
        return len(turn.whole)
    if isinstance(turn, Returned):
        return sum(len(outcome.text) + 60 for outcome in turn.outcomes)
    return max(len(json.dumps(turn.blocks)), len(turn.text))


def compacted(turns: Sequence[Turn], target: int) -> list[Turn]:
    """`turns` in at most `target` characters, or as near to it as that goes."""
    kept = _shortened(list(turns), 0, len(turns) - _KEPT_TURNS, target)
    kept = _without_oldest(kept, target)
    return _shortened(kept, 0, len(kept), target)


def _shortened(turns: list[Turn], first: int, last: int, target: int) -> list[Turn]:
    """Tool results of `turns[first:last]` shortened, oldest first, until it is enough."""
    excess = size(turns) - target
    for at in range(first, max(first, last)):
        turn = turns[at]
        if excess <= 0:
            break
        if isinstance(turn, Returned):
            turns[at] = Returned(tuple(_short(outcome) for outcome in turn.outcomes))
            excess -= _size(turn) - _size(turns[at])
    return turns


def _short(outcome: ToolOutcome) -> ToolOutcome:
    if len(outcome.text) <= _SHORT_RESULT + 100:
        return outcome
    left_out = len(outcome.text) - _SHORT_RESULT
    return replace(outcome, text=f"{outcome.text[:_SHORT_RESULT]}\n[{left_out} characters left out to save context]")


def _without_oldest(turns: list[Turn], target: int) -> list[Turn]:
    """Answers with their outcomes left out in pairs, oldest first: a call never loses its result."""
    excess, left_out = size(turns) - target, 0
    while excess > 0 and len(turns) - left_out > 1 + _KEPT_TURNS:
        pair = turns[1 + left_out : 3 + left_out]
        if not (isinstance(pair[0], Answer) and isinstance(pair[1], Returned)):
            break
        excess -= size(pair)
        left_out += 2
    if not left_out:
        return turns
    first = turns[0]
    assert isinstance(first, Asked)  # a conversation begins with what was asked
    gone = first.answers_left_out + left_out // 2
    return [replace(first, answers_left_out=gone), *turns[1 + left_out :]]
