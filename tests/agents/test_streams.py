"""What each command line agent's recorded stream becomes: the events, and the judgement that follows from them.

`streams/` holds what the real programs wrote against a model API on loopback: Claude Code 2.1.197, Codex 0.169.0,
Gemini CLI 0.61.0, fields that nobody reads left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.agents.claude_events import ClaudeReader
from conductor.agents.codex_events import CodexReader
from conductor.agents.gemini_events import GeminiReader
from conductor.agents.generic_events import DocumentReader, LinesReader
from conductor.agents.registry import BUILT_IN, make_agent
from conductor.domain.agent_events import AgentEvent, Denied, Error, LimitHit, Retry, Text, ToolCall, ToolResult
from conductor.domain.failure import Failure
from conductor.domain.usage import Usage
from conductor.ports import AgentReport, Ending, EventReader
from tests.agents.prompts import prompt_in, setup, tally_of

STREAMS = Path(__file__).parent / "streams"
NOW = 1_795_270_000.0

PATHS = {"text": "text", "error": "error", "input": "usage.input", "cached": "usage.cached", "output": "usage.output"}
READERS: dict[str, Callable[[], EventReader]] = {
    "claude": ClaudeReader,
    "codex": lambda: CodexReader(lambda: NOW),
    "gemini": lambda: GeminiReader(lambda: NOW),
    "generic lines": lambda: LinesReader(PATHS, input_includes_cached=True),
    "generic document": lambda: DocumentReader(PATHS, input_includes_cached=False),
}


def recorded(name: str) -> bytes:
    return (STREAMS / f"{name}.jsonl").read_bytes()


def events_of(name: str) -> list[AgentEvent]:
    reader = READERS[name.partition(".")[0]]()
    return [*reader.feed(recorded(name)), *reader.close()]


def judged(name: str, exit_code: int, tmp_path: Path, errors: str = "") -> AgentReport:
    """The report on a recorded stream, by the reader and the judge of its agent."""
    kind = name.partition(".")[0]
    agent = make_agent(setup(kind), BUILT_IN)
    told = tally_of(agent.reader(), recorded(name))
    tail = (recorded(name).decode() + errors)[-65536:]
    return agent.judge(prompt_in(tmp_path), Ending(exit_code, None, tail, told))


JUDGED = [
    ("claude.tool", 0, Failure.NONE),
    ("claude.429_once", 0, Failure.NONE),
    ("claude.refused_tool", 0, Failure.DENIED),
    ("claude.outside_the_workspace", 0, Failure.DENIED),
    ("claude.401", 1, Failure.BAD_KEY),
    ("claude.429", 1, Failure.LIMIT),
    ("claude.session_limit", 1, Failure.LIMIT),
    ("claude.529", 1, Failure.OVERLOAD),
    ("claude.unknown_model", 1, Failure.BAD_MODEL),
    ("claude.connection_refused", 1, Failure.NETWORK),
    ("claude.cut", 1, Failure.CUT),
    ("claude.too_many_turns", 1, Failure.BUDGET),
    ("codex.tool", 0, Failure.NONE),
    ("codex.429_once", 0, Failure.NONE),
    ("codex.401", 1, Failure.BAD_KEY),
    ("codex.429", 1, Failure.LIMIT),
    ("codex.usage_limit", 1, Failure.LIMIT),
    ("codex.529", 1, Failure.OVERLOAD),
    ("codex.500", 1, Failure.OVERLOAD),
    ("codex.unknown_model", 1, Failure.BAD_MODEL),
    ("codex.cut", 1, Failure.CUT),
    ("gemini.tool", 0, Failure.NONE),
    ("gemini.429_once", 0, Failure.NONE),
    ("gemini.outside_the_workspace", 0, Failure.DENIED),
    ("gemini.401", 145, Failure.BAD_KEY),
    ("gemini.429", 173, Failure.LIMIT),
    ("gemini.529", 17, Failure.OVERLOAD),
    ("gemini.unknown_model", 1, Failure.BAD_MODEL),
    ("gemini.connection_refused", 1, Failure.NETWORK),
    ("gemini.cut", 1, Failure.CUT),
]


@pytest.mark.parametrize(("name", "exit_code", "failure"), JUDGED)
def test_a_recorded_run_is_classed_right(name: str, exit_code: int, failure: Failure, tmp_path: Path) -> None:
    report = judged(name, exit_code, tmp_path)

    assert (report.failure, report.succeeded) == (failure, failure is Failure.NONE), report
    assert report.session
    assert report.succeeded or report.reason
    assert not report.text.startswith("{")


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_a_run_with_a_tool_tells_its_call_its_result_its_usage_and_its_answer(cli: str, tmp_path: Path) -> None:
    events = events_of(f"{cli}.tool")
    report = judged(f"{cli}.tool", 0, tmp_path)

    calls = [event for event in events if isinstance(event, ToolCall)]
    results = [event for event in events if isinstance(event, ToolResult)]
    assert [one.id for one in calls] == [one.id for one in results]
    assert all(one.ok and not one.denied for one in results)
    assert report.tools == 1
    assert report.text.strip() == "Hello from the fake model."
    assert report.usage == Usage(input=22, output=14)


def test_what_claude_tells_call_by_call_adds_up_to_its_total() -> None:
    reader = ClaudeReader()
    lines = [line for line in recorded("claude.tool").splitlines() if b'"type": "result"' not in line]

    told = tally_of(reader, b"\n".join(lines))

    assert told.usage == Usage(input=22, output=14)
    assert told.usd is None


def test_claude_s_limit_is_told_with_its_reset_and_kind() -> None:
    hits = [event for event in events_of("claude.session_limit") if isinstance(event, LimitHit)]

    assert [(hit.limit.resets_at, hit.limit.kind, hit.rejected) for hit in hits] == [(1795278143.0, "five_hour", True)]


@pytest.mark.parametrize(
    ("status", "using_overage", "rejected"),
    [("rejected", False, [True]), ("rejected", True, []), ("allowed_warning", False, [False]), ("allowed", False, [])],
)
def test_only_a_refusal_is_a_limit_that_was_hit(status: str, using_overage: bool, rejected: list[bool]) -> None:
    info = {"status": status, "resetsAt": 5, "rateLimitType": "seven_day", "isUsingOverage": using_overage}

    told = ClaudeReader().feed(json.dumps({"type": "rate_limit_event", "rate_limit_info": info}).encode() + b"\n")

    assert [event.rejected for event in told if isinstance(event, LimitHit)] == rejected


def test_retries_are_told_with_status_and_wait() -> None:
    retries = [event for event in events_of("claude.429_once") if isinstance(event, Retry)]

    assert retries == [Retry("rate_limit", 429, 1.0)]
    assert [one.status for one in events_of("codex.429_once") if isinstance(one, Retry)] == [429]


def test_a_refused_tool_of_claude_is_told_once_though_it_tells_it_twice() -> None:
    events = events_of("claude.refused_tool")

    assert [one.denied for one in events if isinstance(one, ToolResult)] == [True]
    assert not [one for one in events if isinstance(one, Denied)]


def test_a_refusal_that_only_claude_s_result_tells_is_told_too() -> None:
    result = {"type": "result", "subtype": "success", "result": "x", "permission_denials": [{"tool_name": "Bash"}]}

    told = tally_of(ClaudeReader(), json.dumps(result).encode())

    assert list(told.denials) == ["Bash: "]


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"subtype": "success", "is_error": True, "result": "Not logged in · Please run /login"}, Failure.BAD_KEY),
        ({"subtype": "error_max_budget_usd", "is_error": True}, Failure.BUDGET),
        ({"subtype": "error_during_execution", "is_error": True, "errors": ["socket hang up"]}, Failure.NETWORK),
        (
            {"subtype": "success", "is_error": True, "api_error_status": 400, "result": "prompt is too long"},
            Failure.CONTEXT,
        ),
        ({"subtype": "success", "stop_reason": "max_tokens", "result": "half a"}, Failure.CONTEXT),
        ({"subtype": "from_the_future", "is_error": True, "result": "?"}, Failure.NONE),
    ],
)
def test_a_result_of_claude_that_is_no_success_is_classed(fields: dict[str, Any], failure: Failure) -> None:
    told = tally_of(ClaudeReader(), json.dumps({"type": "result", **fields}).encode())

    assert told.end is not None
    assert (told.end.succeeded, told.end.failure) == (False, failure)
    assert told.end.reason


def test_a_warning_that_codex_calls_an_error_is_none() -> None:
    assert b'"type": "error"' in recorded("codex.tool")
    assert not [event for event in events_of("codex.tool") if isinstance(event, Error)]


def test_only_the_last_error_of_codex_ends_its_run() -> None:
    errors = [event for event in events_of("codex.529") if isinstance(event, Error)]

    assert [error.final for error in errors] == [False, True]


def test_codex_counts_the_cache_in_and_we_do_not() -> None:
    usage = {"input_tokens": 100, "cached_input_tokens": 70, "cache_write_input_tokens": 10, "output_tokens": 9}
    line = {"type": "turn.completed", "usage": {**usage, "reasoning_output_tokens": 4}}

    told = tally_of(READERS["codex"](), json.dumps(line).encode())

    assert told.usage == Usage(input=20, cached=70, cache_written=10, output=9, reasoning=4)


def test_gemini_counts_the_cache_in_and_the_thoughts_out_and_we_do_neither() -> None:
    stats = {"total_tokens": 150, "input_tokens": 100, "output_tokens": 20, "cached": 60, "models": {"m": {}}}

    told = tally_of(READERS["gemini"](), json.dumps({"type": "result", "status": "success", "stats": stats}).encode())

    assert told.usage == Usage(input=40, cached=60, output=50, reasoning=30)


def test_the_words_of_gemini_are_gathered_and_only_the_last_part_is_the_answer(tmp_path: Path) -> None:
    def said(text: str) -> dict[str, str]:
        return {"type": "message", "role": "assistant", "content": text}

    lines = [said("I look"), said(" first."), {"type": "tool_use", "tool_id": "1"}, said("It "), said("is 4.")]
    lines.append({"type": "result", "status": "success"})
    reader = READERS["gemini"]()

    events = [*reader.feed("\n".join(json.dumps(line) for line in lines).encode()), *reader.close()]

    assert [(one.text, one.final) for one in events if isinstance(one, Text)] == [
        ("I look first.", False),
        ("It is 4.", False),
        ("It is 4.", True),
    ]


@pytest.mark.parametrize(
    ("exit_code", "errors", "failure"),
    [
        (1, "Error: ApiError\n    at async x\n  status: 401\n}\n", Failure.BAD_KEY),
        (1, "  code: 404\n}\n", Failure.BAD_MODEL),
        (173, "", Failure.LIMIT),
        (41, "Please set an Auth method", Failure.BAD_KEY),
        (53, "Reached max session turns", Failure.BUDGET),
        (55, "not running in a trusted directory", Failure.BAD_CONFIG),
        (0, "", Failure.CUT),
        (1, "", Failure.NONE),
    ],
)
def test_where_gemini_told_nothing_its_trace_and_exit_code_count(
    exit_code: int, errors: str, failure: Failure, tmp_path: Path
) -> None:
    agent = make_agent(setup("gemini"), BUILT_IN)

    report = agent.judge(prompt_in(tmp_path), Ending(exit_code, None, errors))

    assert (report.succeeded, report.failure) == (False, failure)


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_exit_0_without_a_result_is_no_success(cli: str, tmp_path: Path) -> None:
    report = make_agent(setup(cli), BUILT_IN).judge(prompt_in(tmp_path), Ending(0, None, ""))

    assert (report.succeeded, report.failure) == (False, Failure.CUT)


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_a_success_told_with_another_exit_code_is_none(cli: str, tmp_path: Path) -> None:
    assert not judged(f"{cli}.tool", 3, tmp_path).succeeded


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_an_option_that_the_installed_version_does_not_know_is_a_bad_setting(cli: str, tmp_path: Path) -> None:
    ending = Ending(1, None, "error: unknown option '--brand-new'\n")

    assert make_agent(setup(cli), BUILT_IN).judge(prompt_in(tmp_path), ending).failure is Failure.BAD_CONFIG


# -- whatever comes

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
_TYPES = st.sampled_from(
    [
        *("system", "stream_event", "assistant", "user", "rate_limit_event", "result", "init", "message", "tool_use"),
        *("tool_result", "error", "thread.started", "item.started", "item.completed", "turn.completed", "turn.failed"),
    ]
)
_FIELDS = st.sampled_from(
    [
        *("subtype", "event", "message", "item", "usage", "error", "stats", "content", "rate_limit_info", "modelUsage"),
        *("permission_denials", "result", "status", "is_error", "stop_reason", "text", "role", "errors"),
    ]
)
_ODD_EVENT = st.builds(lambda kind, rest: {**rest, "type": kind}, _TYPES | _JSON, st.dictionaries(_FIELDS, _JSON))


@pytest.mark.parametrize("reader", READERS)
@given(stream=st.binary(max_size=300))
def test_no_bytes_make_a_reader_fail(reader: str, stream: bytes) -> None:
    tally_of(READERS[reader](), stream)


@pytest.mark.parametrize("reader", READERS)
@given(events=st.lists(_ODD_EVENT, max_size=6))
def test_no_event_of_an_unknown_version_makes_a_reader_fail(reader: str, events: list[dict[str, Any]]) -> None:
    tally_of(READERS[reader](), "\n".join(json.dumps(event) for event in events).encode())


@pytest.mark.parametrize("reader", READERS)
def test_the_deepest_json_does_no_harm(reader: str) -> None:
    for depth in (500, 990, 100_000):
        tally_of(READERS[reader](), b'{"type":"result","text":' + b"[" * depth + b"]" * depth + b"}\n")


@pytest.mark.parametrize("name", [path.stem for path in sorted(STREAMS.iterdir())])
@given(cuts=st.lists(st.integers(0, 6000), max_size=12))
def test_how_a_stream_is_cut_into_chunks_changes_nothing(name: str, cuts: list[int]) -> None:
    whole = recorded(name)
    reader = READERS[name.partition(".")[0]]()
    places = [0, *sorted(cuts), len(whole)]

    events = [event for start, end in pairwise(places) for event in reader.feed(whole[start:end])]
    events.extend(reader.close())

    assert events == events_of(name)


# -- times and words that only one CLI tells so


def test_what_claude_itself_writes_about_an_error_is_no_word_of_the_model() -> None:
    events = events_of("claude.529")

    assert [error.failure for error in events if isinstance(error, Error)] == [Failure.OVERLOAD]
    assert not [event for event in events if isinstance(event, Text)]


@pytest.mark.parametrize(
    ("said", "wait_seconds"),
    [
        ("try again at 1:00 AM.", 3600.0),
        ("try again at 11:30 PM.", 23.5 * 3600),
        ("try again at 12:00 AM.", 24 * 3600.0),
        ("or try again at Nov 23rd, 2026 12:30 AM.", 2 * 86_400 + 1800.0),
        ("try again at Foo 99th, 2026 1:00 AM.", None),
        ("try again at 25:99 AM.", None),
        ("try again later.", None),
    ],
)
def test_codex_tells_a_reset_as_a_local_time(said: str, wait_seconds: float | None) -> None:
    midnight = datetime(2026, 11, 21).timestamp()
    line = {"type": "turn.failed", "error": {"message": f"You've hit your usage limit. {said}"}}

    (hit,) = [
        event
        for event in CodexReader(lambda: midnight).feed(json.dumps(line).encode() + b"\n")
        if isinstance(event, LimitHit)
    ]

    assert hit.limit.resets_at == (None if wait_seconds is None else midnight + wait_seconds)


@pytest.mark.parametrize(
    ("said", "wait_seconds"),
    [
        ("Suggested retry after 60s.", 60.0),
        ("Please retry in 27.5s.", 27.5),
        ("Your quota will reset after 18h31m10s.", 66_670.0),
        ("Your quota will reset after 5m.", 300.0),
        ("Please wait and try again later.", None),
    ],
)
def test_gemini_tells_a_reset_as_a_time_to_wait(said: str, wait_seconds: float | None) -> None:
    error = {"message": f"[API Error: This request exceeds your rate limit. {said}]"}
    line = {"type": "result", "status": "error", "error": error}

    (hit,) = [
        event for event in READERS["gemini"]().feed(json.dumps(line).encode() + b"\n") if isinstance(event, LimitHit)
    ]

    assert hit.limit.resets_at == (None if wait_seconds is None else NOW + wait_seconds)
