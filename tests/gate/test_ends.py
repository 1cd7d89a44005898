"""How calls end: well, broken off, refused, cut, unreachable; and what is told of each."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from typing import Any

import pytest

from conductor.domain.agent_events import Limit
from conductor.domain.agent_setup import ProviderSetup
from conductor.domain.usage import Usage
from conductor.gate.server import GateServer
from tests.gate.provider import (
    PATIENCE_SECONDS,
    REAL_KEY,
    STREAM_HEAD,
    Line,
    Provider,
    agent_line,
    always,
    answer,
    calls_of,
    chunk,
    gated,
    request,
)
from tests.support import eventually


def read_to_the_end(line: Line) -> None:
    while line.read_some():
        pass


START = b'data: {"type":"message_start","message":{"model":"m-2","usage":{"input_tokens":7,"output_tokens":1}}}\n\n'
DELTA = b'data: {"type":"message_delta","delta":{},"usage":{"output_tokens":9}}\n\n'
STOP = b'data: {"type":"message_stop"}\n\n'


def test_a_whole_stream_is_told_with_its_usage() -> None:
    stream = STREAM_HEAD + chunk(START) + chunk(DELTA + STOP) + b"0\r\n\r\n"
    with gated(always(stream)) as (gate, _), agent_line(gate) as line:
        line.send(request(gate, "/v1/messages?beta=true"))
        line.read_to(b"0\r\n\r\n")
        [call] = calls_of(gate)
        assert (call.path, call.status, call.model, call.complete) == ("/v1/messages", 200, "m-2", True)
        assert call.usage == Usage(input=7, output=9)
        assert call.first_byte_seconds is not None
        assert 0 < call.first_byte_seconds <= call.seconds
        assert not select.select([gate], [], [], 0)[0]


def test_a_call_can_be_taken_when_the_agent_has_the_last_byte() -> None:
    with gated(always(answer(b'{"usage":{"input_tokens":1}}'))) as (gate, _), agent_line(gate) as line:
        for _ in range(50):
            line.send(request(gate))
            line.read_message()
            assert len(gate.take()) == 1


def test_an_agent_that_leaves_cancels_the_call() -> None:
    left = threading.Event()

    def serve(line: Line) -> None:
        line.read_message()
        line.send(STREAM_HEAD + chunk(START))
        assert line.ended()
        left.set()

    with gated(serve) as (gate, _):
        with agent_line(gate) as line:
            line.send(request(gate))
            line.read_to(b"\n\n")
        assert left.wait(PATIENCE_SECONDS)
        [call] = calls_of(gate)
        assert (call.complete, call.left, call.usage) == (False, True, Usage(input=7, output=1))
        assert "left" in call.error


def test_an_agent_that_leaves_before_the_answer_cancels_the_call() -> None:
    asked, left = threading.Event(), threading.Event()

    def serve(line: Line) -> None:
        line.read_message()
        asked.set()
        assert line.ended()
        left.set()

    with gated(serve) as (gate, _):
        with agent_line(gate) as line:
            line.send(request(gate))
            assert asked.wait(PATIENCE_SECONDS)
        assert left.wait(PATIENCE_SECONDS)
        [call] = calls_of(gate)
        assert (call.status, call.model, call.complete) == (None, "m-1", False)


SIZED_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
OPEN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize("part", [STREAM_HEAD + chunk(START), STREAM_HEAD + b"5\r\nab", SIZED_HEAD, OPEN_HEAD + START])
def test_an_answer_that_breaks_off_breaks_off_for_the_agent(part: bytes) -> None:
    def serve(line: Line) -> None:
        line.read_message()
        line.send(part)

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        line.read_head()
        with pytest.raises(ConnectionResetError):
            read_to_the_end(line)
        [call] = calls_of(gate)
        assert (call.status, call.complete, call.left) == (200, False, False)
        assert call.error


def test_a_stream_that_ends_without_its_last_event_is_incomplete() -> None:
    with gated(always(STREAM_HEAD + chunk(START) + b"0\r\n\r\n")) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        line.read_to(b"0\r\n\r\n")
        [call] = calls_of(gate)
        assert (call.complete, call.error) == (False, "the provider's answer was not whole")


def test_an_error_in_a_stream_is_told() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    with gated(always(STREAM_HEAD + chunk(START + error) + b"0\r\n\r\n")) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        line.read_to(b"0\r\n\r\n")
        [call] = calls_of(gate)
        assert (call.status, call.error, call.complete, call.limit) == (200, "Overloaded", False, None)


@pytest.mark.parametrize(
    ("form", "path", "says"),
    [
        ("anthropic", "/v1/messages", lambda told: told["type"] == "error" and told["error"]["type"] == "api_error"),
        ("openai", "/v1/responses", lambda told: told["error"]["type"] == "server_error"),
        ("gemini", "/v1beta/models/g-1:generateContent", lambda told: told["error"]["status"] == "UNAVAILABLE"),
    ],
)
def test_a_provider_that_is_not_there_is_an_answer_in_the_form_of_its_clients(form: str, path: str, says: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gate = GateServer(ProviderSetup("p", form, f"http://127.0.0.1:{port}"), REAL_KEY, environment={})
    gate.start()
    with agent_line(gate) as line:
        for _ in range(2):
            line.send(request(gate, path))
            refusal = line.read_message()
            assert refusal.status == 502
            assert says(json.loads(refusal.body))
        call = calls_of(gate, 2)[0]
        assert (call.status, call.complete) == (None, False)
        assert call.error == f"can't reach 127.0.0.1:{port}: Connection refused"
        assert call.model == "m-1" if form != "gemini" else "g-1"
    gate.close()


@pytest.mark.parametrize(
    "raw", [b"", b"SMTP ready\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", STREAM_HEAD + b"xyz\r\n"]
)
def test_a_provider_that_speaks_no_http_is_unreachable(raw: bytes) -> None:
    def serve(line: Line) -> None:
        line.read_message()
        line.send(raw)

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        assert line.read_message().status == 502
        assert not calls_of(gate)[0].complete


LIMITS = [
    ("anthropic", ["retry-after: 7"], b"{}", Limit(1_000_007.0)),
    (
        "anthropic",
        [
            "anthropic-ratelimit-unified-status: rejected",
            "anthropic-ratelimit-unified-reset: 1003600",
            "anthropic-ratelimit-unified-representative-claim: five_hour",
            "retry-after: 1",
        ],
        b'{"type":"error","error":{"type":"rate_limit_error","message":"no more"}}',
        Limit(1_003_600.0, "five_hour", "no more"),
    ),
    (
        "openai",
        [],
        b'{"error":{"type":"usage_limit_reached","message":"wait","resets_in_seconds":60}}',
        Limit(1_000_060.0, "usage_limit_reached", "wait"),
    ),
    (
        "gemini",
        [],
        b'{"error":{"message":"quota","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}',
        Limit(1_000_034.0, "", "quota"),
    ),
]


@pytest.mark.parametrize(("form", "headers", "body", "limit"), LIMITS)
def test_a_limit_is_told_with_the_moment_of_its_end(form: str, headers: list[str], body: bytes, limit: Limit) -> None:
    raw = answer(body, *headers, status="429 Too Many Requests")
    with gated(always(raw), form) as (gate, _), agent_line(gate) as line:
        line.send(request(gate, "/v1/models/m:generateContent"))
        assert line.read_message().body == body
        [call] = calls_of(gate)
        assert (call.status, call.limit, call.complete) == (429, limit, True)
        assert call.error == (limit.said or "Too Many Requests")


def test_an_overload_is_no_limit() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    with gated(always(answer(body, "retry-after: 5", status="529 Overloaded"))) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        line.read_message()
        [call] = calls_of(gate)
        assert (call.status, call.limit, call.error) == (529, None, "Overloaded")


def test_a_key_in_the_providers_words_is_never_told() -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key {REAL_KEY} " + "x" * 1000}}).encode()
    with gated(always(answer(body, status="429 No"))) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        line.read_message()
        [call] = calls_of(gate)
        assert "the-real-one" not in repr(call)
        assert len(call.error) <= 500


def test_after_a_refusal_the_agent_hears_the_reason_and_running_calls_are_cut() -> None:
    def serve(line: Line) -> None:
        line.read_message()
        line.send(STREAM_HEAD + chunk(START))
        line.ended()

    with gated(serve) as (gate, provider), agent_line(gate) as running, agent_line(gate) as other:
        running.send(request(gate))
        running.read_to(b"\n\n\r\n")
        gate.refuse("the budget is used up")
        with pytest.raises(ConnectionResetError):
            read_to_the_end(running)
        [call] = calls_of(gate)
        assert (call.complete, call.left, call.error) == (False, False, "the budget is used up")
        other.send(request(gate))
        refusal = other.read_message()
        assert refusal.status == 403
        assert json.loads(refusal.body)["error"] == {
            "type": "permission_error",
            "message": "the budget is used up",
        }
        assert provider.connections == 1


def test_a_call_that_waits_for_its_answer_hears_the_refusal() -> None:
    asked = threading.Event()

    def serve(line: Line) -> None:
        line.read_message()
        asked.set()
        line.ended()

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        assert asked.wait(PATIENCE_SECONDS)
        gate.refuse("spent")
        refusal = line.read_message()
        assert (refusal.status, json.loads(refusal.body)["error"]["message"]) == (403, "spent")


def test_what_is_under_way_at_the_close_can_be_taken_after_it() -> None:
    asked = threading.Event()

    def serve(line: Line) -> None:
        line.read_message()
        asked.set()
        line.ended()

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        assert asked.wait(PATIENCE_SECONDS)
        gate.close()
        [call] = gate.take()
        assert (call.complete, call.left) == (False, True)
        eventually(lambda: not {thread.name for thread in threading.enumerate()} & {"gate"})


def test_nothing_is_left_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with gated(always(answer(b"{}"))) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        line.read_message()
    assert set(os.listdir("/proc/self/fd")) <= before


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_fifty_megabytes_each_way_take_no_memory() -> None:
    block, blocks = b"x" * 500_000, 100
    peaks: list[int] = []

    def serve(line: Line) -> None:
        head = line.read_head()
        left = int(head.headers["content-length"])
        while left:
            left -= len(line.read_some())
        line.send(STREAM_HEAD)
        for _ in range(blocks):
            line.send(chunk(block))
        line.send(b"0\r\n\r\n")

    def send(line: Line) -> None:
        for _ in range(blocks):
            line.send(block)
            peaks.append(_resident_bytes())

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate, body=b"").replace(b"content-length: 0", b"content-length: %d" % (len(block) * blocks)))
        before = _resident_bytes()
        sending = threading.Thread(target=send, args=(line,))
        sending.start()
        line.read_head()
        while line.read_some()[-5:] != b"0\r\n\r\n":
            peaks.append(_resident_bytes())
        sending.join(PATIENCE_SECONDS)
        assert max(peaks) - before < 12 * 1_048_576
        assert calls_of(gate)[0].complete


def test_a_provider_without_a_key_gets_none() -> None:
    heads = []

    def serve(line: Line) -> None:
        heads.append(line.read_message())
        line.send(answer(b"{}"))

    provider = Provider(serve)
    gate = GateServer(ProviderSetup("p", "openai", provider.url), "", environment={})
    gate.start()
    with agent_line(gate) as line:
        line.send(request(gate, "/v1/chat/completions"))
        line.read_message()
    gate.close()
    provider.close()
    assert "authorization" not in heads[0].headers
