"""What is told while an agent runs, added up."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.agent_events import (
    AgentEvent,
    Call,
    CostTold,
    Denied,
    End,
    Error,
    Limit,
    LimitHit,
    Started,
    Text,
    ToolCall,
    ToolResult,
    UsageTold,
)
from conductor.domain.tally import Tally
from conductor.domain.usage import Usage

GOOD = Call("/v1/messages", 200, "m", usage=Usage(input=10, output=5))
REFUSED = Call("/v1/messages", 429, "m", limit=Limit(2_000.0, "five_hour", "later"))


def tally(*events: AgentEvent) -> Tally:
    made = Tally()
    for event in events:
        made.take(event)
    return made


def test_the_answer_is_the_final_text_else_all_that_was_said() -> None:
    assert tally(Text("one "), Text("two")).text == "one two"
    assert tally(Text("one "), Text("all", final=True), Text("more")).text == "all"
    assert tally().text == ""


def test_additions_are_added_and_a_total_replaces_them() -> None:
    assert tally(UsageTold(Usage(1)), UsageTold(Usage(2, output=3))).usage == Usage(3, output=3)
    assert tally(UsageTold(Usage(1)), UsageTold(Usage(7), total=True)).usage == Usage(7)
    assert tally(CostTold(0.5), CostTold(0.25)).usd == 0.75
    assert tally(CostTold(0.5), CostTold(0.6, total=True)).usd == 0.6


def test_who_told_more_of_agent_and_gate_is_believed() -> None:
    assert tally(GOOD, GOOD).usage == Usage(20, output=10)
    assert tally(GOOD, UsageTold(Usage(100), total=True)).usage == Usage(100)
    assert tally(GOOD, UsageTold(Usage(), total=True)).usage == Usage(10, output=5)


def test_what_nobody_told_is_unknown_and_not_nothing() -> None:
    assert tally().usage is None
    assert tally().usd is None
    assert tally(replace(GOOD, usage=None)).usage is None


def test_a_cost_of_nothing_counts_only_with_tokens_that_were_free() -> None:
    assert tally(CostTold(0.0)).usd is None
    assert tally(CostTold(0.0), UsageTold(Usage(), total=True), GOOD).usd is None
    assert tally(CostTold(0.0), UsageTold(Usage(5))).usd == 0.0


def test_a_limit_stands_until_a_call_succeeds() -> None:
    assert tally(REFUSED).limit == REFUSED.limit
    assert tally(REFUSED, GOOD).limit is None
    assert tally(REFUSED, GOOD).failed_calls == 0
    assert tally(GOOD, REFUSED, REFUSED).failed_calls == 2


def test_the_provider_s_own_time_is_not_replaced_by_the_agent_s_words() -> None:
    words = LimitHit(Limit(1_980.0, said="try again at 3:33"))
    vague = LimitHit(Limit(said="try again later"))

    assert tally(REFUSED, words, vague).limit == REFUSED.limit
    assert tally(words, REFUSED).limit == REFUSED.limit
    assert tally(words, vague).limit == words.limit
    assert tally(vague, words).limit == words.limit
    assert tally(replace(REFUSED, limit=Limit(said="no time")), words).limit == words.limit


def test_a_warning_is_no_limit() -> None:
    assert tally(LimitHit(Limit(5.0), rejected=False)).limit is None


def test_a_call_that_broke_off_has_failed_though_it_began_well() -> None:
    assert tally(replace(GOOD, complete=False)).failed_calls == 1


def test_tools_denials_turns_and_who_it_was_are_kept() -> None:
    told = tally(
        Started("s-1", "opus", "2.1"),
        ToolCall("1", "Bash"),
        ToolResult("1", denied=True, text="not allowed"),
        ToolCall("2", "Read"),
        ToolResult("2"),
        End(True, turns=3),
    )

    assert (told.session, told.model, told.version) == ("s-1", "opus", "2.1")
    assert (told.tools, list(told.denials), told.turns) == (2, ["not allowed"], 3)
    assert told.end == End(True, turns=3)


@given(st.lists(st.builds(Usage, *[st.integers(0, 1 << 40)] * 5), max_size=5))
def test_usage_adds_up_and_what_came_on_top_is_the_rest(parts: list[Usage]) -> None:
    whole = sum(parts, Usage())

    assert whole.total == sum(part.total for part in parts)
    for part in parts:
        assert (whole - part) + part == whole


def test_of_errors_and_refusals_without_end_the_last_are_kept_and_all_are_counted() -> None:
    told = tally(*[event for number in range(150) for event in (Error(f"e{number}"), Denied(f"d{number}"))])

    assert (len(told.errors), told.errors[-1].message, told.failed) == (100, "e149", 150)
    assert (len(told.denials), told.denials[-1], told.denied) == (100, "d149", 150)


def test_a_call_that_the_agent_itself_left_has_not_failed() -> None:
    left = replace(GOOD, complete=False, left=True)
    assert tally(left, left).failed_calls == 0
    assert tally(REFUSED, left).failed_calls == 1
    assert tally(REFUSED, left).last_call == REFUSED
    assert tally(replace(REFUSED, left=True)).failed_calls == 1
    assert tally(replace(left, left=False)).failed_calls == 1
