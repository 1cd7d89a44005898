"""The Anthropic Messages API."""

from __future__ import annotations

import json
from collections.abc import Iterator

from conductor.domain.usage import Usage
from conductor.testing.sim.asked import Asked, Json, Reply, Tool, Turn, records_of, texts_of
from conductor.testing.sim.meter import Block
from conductor.testing.sim.telling import Event

NAME = "anthropic"
MODELS = ("claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5", "sim-model")

_BEGINNINGS: dict[str, Json] = {
    "text": {"text": ""},
    "tool_use": {"input": {}},
    "thinking": {"thinking": "", "signature": ""},
}


def read(body: Json, path: str) -> Asked:
    output = body.get("output_config") or {}
    wanted = output.get("format") or body.get("output_format") or {}
    return Asked(
        model=str(body.get("model", "")),
        turns=tuple(_turn(message) for message in records_of(body.get("messages"))),
        streamed=bool(body.get("stream")),
        instructions=texts_of(body.get("system")),
        tools=tuple(
            Tool(str(tool.get("name", "")), tool.get("input_schema") or {}) for tool in records_of(body.get("tools"))
        ),
        schema=wanted.get("schema") if wanted.get("type") == "json_schema" else None,
        thinks=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        most_output=body.get("max_tokens"),
    )


def _turn(message: Json) -> Turn:
    content = message.get("content")
    blocks = records_of(content)
    return Turn(
        by_model=message.get("role") == "assistant",
        text=texts_of(content),
        calls=sum(block.get("type") == "tool_use" for block in blocks),
        results=tuple(texts_of(block.get("content")) for block in blocks if block.get("type") == "tool_result"),
    )


def mistake_in(body: Json) -> str:
    """What the real API would refuse with 400; empty when nothing."""
    most = body.get("max_tokens")
    if not isinstance(most, int) or most < 1:
        return "max_tokens: Field required"
    messages = records_of(body.get("messages"))
    if not messages:
        return "messages: at least one message is required"
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= int(thinking.get("budget_tokens") or 0) < most:
        return "thinking.budget_tokens: must be at least 1024 and less than `max_tokens`"
    return _unpaired_call(messages)


def _unpaired_call(messages: list[Json]) -> str:
    for number, message in enumerate(messages):
        wanted = {block.get("id") for block in records_of(message.get("content")) if block.get("type") == "tool_use"}
        following = messages[number + 1] if number + 1 < len(messages) else {}
        given = {block.get("tool_use_id") for block in records_of(following.get("content"))}
        if wanted - given:
            return (
                f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(sorted(map(str, wanted - given)))}"
            )
    return ""


def blocks(body: Json) -> Iterator[Block]:
    """What the cache sees: tools, system, messages, in that order, each block by itself."""
    for tool in records_of(body.get("tools")):
        yield _block(tool)
    yield from _parts(body.get("system"))
    for message in records_of(body.get("messages")):
        yield Block(str(message.get("role")), marked=False)
        yield from _parts(message.get("content"))
    if body.get("cache_control"):
        yield Block("", marked=True)


def _parts(content: object) -> Iterator[Block]:
    if isinstance(content, str):
        yield Block(content, marked=False)
    for part in records_of(content):
        yield _block(part)


def _block(part: Json) -> Block:
    bare = {key: value for key, value in part.items() if key != "cache_control"}
    return Block(json.dumps(bare, sort_keys=True, ensure_ascii=False), marked=bool(part.get("cache_control")))


def whole(reply: Reply) -> Json:
    return {
        **_message(reply),
        "content": _content(reply),
        "stop_reason": _stop(reply),
        "usage": _usage(reply.usage),
    }


def _message(reply: Reply) -> Json:
    return {
        "id": f"msg_{reply.id}",
        "type": "message",
        "role": "assistant",
        "model": reply.asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _content(reply: Reply) -> list[Json]:
    answer = reply.answer
    found: list[Json] = []
    if answer.thinking and reply.asked.thinks:
        found.append({"type": "thinking", "thinking": answer.thinking, "signature": f"sim{reply.id}"})
    for call_id, call in reply.calls:
        found.append({"type": "tool_use", "id": f"toolu_{call_id}", "name": call.name, "input": call.object})
    return found if answer.calls else [*found, {"type": "text", "text": answer.text}]


def _stop(reply: Reply) -> str:
    if reply.answer.calls:
        return "tool_use"
    return "max_tokens" if reply.answer.cut else "end_turn"


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }


def events(reply: Reply) -> Iterator[Event]:
    started = {**_message(reply), "usage": {**_usage(reply.usage), "output_tokens": 1}}
    yield _event({"type": "message_start", "message": started})
    yield _event({"type": "ping"})
    for index, block in enumerate(_content(reply)):
        yield from _block_events(index, block, reply)
    ended = {"stop_reason": _stop(reply), "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": ended, "usage": _usage(reply.usage)})
    yield _event({"type": "message_stop"})


def _block_events(index: int, block: Json, reply: Reply) -> Iterator[Event]:
    empty: dict[str, Json] = {
        "text": {"text": ""},
        "tool_use": {"input": {}},
        "thinking": {"thinking": "", "signature": ""},
    }
    kind = str(block["type"])
    yield _event({"type": "content_block_start", "index": index, "content_block": {**block, **empty[kind]}})
    deltas: list[Json] = [{"type": "text_delta", "text": piece} for piece in reply.pieces]
    if kind == "tool_use":
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    if kind == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta}, is_answer=kind != "thinking")
    yield _event({"type": "content_block_stop", "index": index})


def _event(body: Json, is_answer: bool = False) -> Event:
    return Event(body, body["type"], is_answer)


def counted(tokens: int) -> Json:
    return {"input_tokens": tokens}


def models() -> Json:
    entries = [
        {"type": "model", "id": name, "display_name": f"{name} (simulated)", "created_at": "2026-01-01T00:00:00Z"}
        for name in MODELS
    ]
    return {"data": entries, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
