"""Who is asked for a plan next."""

from __future__ import annotations

import pytest

from conductor.domain.errors import UsageError
from conductor.orchestrator.planning.rounds import Ask, GiveUp, Tried, next_asking

OPUS, GPT = "claude:opus", "codex:gpt"
BAD = ("steps: 3 depends on nobody",)
WORSE = ("no JSON in it",)

STORIES = {
    "the best one is asked first": ([], Ask(OPUS)),
    "faults go back to whoever made them": ([Tried(OPUS, BAD)], Ask(OPUS, BAD, 2)),
    "the latest faults go back": ([Tried(OPUS, BAD), Tried(OPUS, WORSE)], Ask(OPUS, WORSE, 3)),
    "after two times the next one is asked": ([Tried(OPUS, BAD)] * 3, Ask(GPT)),
    "who gave no answer is not asked again": ([Tried(OPUS, reason="its task failed")], Ask(GPT)),
    "an end without an answer ends the asking again": ([Tried(OPUS, BAD), Tried(OPUS, reason="died")], Ask(GPT)),
    "the next one is told its own faults": ([Tried(OPUS, reason="x"), Tried(GPT, BAD)], Ask(GPT, BAD, 2)),
    "then it is over": (
        [Tried(OPUS, reason="timed out"), *[Tried(GPT, BAD)] * 2, Tried(GPT, WORSE, kept="/kept/answer.txt")],
        GiveUp(
            (
                "claude:opus: timed out",
                "codex:gpt: steps: 3 depends on nobody",
                "codex:gpt: steps: 3 depends on nobody",
                "codex:gpt: no JSON in it (kept: /kept/answer.txt)",
            )
        ),
    ),
}


@pytest.mark.parametrize(("history", "wanted"), STORIES.values(), ids=STORIES.keys())
def test_a_story_of_askings(history: list[Tried], wanted: Ask | GiveUp) -> None:
    assert next_asking([OPUS, GPT], history) == wanted


def test_a_planner_that_is_named_twice_is_one() -> None:
    assert isinstance(next_asking([OPUS, OPUS], [Tried(OPUS, reason="died")]), GiveUp)


def test_what_an_old_configuration_tried_does_not_count() -> None:
    assert next_asking([GPT], [Tried(OPUS, BAD)]) == Ask(GPT)


def test_giving_up_says_what_was_wrong_and_where_it_is() -> None:
    told = GiveUp(("claude:opus: no JSON in it (kept: /kept/answer.txt)",)).told
    assert "claude:opus: no JSON in it (kept: /kept/answer.txt)" in told
    assert "conductor run plan.yaml" in told


def test_many_faults_are_counted_not_listed() -> None:
    given = next_asking([OPUS], [Tried(OPUS, tuple(f"fault\n{n}" for n in range(8)))] * 3)
    assert isinstance(given, GiveUp)
    assert given.reasons[0].endswith("fault 4; and 3 more")


def test_without_a_planner_it_is_said_how_to_name_one_and_how_to_write_the_plan() -> None:
    with pytest.raises(UsageError, match=r"planner: \[claude:opus\]") as raised:
        next_asking([], [])
    assert "conductor init" in str(raised.value)
    assert "depends_on: [theme]" in str(raised.value)
