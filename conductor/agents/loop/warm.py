"""Imported once in the nursery of a pool that has `anthropic` agents: walks the way of a call a few times, so that the
children forked later find all that the SDK makes at its first use. Reaches nobody but a child of its own."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from conductor.agents.loop.anthropic_model import AnthropicModel
from conductor.agents.loop.assignment import Assignment
from conductor.agents.loop.exchange import Asked, ModelRefused
from conductor.agents.loop.instructions import instructions
from conductor.agents.loop.shell import Shell
from conductor.agents.loop.tools import toolbox
from conductor.agents.loop.voice import Voice
from conductor.agents.loop.workspace import Workspace
from conductor.domain.agent_setup import Autonomy

_WALKS = 3
_PATIENCE_SECONDS = 5.0
_MESSAGE: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
}
_EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": {**_MESSAGE, "usage": {"input_tokens": 1, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "done"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)


def warm() -> None:
    """Costs only speed where it can't be done."""
    with suppress(OSError, ModelRefused), _provider() as url, open(os.devnull, "wb") as nowhere:
        for _ in range(_WALKS):
            _walk(url, Voice(nowhere.fileno(), lambda: 0.0))


def _walk(url: str, voice: Voice) -> None:
    told = Assignment(
        "anthropic",
        url,
        "none",
        "claude-sonnet-5",
        "low",
        Autonomy.WORKSPACE,
        "/",
        "",
        silence_seconds=_PATIENCE_SECONDS,
    )
    assignment = Assignment.from_json(told.to_json())
    tools = toolbox(Workspace("/", confined=True), Shell("/", {}), assignment.autonomy)
    model = AnthropicModel(assignment, instructions("/", assignment.autonomy, tools=True), tools.tools)
    model.answer([Asked(assignment.text)], voice)


@contextmanager
def _provider() -> Iterator[str]:
    """The address of a child that gives every walk the same answer, and ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(_PATIENCE_SECONDS)
        child = os.fork()
        if child == 0:
            _serve(listening)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)


def _serve(listening: socket.socket) -> None:
    body = b"".join(b"event: %s\ndata: %s\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in _EVENTS)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    try:
        while True:
            caller, _ = listening.accept()
            caller.settimeout(_PATIENCE_SECONDS)
            asked = b""
            while not asked.endswith(b"}"):
                asked += caller.recv(65536)
            caller.sendall(head.encode() + body)
    finally:
        os._exit(0)


warm()
