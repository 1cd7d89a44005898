"""Reading what an answer tells of itself while it passes: usage, model, errors, and whether it came to its end.

Of a stream only the lines that tell one of these are parsed. Whatever the bytes are, nothing is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from conductor.domain.usage import Usage
from conductor.gate.usages import USAGES, mapping, merged

LONGEST_READ = 1_048_576
"""Bytes of a line, or of a whole JSON answer: what is longer passes unread."""

_TELLING = re.compile(
    rb'"(?:message_start|message_delta|message_stop|response\.(?:completed|incomplete|failed|created))"'
    rb'|"usage"\s*:\s*\{|"finish_reason"\s*:\s*"|"error"\s*:\s*[{"]|"error"\s*[,}]|"usageMetadata"|"finishReason"'
)
_LAST_EVENTS = ("message_stop", "response.completed", "response.incomplete")
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,200})"')


class AnswerReader:
    """Takes the content of one answer to a call of `kind`. `streamed`: it is server-sent events, else JSON."""

    def __init__(self, kind: str, *, streamed: bool) -> None:
        self.model = ""
        self.error: Mapping[str, Any] = {}
        """The error object that it told, in whichever form; empty: none."""
        self.came_to_its_end = False
        """It told its own last event; of JSON: it was whole."""
        self._usage_of = USAGES[kind]
        self._usage: dict[str, Any] = {}
        self._streamed = streamed
        self._pieces: list[bytes] = []
        self._length = 0
        self._overlong = False
        self.unread = False
        """Something was too long to be read."""

    @property
    def usage(self) -> Usage | None:
        """None: it told nothing of it."""
        return self._usage_of(self._usage) if self._usage else None

    def feed(self, content: bytes) -> None:
        if not self._streamed:
            return self._keep(content)
        *lines, rest = content.split(b"\n")
        for line in lines:
            self._keep(line)
            self._on_line(self._taken())
        self._keep(rest)
        return None

    def close(self) -> None:
        """After the last byte."""
        raw = self._taken()
        if self._streamed:
            self._on_line(raw)
        elif raw:
            self.came_to_its_end = self._on_json(raw)

    @property
    def message(self) -> str:
        """The error in its own words."""
        said = self.error.get("message") or self.error.get("type") or self.error.get("code") or ""
        return said if isinstance(said, str) else str(said)

    def _keep(self, piece: bytes) -> None:
        if not piece or self._overlong:
            return
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > LONGEST_READ:
            self._overlong = self.unread = True
            self._pieces.clear()

    def _taken(self) -> bytes:
        raw = b"".join(self._pieces)
        self._pieces, self._length, self._overlong = [], 0, False
        return raw

    def _on_line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        told = line[5:].strip()
        if told == b"[DONE]":
            self.came_to_its_end = True
        elif _TELLING.search(told):
            self._on_json(told)

    def _on_json(self, raw: bytes) -> bool:
        """Whether it was JSON. Gemini streams an array of what are events elsewhere."""
        try:
            told = json.loads(raw)
        except (ValueError, RecursionError):
            return False
        for event in told if isinstance(told, list) else [told]:
            if isinstance(event, dict):
                self._on_event(event)
        return True

    def _on_event(self, event: Mapping[str, Any]) -> None:
        inner = mapping(event.get("message") or event.get("response"))
        for part in (event, inner):
            self._take_part(part)
        if event.get("type") in _LAST_EVENTS or _finished(event):
            self.came_to_its_end = True
        if event.get("type") == "error" and not self.error:
            self.error = event

    def _take_part(self, part: Mapping[str, Any]) -> None:
        model = part.get("model") or part.get("modelVersion")
        if isinstance(model, str) and model:
            self.model = model[:200]
        told = part.get("usage") or part.get("usageMetadata")
        if isinstance(told, dict):
            self._usage = merged(self._usage, told)
        error = part.get("error")
        if isinstance(error, dict):
            self.error = error
        elif isinstance(error, str) and error:
            self.error = {"message": error}


def _finished(event: Mapping[str, Any]) -> bool:
    """Whether a choice or a candidate tells why it finished."""
    parts = event.get("choices") or event.get("candidates")
    if not isinstance(parts, list):
        return False
    return any(isinstance(part, dict) and (part.get("finish_reason") or part.get("finishReason")) for part in parts)


def asked_model(path: str, body: bytes) -> str:
    """The model that a request asks for: in its path, as Gemini has it, or in its JSON, of which `body` is at least
    the first part; empty when it can't be told."""
    match = re.search(r"/models/([^/:]{1,200}):", path)
    if match:
        return match[1]
    try:
        model = mapping(json.loads(body)).get("model")
        return model[:200] if isinstance(model, str) else ""
    except (ValueError, RecursionError):
        found = _MODEL.search(body)
        return found[1].decode("utf-8", "replace") if found else ""
