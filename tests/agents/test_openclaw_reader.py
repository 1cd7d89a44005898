"""What OpenClaw tells, from streams of real runs (2026.9.6), and from anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.agents.openclaw import OpenClawAgent
from conductor.agents.openclaw_reader import OpenClawReader
from conductor.domain.agent_events import End, Error, LimitHit, Retry, ToolResult
from conductor.domain.failure import Failure
from conductor.domain.tally import Tally
from conductor.domain.task import TaskSpec
from conductor.domain.usage import Usage
from conductor.ports import AgentReport, Ending, Prompt
from tests.agents.prompts import setup

NOW = 1_800_000_000.0

ENDED_WELL: dict[str, Any] = {
    "ok": True,
    "status": "ok",
    "final": "Hello from the fake model.",
    "payloads": [{"text": "Hello from the fake model.", "mediaUrl": None}],
    "usage": {"input": 22, "output": 14, "cacheRead": 5, "cacheWrite": 3, "total": 44, "cost": {"total": 0.000276}},
    "costUsd": 0.000276,
    "codeModeEngaged": False,
    "assistantTurns": 2,
    "bridgeCalls": {"search": 0, "describe": 0, "call": 0},
    "toolSummary": {"calls": 1, "tools": ["write"], "failures": 0},
    "model": "fake-model",
    "provider": "conductor",
    "sessionId": "951b6288-d73d-4278-bc02-8d222b858b3f",
}
CHATTER = """\
[session-sqlite] slow SQLite reclamation Worker operation pid=12817 isMainThread=true elapsedMs=1201 outcome=resolved
[agent/embedded] tool-search: cataloged 8 tools behind compact prompt surface
[agents/agent-command] [agent] run 951b6288-d73d-4278-bc02-8d222b858b3f ended with stopReason=stop
"""
OUTSIDE = (
    "[tools] write failed: Path escapes sandbox root (/w/ws): /w/hello.txt. Use a relative path under `.openclaw/tmp/`"
    ' inside the workspace. raw_params={"path":"/w/hello.txt","content":"hello"}\n'
)
UNRESOLVED = {"calls": 1, "tools": ["write"], "failures": 1, "unresolvedError": {"toolName": "write"}}


def failed(message: str, status: str = "error", kind: str = "exception") -> dict[str, Any]:
    return {
        "ok": False,
        "status": status,
        "final": "",
        "payloads": [],
        "model": None,
        "provider": None,
        "sessionId": "c69c7e37-6159-4653-9ab4-0f2af7e11173",
        "error": {"message": message, "kind": kind},
    }


def gave_up(reason: str, detail: str) -> str:
    return (
        "[model-fallback/decision] model fallback decision: decision=candidate_failed requested=conductor/fake-model "
        f"candidate=conductor/fake-model reason={reason} next=none detail={detail}\n"
    )


RATE_LIMIT = (
    '429: {"error":{"message":"This request would exceed your rate limit","type":"rate_limit_error"},'
    '"request_id":"req_1","type":"error"}; Retry-After: 7 seconds'
)


def stream(log: str, result: dict[str, Any]) -> bytes:
    """As it comes: the log, then the result over many lines, then the error's message once more."""
    said = result.get("error", {}).get("message", "")
    return f"{log}{json.dumps(result, indent=2)}\n{said}\n".encode()


def told_by(output: bytes, piece: int = 1 << 20) -> tuple[Tally, list[Any]]:
    reader, events = OpenClawReader(lambda: NOW), []
    for start in range(0, len(output), piece):
        events.extend(reader.feed(output[start : start + piece]))
    events.extend(reader.close())
    tally = Tally()
    for event in events:
        tally.take(event)
    return tally, events


def judged(output: bytes, exit_code: int) -> AgentReport:
    tally, _ = told_by(output)
    prompt = Prompt(TaskSpec("t", "do it"), 1, "/attempt", "/w/ws")
    ending = Ending(exit_code, None, output.decode()[-65536:], tally)
    return OpenClawAgent(setup("openclaw")).judge(prompt, ending)


def test_a_success_tells_answer_usage_cost_session_turns_and_tools() -> None:
    report = judged(stream(CHATTER, ENDED_WELL), 0)
    assert report.succeeded
    assert report.text == "Hello from the fake model."
    assert report.usage == Usage(input=22, cached=5, cache_written=3, output=14)
    assert report.usd == 0.000276
    assert (report.session, report.model) == (ENDED_WELL["sessionId"], "fake-model")
    assert (report.turns, report.tools) == (2, 1)


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_pieces_of_any_length_tell_the_same(piece: int) -> None:
    output = stream(CHATTER + OUTSIDE, ENDED_WELL)
    assert told_by(output, piece)[1] == told_by(output)[1]


def test_a_result_on_one_line_tells_the_same() -> None:
    assert told_by(json.dumps(ENDED_WELL).encode())[1] == told_by(json.dumps(ENDED_WELL, indent=2).encode())[1]


def test_a_model_without_a_price_tells_no_cost() -> None:
    assert judged(stream("", {**ENDED_WELL, "costUsd": 0}), 0).usd is None


def test_a_refused_path_that_the_agent_could_not_do_without_is_a_denial() -> None:
    report = judged(stream(CHATTER + OUTSIDE, {**ENDED_WELL, "toolSummary": UNRESOLVED}), 0)
    assert report.failure is Failure.DENIED
    assert "escapes sandbox root" in report.denials[0]


def test_a_refused_path_that_the_agent_found_a_way_around_is_none() -> None:
    output = stream(CHATTER + OUTSIDE, ENDED_WELL)
    assert judged(output, 0).succeeded
    assert [event.ok for event in told_by(output)[1] if isinstance(event, ToolResult)] == [False]


def test_a_last_tool_that_failed_by_itself_is_no_denial() -> None:
    log = "[tools] exec failed: Command exited with code 1\n"
    summary = {**UNRESOLVED, "tools": ["exec"], "unresolvedError": {"toolName": "exec"}}
    assert judged(stream(log, {**ENDED_WELL, "toolSummary": summary}), 0).succeeded


RATE_LIMITED = "⚠️ API rate limit reached. Please try again later."
BROKE_OFF = "LLM request timed out."
LATE = "Request timed out before a response was generated. Please try again."


@pytest.mark.parametrize(
    ("log", "result", "exit_code", "failure"),
    [
        (
            gave_up("auth providerErrorType=authentication_error", "invalid x-api-key"),
            failed("⚠️ conductor/fake-model request failed (authentication failed, HTTP 401). Re-authenticate."),
            1,
            Failure.BAD_KEY,
        ),
        ("", failed("⚠️ request failed (authentication failed, HTTP 401)"), 1, Failure.BAD_KEY),
        (gave_up("rate_limit", RATE_LIMIT), failed(RATE_LIMITED), 1, Failure.LIMIT),
        ("", failed(RATE_LIMITED), 1, Failure.LIMIT),
        (gave_up("overloaded", "Overloaded"), failed("The AI service is temporarily overloaded."), 1, Failure.OVERLOAD),
        (gave_up("server_error", "fake error"), failed("request failed (provider, HTTP 500)"), 1, Failure.OVERLOAD),
        (gave_up("format", "fake error"), failed("provider rejected the request schema"), 1, Failure.BAD_REQUEST),
        (gave_up("format", "prompt is too long"), failed("provider rejected the request"), 1, Failure.CONTEXT),
        (gave_up("model_not_found", "model: x"), failed("The selected model was not found"), 1, Failure.BAD_MODEL),
        (gave_up("billing", "payment required"), failed("billing"), 1, Failure.BUDGET),
        (gave_up("billing", "Your credit balance is too low"), failed("billing"), 1, Failure.BAD_KEY),
        ("", failed("OpenClaw transport error: malformed_streaming_fragment"), 1, Failure.CUT),
        (
            gave_up("timeout", "fetch failed"),
            failed("LLM request failed: connection refused by the provider endpoint.", "timeout", "timeout"),
            2,
            Failure.NETWORK,
        ),
        (gave_up("timeout", "terminated"), failed(BROKE_OFF, "timeout", "timeout"), 2, Failure.CUT),
        ("[agent/embedded] embedded run timeout: runId=1", failed(LATE, "timeout", "timeout"), 2, Failure.TIMEOUT),
        ("", failed("Invalid thinking level. Use one of: off, minimal, low, medium, high."), 1, Failure.BAD_CONFIG),
        ("", failed("Inline API key for provider x is temporarily disabled after an auth failure"), 1, Failure.BAD_KEY),
    ],
)
def test_each_fault_has_its_class(log: str, result: dict[str, Any], exit_code: int, failure: Failure) -> None:
    report = judged(stream(f"{CHATTER}{log}\n", result), exit_code)
    assert not report.succeeded
    assert report.failure is failure, report.reason
    assert report.reason


def test_a_limit_tells_when_it_ends() -> None:
    output = stream(gave_up("rate_limit", RATE_LIMIT), failed(RATE_LIMITED))
    report = judged(output, 1)
    assert report.limit is not None
    assert report.limit.resets_at == NOW + 7
    assert any(isinstance(event, LimitHit) for event in told_by(output)[1])


def test_its_own_retries_are_told_as_they_come() -> None:
    line = "[agent/embedded] transient same-model retry 1/2 for conductor/m reason=rate_limit: delayMs=1376\n"
    assert told_by(line.encode())[1] == [Retry("rate_limit", wait_seconds=1.376)]


def test_a_run_without_a_result_was_cut() -> None:
    assert judged(CHATTER.encode(), 0).failure is Failure.CUT


def test_a_result_that_says_well_with_another_exit_code_is_no_success() -> None:
    assert not judged(stream("", ENDED_WELL), 1).succeeded


def test_half_a_result_is_no_result() -> None:
    whole = stream("", ENDED_WELL)
    assert not judged(whole[: len(whole) // 2], 0).succeeded


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_break_it(chunks: list[bytes]) -> None:
    reader = OpenClawReader(lambda: NOW)
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*ENDED_WELL, "error"]), JSON))
def test_no_form_of_a_result_breaks_it(result: dict[str, Any]) -> None:
    _, events = told_by(json.dumps({"ok": True, "status": "ok", **result}, indent=2).encode())
    assert (
        all(isinstance(event, Error) for event in events) or any(isinstance(event, End) for event in events) or events
    )
