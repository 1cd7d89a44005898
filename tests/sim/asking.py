"""Raw HTTP for the protocols whose SDKs are not installed, and request bodies as the CLIs send them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def events(self) -> list[Any]:
        """The data of each server-sent event; `[DONE]` left out."""
        lines = [line.removeprefix("data: ") for line in self.raw.decode().split("\n") if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]


def ask(url: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 10) -> Got:
    """POSTs `body` as JSON, or GETs where there is none; reads the whole answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        if body is None:
            connection.request("GET", path, headers=headers or {})
        else:
            connection.request("POST", path, payload, {"content-type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def schema(**properties: str) -> dict[str, Any]:
    """A tool's schema in which every one of `properties` (by name: its type) is required."""
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }


def messages(prompt: str, **more: Any) -> dict[str, Any]:
    """A request of the Messages API."""
    return {"model": "claude-x", "max_tokens": 4000, "messages": [{"role": "user", "content": prompt}], **more}


def chat(prompt: str, **more: Any) -> dict[str, Any]:
    """A request of Chat Completions."""
    return {"model": "gpt-x", "messages": [{"role": "user", "content": prompt}], **more}


def responses(prompt: str, **more: Any) -> dict[str, Any]:
    """A request of the Responses API as Codex sends it."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
    return {"model": "gpt-x", "input": [item], **more}


def gemini(prompt: str, **more: Any) -> dict[str, Any]:
    """A request of generateContent."""
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **more}


PATHS = {
    "anthropic": "/v1/messages",
    "responses": "/v1/responses",
    "chat": "/v1/chat/completions",
    "gemini": "/v1beta/models/gemini-x:generateContent",
}
BODIES = {"anthropic": messages, "responses": responses, "chat": chat, "gemini": gemini}
