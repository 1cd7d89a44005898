"""Codex's stream: a thread, turns and items a line. It tells no status and no limits but in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from conductor.agents.reading import JsonLineReader, whole, words
from conductor.domain.agent_events import (
    AgentEvent,
    End,
    Error,
    Limit,
    LimitHit,
    Progress,
    Retry,
    Started,
    Text,
    ToolCall,
    ToolResult,
    UsageTold,
)
from conductor.domain.failure import Failure, status_failure, words_failure
from conductor.domain.usage import Usage

_STATUS = re.compile(r"(?:unexpected|last) status:? (\d{3})\b")
_RETRYING = re.compile(r"Reconnecting\.\.\.")
_AGAIN_AT = re.compile(
    r"try again at (?:([A-Z][a-z]{2}) (\d{1,2})(?:st|nd|rd|th)?, (\d{4}) )?(\d{1,2}:\d{2} [AP]M)", re.I
)
_NO_MODEL = re.compile(r"^model: \S+$|model.{0,80}(?:does not exist|not found|not supported)", re.IGNORECASE)
_REFUSED = re.compile(
    r"rejected by user|approval policy|blocked by policy|writing outside of the project", re.IGNORECASE
)
_TOOLS = ("command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call")


class CodexReader(JsonLineReader):
    """`now` gives seconds since 1970: limits are told as a local time of day without a zone."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self._last_text = ""
        self._turns = 0

    def on_object(self, told: dict[str, Any]) -> Iterator[AgentEvent]:
        match told.get("type"):
            case "thread.started":
                yield Started(words(told.get("thread_id")))
            case "item.started":
                yield from self._item_started(told["item"])
            case "item.completed":
                yield from self._item_ended(told["item"])
            case "turn.completed":
                self._turns += 1
                yield UsageTold(_usage(told.get("usage") or {}), total=True)
                yield Text(self._last_text, final=True)
                yield End(True, turns=self._turns)
            case "turn.failed":
                yield from self._failed(words((told.get("error") or {}).get("message")))
            case "error":
                yield _noise(words(told.get("message")))
            case kind:
                yield Progress(words(kind)[:80])

    def _item_started(self, item: Mapping[str, Any]) -> Iterator[AgentEvent]:
        if item.get("type") in _TOOLS:
            yield _call(item)
        else:
            yield Progress(words(item.get("type"))[:80])

    def _item_ended(self, item: Mapping[str, Any]) -> Iterator[AgentEvent]:
        match item.get("type"):
            case "agent_message":
                self._last_text = words(item.get("text"))
                yield Text(self._last_text + "\n")
            case "error":
                yield Progress(words(item.get("message"))[:300])  # a warning, whatever it calls it
            case kind if kind in _TOOLS:
                text = _output(item)
                failed = item.get("status") in ("failed", "declined") or item.get("exit_code") not in (0, None)
                denied = item.get("status") == "declined" or (failed and _REFUSED.search(text[:400]) is not None)
                yield ToolResult(words(item.get("id")), not failed, text, denied)
            case kind:
                yield Progress(words(kind)[:80])

    def _failed(self, message: str) -> Iterator[AgentEvent]:
        failure = _class_of(message)
        if failure is Failure.LIMIT:
            yield LimitHit(Limit(reset_time(message, self._now()), said=message[:200]))
        yield Error(message, failure, _status(message), final=True)
        yield End(False, message, failure)


def _noise(message: str) -> AgentEvent:
    """A line of type `error` ends nothing: only `turn.failed` does."""
    if _RETRYING.search(message):
        return Retry(message[:300], _status(message))
    return Error(message, _class_of(message), _status(message))


def _class_of(message: str) -> Failure:
    status = _status(message)
    if status is not None:
        return status_failure(status, message)
    if _NO_MODEL.search(message):
        return Failure.BAD_MODEL
    if "high demand" in message:
        return Failure.OVERLOAD
    if "stream disconnected" in message or "stream closed" in message:
        return Failure.CUT
    return words_failure(message)


def _status(message: str) -> int | None:
    found = _STATUS.search(message)
    return int(found[1]) if found else None


def reset_time(message: str, now: float) -> float | None:
    """Seconds since 1970 of Codex's `try again at 1:00 AM` (the next that comes) or `at Nov 5th, 2026 1:00 AM`, both in
    this machine's zone; None where it says no time."""
    found = _AGAIN_AT.search(message)
    if not found:
        return None
    month, day, year, clock = found.groups()
    try:
        if month:
            return datetime.strptime(f"{month} {day} {year} {clock}", "%b %d %Y %I:%M %p").timestamp()
        today = datetime.fromtimestamp(now)
        hour = datetime.strptime(clock, "%I:%M %p")
    except ValueError:
        return None
    at = today.replace(hour=hour.hour, minute=hour.minute, second=0, microsecond=0)
    return (at if at > today else at + timedelta(days=1)).timestamp()


def _call(item: Mapping[str, Any]) -> ToolCall:
    kind = words(item.get("type"))
    name = f"{words(item.get('server'))}.{words(item.get('tool'))}" if kind == "mcp_tool_call" else kind
    said = next((item[key] for key in ("command", "changes", "arguments", "query", "prompt") if item.get(key)), "")
    return ToolCall(words(item.get("id")), name, words(said))


def _output(item: Mapping[str, Any]) -> str:
    found = next((item[key] for key in ("aggregated_output", "error", "result", "changes") if item.get(key)), "")
    return words(found)


def _usage(told: Mapping[str, Any]) -> Usage:
    """Codex counts what came from the cache, and what went into it, in."""
    cached, written = whole(told.get("cached_input_tokens")), whole(told.get("cache_write_input_tokens"))
    return Usage(
        input=max(0, whole(told.get("input_tokens")) - cached - written),
        cached=cached,
        cache_written=written,
        output=whole(told.get("output_tokens")),
        reasoning=whole(told.get("reasoning_output_tokens")),
    )
