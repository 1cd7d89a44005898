"""A provider on loopback that answers what a test tells it to, call by call, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Wire = bytes


@dataclass
class Reply:
    """`cut`: the connection ends before the last bytes that were announced; `hang`: after the body nothing comes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    cut: bool = False
    hang: bool = False


@dataclass
class Provider:
    url: str
    asked: list[dict[str, Any]]
    headers: list[dict[str, str]]
    paths: list[str]


@contextmanager
def provider(*replies: Reply, then: Callable[[dict[str, Any]], Reply] | None = None) -> Iterator[Provider]:
    """Gives `replies` in order, then what `then` says, else the last again."""
    told = Provider("", [], [], [])
    going = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            at = len(told.asked)
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            told.paths.append(self.path)
            told.asked.append(body)
            reply = then(body) if then and at >= len(replies) else replies[min(at, len(replies) - 1)]
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body) + (reply.cut or reply.hang)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = True
            if reply.hang:
                going.wait(30)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield told
    finally:
        going.set()
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(status: int, kind: str = "", message: str = "no", **headers: str) -> Reply:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body, {"content-type": "application/json", **told})


# -- Anthropic Messages


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool(name: str, call_id: str = "tu_1", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def thought(words: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature}


def message(
    *blocks: dict[str, Any], stop: str = "", input_tokens: int = 10, output_tokens: int = 20, **usage: int
) -> Reply:
    """A streamed answer."""
    return Reply(body=sse(events_of(blocks, stop, {"input_tokens": input_tokens, **usage}, output_tokens)))


def cut_message(*blocks: dict[str, Any]) -> Reply:
    """Its end never comes."""
    events = events_of(blocks, "", {"input_tokens": 10}, 20)
    return Reply(body=sse(events[:-3]), cut=True)


def sse(events: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


def events_of(
    blocks: Sequence[dict[str, Any]], stop: str, usage: dict[str, int], output_tokens: int
) -> list[dict[str, Any]]:
    uses = any(block["type"] == "tool_use" for block in blocks)
    empty = {"id": "m", "type": "message", "role": "assistant", "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**empty, "model": "model-used", "usage": {**usage, "output_tokens": 1}}}
    ]
    for index, block in enumerate(blocks):
        start, deltas = _streamed(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop or ("tool_use" if uses else "end_turn"), "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}})
    return [*events, {"type": "message_stop"}]


def _streamed(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if block["type"] == "text":
        words = block["text"]
        return text(""), [{"type": "text_delta", "text": words[at : at + 7]} for at in range(0, len(words), 7)]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}]
        return thought("", ""), [*deltas, {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "tool_use":
        told = block.get("broken") or json.dumps(block["input"])
        begun = {"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}
        return begun, [{"type": "input_json_delta", "partial_json": told[at : at + 9]} for at in range(0, len(told), 9)]
    return block, []


# -- Chat Completions


def chunks(*deltas: dict[str, Any], finish: str | None = "stop", usage: dict[str, Any] | None = None) -> Reply:
    told: list[dict[str, Any]] = [{"model": "chat-used", "choices": [{"index": 0, "delta": one}]} for one in deltas]
    if finish:
        told.append({"model": "chat-used", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage:
        told.append({"model": "chat-used", "choices": [], "usage": usage})
    lines = "".join(f"data: {json.dumps(one)}\n\n" for one in told)
    return Reply(body=lines.encode() + (b"data: [DONE]\n\n" if finish else b""), cut=finish is None)


def function_call(name: str, arguments: str, call_id: str = "c1", index: int = 0) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]}
