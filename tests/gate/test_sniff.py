"""What is read of answers while they pass."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.usage import Usage
from conductor.gate.sniff import LONGEST_READ, AnswerReader, asked_model

ANTHROPIC = (
    b'event: message_start\r\ndata: {"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":10,'
    b'"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":1}}}\r\n\r\n'
    b'event: ping\r\ndata: {"type": "ping"}\r\n\r\n'
    b'data: {"type":"content_block_delta","delta":{"text":"\xc3\xa9 \\"usage\\": {"}}\r\n\r\n'
    b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":40}}\r\n\r\n'
    b'data: {"type":"message_stop"}\r\n\r\n'
)
RESPONSES = (
    b'data: {"type":"response.created","response":{"model":"gpt-x","usage":null,"error":null}}\n\n'
    b'data: {"type":"response.output_text.delta","delta":"hi"}\n\n'
    b'data: {"type":"response.completed","response":{"model":"gpt-x","error":null,"usage":{"input_tokens":100,'
    b'"input_tokens_details":{"cached_tokens":60},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20},'
    b'"total_tokens":150}}}\n\n'
)
CHAT = (
    b'data: {"object":"chat.completion.chunk","model":"gpt-y","choices":[{"delta":{"content":"hi"},'
    b'"finish_reason":null}],"usage":null}\n\n'
    b'data: {"model":"gpt-y","choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
    b'data: {"model":"gpt-y","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,'
    b'"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}\n\n'
    b"data: [DONE]\n\n"
)
GEMINI = (
    b'data: {"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":50},"modelVersion":"gemini-x"}\r\n\r\n'
    b'data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":50,'
    b'"cachedContentTokenCount":20,"candidatesTokenCount":5,"thoughtsTokenCount":7,"toolUsePromptTokenCount":1},'
    b'"modelVersion":"gemini-x"}\r\n\r\n'
)
STREAMS = [
    ("messages", ANTHROPIC, "claude-x", Usage(10, 30, 20, 40)),
    ("responses", RESPONSES, "gpt-x", Usage(40, 60, 0, 50, 20)),
    ("chat", CHAT, "gpt-y", Usage(7, 2, 0, 4, 1)),
    ("generate", GEMINI, "gemini-x", Usage(31, 20, 0, 12, 7)),
]


@pytest.mark.parametrize(("kind", "stream", "model", "usage"), STREAMS)
@given(cuts=st.lists(st.integers(0, 900), max_size=20))
def test_any_cutting_of_a_stream_tells_the_same(
    kind: str, stream: bytes, model: str, usage: Usage, cuts: list[int]
) -> None:
    reader = AnswerReader(kind, streamed=True)
    edges = [0, *sorted(cuts), len(stream)]
    for begin, end in pairwise(edges):
        reader.feed(stream[begin:end])
    reader.close()
    assert (reader.usage, reader.model, reader.came_to_its_end, reader.error) == (usage, model, True, {})


@pytest.mark.parametrize("kind", ["messages", "responses", "chat", "generate"])
@pytest.mark.parametrize("streamed", [True, False])
@given(pieces=st.lists(st.binary(max_size=200), max_size=5))
def test_no_bytes_are_too_strange(kind: str, streamed: bool, pieces: list[bytes]) -> None:
    reader = AnswerReader(kind, streamed=streamed)
    for piece in pieces:
        reader.feed(piece)
    reader.close()


_NAMES = (
    "type usage usageMetadata error message response choices candidates finish_reason finishReason model modelVersion "
    "input_tokens output_tokens prompt_tokens input_tokens_details cached_tokens promptTokenCount code status details"
).split()
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=20,
)


@pytest.mark.parametrize("kind", ["messages", "responses", "chat", "generate"])
@given(event=_JSON, streamed=st.booleans())
def test_no_json_is_too_strange(kind: str, event: object, streamed: bool) -> None:
    reader = AnswerReader(kind, streamed=streamed)
    reader.feed((b"data: " if streamed else b"") + json.dumps(event).encode() + b"\n\n")
    reader.close()
    assert isinstance(reader.message, str)


@pytest.mark.parametrize(
    ("kind", "body", "usage"),
    [
        ("messages", {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 2}}, Usage(1, output=2)),
        ("responses", {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 2}}, Usage(1, output=2)),
        ("chat", {"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, Usage(1, output=2)),
        ("generate", {"modelVersion": "m", "usageMetadata": {"promptTokenCount": 1}}, Usage(1)),
        ("generate", [{"modelVersion": "m"}, {"usageMetadata": {"promptTokenCount": 1}}], Usage(1)),
    ],
)  # fmt: skip
def test_a_whole_answer_is_read(kind: str, body: object, usage: Usage) -> None:
    reader = AnswerReader(kind, streamed=False)
    reader.feed(json.dumps(body).encode())
    reader.close()
    assert (reader.usage, reader.model, reader.came_to_its_end) == (usage, "m", True)


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        ("messages", b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', "busy"),
        ("responses", b'{"type":"response.failed","response":{"error":{"code":"x","message":"no"}}}', "no"),
        ("responses", b'{"type":"error","code":"c","message":"m","error":null}', "m"),
        ("responses", b'{"type":"error","code":"c","message":"m"}', "m"),
        ("chat", b'{"error":{"message":"bad","code":502}}', "bad"),
        ("chat", b'{"error":"plain words"}', "plain words"),
        ("generate", b'{"error":{"code":503,"message":"late","status":"UNAVAILABLE"}}', "late"),
    ],
)
def test_an_error_in_a_stream_is_read(kind: str, line: bytes, message: str) -> None:
    reader = AnswerReader(kind, streamed=True)
    reader.feed(b"data: " + line + b"\n\n")
    reader.close()
    assert (reader.message, reader.came_to_its_end) == (message, False)


def test_a_line_that_is_too_long_passes_unread_and_the_next_is_read() -> None:
    reader = AnswerReader("messages", streamed=True)
    for _ in range(20):
        reader.feed(b"data: " + b"x" * (LONGEST_READ // 10))
    reader.feed(b"\n" + ANTHROPIC)
    reader.close()
    assert (reader.unread, reader.usage) == (True, Usage(10, 30, 20, 40))


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/v1/messages", b'{"max_tokens":1,"messages":[{"model":"inner"}],"model":"outer"}', "outer"),
        ("/v1/messages", b'{"model": "first", "messages": [{"conte', "first"),
        ("/v1/messages", b"\x28\xb5\x2f\xfd", ""),
        ("/v1/messages", b'{"model": 5}', ""),
        ("/v1/messages", b"[" * 10_000, ""),
        ("/v1beta/models/gemini-x:streamGenerateContent", b"{}", "gemini-x"),
    ],
)
def test_the_model_that_was_asked_for(path: str, body: bytes, model: str) -> None:
    assert asked_model(path, body) == model
