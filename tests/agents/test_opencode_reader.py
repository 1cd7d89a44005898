"""What OpenCode tells, from streams of real runs (1.18.33), and from anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.agents.opencode import OpenCodeAgent
from conductor.agents.opencode_reader import OpenCodeReader
from conductor.domain.agent_events import ToolCall, ToolResult, UsageTold
from conductor.domain.failure import Failure
from conductor.domain.tally import Tally
from conductor.domain.task import TaskSpec
from conductor.domain.usage import Usage
from conductor.ports import AgentReport, Ending, Prompt
from tests.agents.prompts import setup

NOW = 1_800_000_000.0
SESSION = "ses_e01964f1bffe2Z473I6FYfW7Po"


def line(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "timestamp": 1795269703184, "sessionID": SESSION, **fields}) + "\n"


def step(reason: str, text: str = "", cost: float = 0.000138, **tokens: Any) -> str:
    """One step of the agent as it is told: its begin, perhaps a text, its end."""
    used = {"total": 18, "input": 11, "output": 7, "reasoning": 2, "cache": {"write": 3, "read": 5}, **tokens}
    said = line("text", part={"type": "text", "text": text, "time": {"start": 1, "end": 2}}) if text else ""
    return (
        line("step_start", part={"type": "step-start"})
        + said
        + line("step_finish", part={"type": "step-finish", "reason": reason, "tokens": used, "cost": cost})
    )


def tool(name: str, **state: Any) -> str:
    return line("tool_use", part={"type": "tool", "tool": name, "callID": "toolu_1", "state": state})


def error(name: str = "APIError", **more: Any) -> str:
    return line("error", error={"name": name, "data": more})


HELLO = step("stop", "Hello from the fake model.")
WROTE = tool("write", status="completed", input={"filePath": "/w/hello.txt"}, output="Wrote file successfully.")
REFUSED = (
    "The user has specified a rule which prevents you from using this specific tool call. Here are some of the "
    'relevant rules [{"permission":"external_directory","pattern":"*","action":"deny"}]'
)


def told_by(output: str | bytes, piece: int = 1 << 20) -> tuple[Tally, list[Any]]:
    raw = output.encode() if isinstance(output, str) else output
    reader, events = OpenCodeReader(lambda: NOW), []
    for start in range(0, len(raw), piece):
        events.extend(reader.feed(raw[start : start + piece]))
    events.extend(reader.close())
    tally = Tally()
    for event in events:
        tally.take(event)
    return tally, events


def judged(output: str, exit_code: int = 0) -> AgentReport:
    prompt = Prompt(TaskSpec("t", "do it"), 1, "/attempt", "/w")
    return OpenCodeAgent(setup("opencode")).judge(prompt, Ending(exit_code, None, output[-65536:], told_by(output)[0]))


def test_a_success_tells_the_last_steps_answer_and_all_that_was_used() -> None:
    report = judged(step("tool-calls", "I write it now.") + WROTE + HELLO)
    assert report.succeeded
    assert report.text == "Hello from the fake model."
    assert report.usage == Usage(input=22, cached=10, cache_written=6, output=18, reasoning=4)
    assert report.usd == pytest.approx(0.000276)
    assert (report.session, report.turns, report.tools) == (SESSION, 2, 1)


def test_usage_is_told_step_by_step() -> None:
    reader = OpenCodeReader(lambda: NOW)
    events = reader.feed(step("tool-calls").encode())
    assert [event.usage.input for event in events if isinstance(event, UsageTold)] == [11]


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_pieces_of_any_length_tell_the_same(piece: int) -> None:
    output = step("tool-calls") + WROTE + HELLO
    assert told_by(output, piece)[1] == told_by(output)[1]


def test_a_model_without_a_price_tells_no_cost() -> None:
    assert judged(step("stop", "hi", cost=0)).usd is None


def test_a_tool_tells_its_input_and_its_output() -> None:
    events = told_by(WROTE)[1]
    assert ToolCall("toolu_1", "write", '{"filePath": "/w/hello.txt"}') in events
    assert ToolResult("toolu_1", True, "Wrote file successfully.") in events


def test_a_refused_tool_is_a_denial() -> None:
    report = judged(step("tool-calls") + tool("write", status="error", input={}, error=REFUSED) + HELLO)
    assert report.failure is Failure.DENIED


def test_a_question_that_was_rejected_is_a_denial() -> None:
    report = judged("! permission requested: external_directory (/etc/*); auto-rejecting\n" + HELLO)
    assert report.failure is Failure.DENIED
    assert "/etc/*" in report.denials[0]


def test_a_tool_that_failed_by_itself_or_ran_in_a_loop_is_no_denial() -> None:
    for said in ("File not found", REFUSED.replace("external_directory", "doom_loop")):
        assert judged(step("tool-calls") + tool("read", status="error", input={}, error=said) + HELLO).succeeded


@pytest.mark.parametrize(
    ("output", "failure"),
    [
        (error(message="invalid x-api-key", statusCode=401, isRetryable=False), Failure.BAD_KEY),
        (error("ProviderAuthError", message="no key", providerID="anthropic"), Failure.BAD_KEY),
        (error(message="rate limit", statusCode=429, responseHeaders={"retry-after": "7"}), Failure.LIMIT),
        (error(message="Overloaded", statusCode=529, isRetryable=True), Failure.OVERLOAD),
        (error(message="model: nosuch-model", statusCode=404), Failure.BAD_MODEL),
        (error(message="fake error", statusCode=400), Failure.BAD_REQUEST),
        (error(message="bad", statusCode=400, responseBody="prompt is too long: 250000"), Failure.CONTEXT),
        (error("ContextOverflowError", message="too much"), Failure.CONTEXT),
        (error("UnknownError", message="Model not found: anthropic/x."), Failure.BAD_MODEL),
        (error(message="Cannot connect to API: Unable to connect. Is the computer able to?"), Failure.NETWORK),
        (error(message="Connection reset by server"), Failure.NETWORK),
        (line("step_start", part={}) + error(message="Connection reset by server"), Failure.CUT),
        (line("step_start", part={}) + error(message="SSE read timed out"), Failure.CUT),
    ],
)
def test_each_fault_has_its_class(output: str, failure: Failure) -> None:
    report = judged(output, 1)
    assert not report.succeeded
    assert report.failure is failure, report.reason


def test_an_error_beats_exit_0_and_an_answer_before_it() -> None:
    assert not judged(HELLO + error(message="Overloaded", statusCode=529), 0).succeeded


@pytest.mark.parametrize(
    ("headers", "resets_at"),
    [
        ({"retry-after": "7"}, NOW + 7),
        ({"anthropic-ratelimit-unified-reset": "1800003600", "retry-after": "7"}, 1_800_003_600),
        ({"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}, NOW + 60),
        ({"retry-after": "soon"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_limit_tells_when_it_ends(headers: object, resets_at: float | None) -> None:
    report = judged(error(message="rate limit", statusCode=429, responseHeaders=headers), 1)
    assert report.limit is not None
    assert report.limit.resets_at == resets_at


@pytest.mark.parametrize("output", ["", step("tool-calls"), line("step_start", part={}), "no json at all\n"])
def test_a_stream_that_just_stops_was_cut(output: str) -> None:
    assert judged(output, 0).failure is Failure.CUT


def test_an_answer_that_was_too_long_is_no_success() -> None:
    assert judged(step("length", "half of")).failure is Failure.CONTEXT


def test_a_success_without_words_is_empty() -> None:
    assert judged(step("stop")).failure is Failure.EMPTY


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_break_it(chunks: list[bytes]) -> None:
    reader = OpenCodeReader(lambda: NOW)
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["step_start", "text", "reasoning", "tool_use", "step_finish", "error", "news"])
PARTS = st.dictionaries(
    st.sampled_from(["text", "state", "tool", "callID", "reason", "tokens", "cost", "name", "data"]), JSON
)


@given(st.lists(st.tuples(KINDS, PARTS | JSON), max_size=6))
def test_no_form_of_an_event_breaks_it(events: list[tuple[str, Any]]) -> None:
    told_by("".join(line(kind, part=part, error=part) for kind, part in events))
