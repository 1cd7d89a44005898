from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conductor.agents.loop.context import Window, compacted, size
from conductor.agents.loop.exchange import Answer, Asked, Returned, Stop, ToolOutcome, ToolUse, Turn


def pair(number: int, said: int, returned: int, calls: int = 1) -> list[Turn]:
    uses = tuple(ToolUse(f"{number}-{at}", "read", {}) for at in range(calls))
    blocks: tuple[dict[str, Any], ...] = ({"type": "text", "text": "s" * said},)
    outcomes = tuple(ToolOutcome(use.id, "r" * returned) for use in uses)
    return [Answer("s" * said, uses, Stop.TOOLS, blocks), Returned(outcomes)]


PAIRS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 9000), st.integers(1, 3)), max_size=12)


@given(PAIRS, st.integers(0, 60_000))
def test_compacting_never_breaks_a_conversation(pairs: list[tuple[int, int, int]], target: int) -> None:
    # given
    turns: list[Turn] = [Asked("the task")]
    for number, (said, returned, calls) in enumerate(pairs):
        turns += pair(number, said, returned, calls)
    # when
    kept = compacted(list(turns), target)
    # then
    assert isinstance(kept[0], Asked)
    assert kept[0].text == "the task"
    assert kept[-4:] == turns[-4:] or len(kept) == len(turns) or size(kept[:-4]) <= size(turns[:-4]) + 300
    for answer, returned in zip(kept[1::2], kept[2::2], strict=True):
        assert isinstance(answer, Answer)
        assert isinstance(returned, Returned)
        assert [use.id for use in answer.uses] == [outcome.id for outcome in returned.outcomes]
    assert size(kept) <= size(turns) + 300
    gone = (len(turns) - len(kept)) // 2
    assert kept[0].answers_left_out == gone


def test_old_results_are_shortened_before_turns_are_left_out() -> None:
    turns: list[Turn] = [Asked("t"), *pair(1, 10, 9000), *pair(2, 10, 9000), *pair(3, 10, 100), *pair(4, 10, 100)]
    kept = compacted(list(turns), 12_000)
    assert len(kept) == len(turns)
    assert size(kept) <= 12_000
    assert kept[3:] == turns[3:], "the oldest first, and no more than it takes"


def test_turns_are_left_out_in_pairs_and_counted_over_several_times() -> None:
    turns: list[Turn] = [Asked("t")]
    for number in range(6):
        turns += pair(number, 5000, 10)
    once = compacted(turns, 22_000)
    twice = compacted([*once, *pair(7, 5000, 10)], 12_000)
    assert isinstance(once[0], Asked)
    assert isinstance(twice[0], Asked)
    assert 0 < once[0].answers_left_out < twice[0].answers_left_out
    assert f"{twice[0].answers_left_out} of your earlier answers" in twice[0].whole


def test_the_last_answers_stay_however_long_they_are() -> None:
    turns: list[Turn] = [Asked("t")]
    for number in range(4):
        turns += pair(number, 5000, 10)
    assert compacted(list(turns), 100)[1:] == turns[5:]


def test_what_a_call_took_tells_how_many_tokens_the_next_will_take() -> None:
    turns: list[Turn] = [Asked("x" * 9000)]
    assert not Window(10_000).is_full(turns)
    assert Window(10_000, characters=9000, tokens=9000).is_full(turns)
    assert not Window(10_000, characters=9000, tokens=1200).is_full(turns)
