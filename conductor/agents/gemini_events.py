"""Gemini CLI's stream: `init`, `message`, `tool_use`, `tool_result`, `error` and one `result` a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from conductor.agents.reading import JsonLineReader, whole, words
from conductor.domain.agent_events import (
    AgentEvent,
    End,
    Error,
    Limit,
    LimitHit,
    Progress,
    Started,
    Text,
    ToolCall,
    ToolResult,
    UsageTold,
)
from conductor.domain.failure import Failure, status_failure, words_failure
from conductor.domain.usage import Usage

_CODE = re.compile(r'"code"\s*:\s*(\d{3})\b')
_NO_MODEL = re.compile(r"\[API Error: (?:model: \S+|models/\S+ is not found.*)\]")
_CUT = re.compile(r"\[API Error: (?:terminated|.*premature close.*)\]|stream ended (?:with|prematurely)", re.IGNORECASE)
_RESET = re.compile(
    r"(?:retry (?:in|after)|resets? (?:in|after)) (?:(\d+)h)?\s*(?:(\d+)m(?!s))?\s*(?:(\d+(?:\.\d+)?)s)?", re.IGNORECASE
)
_REFUSED = re.compile(
    r"access denied|not in workspace|outside the allowed workspace|denied by policy|requires user confirmation"
    r"|policy_violation",
    re.IGNORECASE,
)
_KEPT_BACK = 400
"""Characters of an answer that comes in words, gathered into one event."""


class GeminiReader(JsonLineReader):
    """The answer is what it said after its last tool. `now` gives seconds since 1970: limits are told as a time to
    wait."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self._pending: list[str] = []
        self._answer: list[str] = []

    def on_object(self, told: dict[str, Any]) -> Iterator[AgentEvent]:
        kind = told.get("type")
        if kind == "message":
            yield from self._message(told)
            return
        yield from self._flush()
        match kind:
            case "init":
                yield Started(words(told.get("session_id")), words(told.get("model")))
            case "tool_use":
                self._answer = []
                yield ToolCall(words(told.get("tool_id")), words(told.get("tool_name")), words(told.get("parameters")))
            case "tool_result":
                failed = told.get("status") != "success"
                text = words(told.get("output"))
                denied = failed and _REFUSED.search(f"{text[:400]} {words(told.get('error'))[:400]}") is not None
                yield ToolResult(words(told.get("tool_id")), not failed, text, denied)
            case "error":
                yield Error(words(told.get("message")), _class_of(words(told.get("message"))))
            case "result":
                yield from self._result(told)
            case _:
                yield Progress(words(kind)[:80])

    def on_end(self) -> Iterator[AgentEvent]:
        yield from self._flush()

    def _message(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        if told.get("role") != "assistant":
            return
        content = words(told.get("content"))
        self._answer.append(content)
        self._pending.append(content)
        if "\n" in content or sum(map(len, self._pending)) > _KEPT_BACK:
            yield from self._flush()

    def _flush(self) -> Iterator[AgentEvent]:
        text, self._pending = "".join(self._pending), []
        if text:
            yield Text(text)

    def _result(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        stats = told.get("stats") or {}
        yield UsageTold(_usage(stats), _busiest(stats.get("models")), total=True)
        if told.get("status") == "success":
            yield Text("".join(self._answer), final=True)
            yield End(True)
            return
        message = words((told.get("error") or {}).get("message"))
        failure = _class_of(message)
        if failure is Failure.LIMIT:
            yield LimitHit(Limit(_reset_time(message, self._now()), said=message[:200]))
        yield End(False, message, failure)


def _class_of(message: str) -> Failure:
    found = _CODE.search(message)
    if found:
        return status_failure(int(found[1]), message)
    if _NO_MODEL.search(message):
        return Failure.BAD_MODEL
    return Failure.CUT if _CUT.search(message) else words_failure(message)


def _reset_time(message: str, now: float) -> float | None:
    """Of `retry in 27.5s` or `reset after 18h31m10s`; None where it says no time."""
    found = _RESET.search(message)
    if not found or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return now + hours * 3600 + minutes * 60 + seconds


def _usage(stats: Mapping[str, Any]) -> Usage:
    """`input_tokens` counts what came from the cache in; thoughts are in the total alone."""
    prompt, cached, output = (whole(stats.get(name)) for name in ("input_tokens", "cached", "output_tokens"))
    thoughts = max(0, whole(stats.get("total_tokens")) - prompt - output)
    return Usage(input=max(0, prompt - cached), cached=cached, output=output + thoughts, reasoning=thoughts)


def _busiest(models: object) -> str:
    """The model that did the work, of those that were used."""
    if not isinstance(models, Mapping) or not models:
        return ""
    return words(max(models, key=lambda name: whole((models[name] or {}).get("total_tokens"))))
