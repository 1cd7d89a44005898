"""Reading OpenCode's `run --format json`: one JSON object a line, nothing before a model's first reply."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from conductor.agents.judgement import one_line
from conductor.agents.reading import JsonLineReader, dollars, whole, words
from conductor.domain.agent_events import (
    AgentEvent,
    CostTold,
    Denied,
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

_DENIED = ("specified a rule which prevents you", "rejected permission to use")
_NAMES = {
    "ProviderAuthError": Failure.BAD_KEY,
    "ContextOverflowError": Failure.CONTEXT,
    "MessageAbortedError": Failure.CUT,
    "MessageOutputLengthError": Failure.CONTEXT,
}
_CUT = ("terminated", "socket connection was closed", "connection closed", "premature", "sse read timed out")


class OpenCodeReader(JsonLineReader):
    """Steps, texts, tools and errors come when they are whole; a step tells what it used; there is no result at the
    end: a last step that stops for no tool, and no error after it, is one."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` in seconds since 1970: OpenCode tells waits, a limit has a time."""
        super().__init__()
        self._now = now
        self._session = ""
        self._steps = 0
        self._last = ""
        """Why the last step ended."""
        self._step_texts: list[str] = []
        self._error: Error | None = None

    def on_object(self, told: dict[str, Any]) -> Iterable[AgentEvent]:
        return [*self._on_session(told), *self._on_kind(told.get("type"), told)]

    def _on_session(self, told: dict[str, Any]) -> Iterator[AgentEvent]:
        session = told.get("sessionID")
        if isinstance(session, str) and session != self._session:
            self._session = session
            yield Started(session)

    def _on_kind(self, kind: object, told: dict[str, Any]) -> Iterable[AgentEvent]:
        match kind:
            case "step_start":
                self._steps, self._last, self._step_texts = self._steps + 1, "", []
                return (Progress("step"),)
            case "text":
                return self._on_text(words(told["part"].get("text")))
            case "reasoning":
                return (Progress("thinking"),)
            case "tool_use":
                return self._on_tool(told["part"])
            case "step_finish":
                return self._on_step_finished(told["part"])
            case "error":
                return self._on_error(told["error"])
            case _:
                return ()

    def on_other(self, line: str) -> Iterable[AgentEvent]:
        if "permission requested:" in line and "auto-rejecting" in line:
            return (Denied(one_line(line.partition("permission requested:")[2])[:200]),)
        return ()

    def on_end(self) -> Iterator[AgentEvent]:
        if self._error is not None:
            yield End(False, self._error.message, self._error.failure, self._steps)
        elif self._last and self._last not in ("tool-calls", "unknown"):
            yield from self._finished()

    def _finished(self) -> Iterator[AgentEvent]:
        if self._last in ("length", "content-filter", "error"):
            failure = Failure.CONTEXT if self._last == "length" else Failure.NONE
            yield End(False, f"the last answer ended with {self._last!r}", failure, self._steps)
            return
        yield Text("".join(self._step_texts), final=True)
        yield End(True, turns=self._steps)

    def _on_text(self, text: str) -> Iterable[AgentEvent]:
        self._step_texts.append(text)
        return (Text(text),)

    def _on_tool(self, part: Mapping[str, Any]) -> Iterator[AgentEvent]:
        state, name, call = part["state"], words(part.get("tool")), words(part.get("callID"))
        yield ToolCall(call, name, json.dumps(state.get("input"), ensure_ascii=False))
        if state.get("status") != "error":
            yield ToolResult(call, True, words(state.get("output")))
            return
        said = one_line(words(state.get("error")))
        denied = any(phrase in said for phrase in _DENIED) and "doom_loop" not in said
        yield ToolResult(call, False, f"{name}: {said}", denied)

    def _on_step_finished(self, part: Mapping[str, Any]) -> Iterator[AgentEvent]:
        self._last, self._error = words(part.get("reason")) or "unknown", None
        tokens, cost = part.get("tokens"), part.get("cost")
        if isinstance(tokens, Mapping):
            cache = tokens.get("cache") or {}
            reasoning = whole(tokens.get("reasoning"))
            yield UsageTold(
                Usage(
                    input=whole(tokens.get("input")),
                    cached=whole(cache.get("read")),
                    cache_written=whole(cache.get("write")),
                    output=whole(tokens.get("output")) + reasoning,
                    reasoning=reasoning,
                )
            )
        if usd := dollars(cost):  # 0 is what a model without a price costs: unknown
            yield CostTold(usd)

    def _on_error(self, error: Mapping[str, Any]) -> Iterator[AgentEvent]:
        data = error.get("data") or {}
        message = one_line(words(data.get("message")) or words(error.get("name")))
        status = whole(data.get("statusCode")) or None
        failure = _class_of(words(error.get("name")), status, f"{message} {words(data.get('responseBody'))}")
        if failure is Failure.NETWORK and self._steps and not self._last:
            failure = Failure.CUT  # a step begins with the first piece of an answer
        if failure is Failure.LIMIT:
            yield LimitHit(Limit(self._reset(data.get("responseHeaders")), said=message[:300]))
        self._error = Error(message, failure, status, final=True)
        yield self._error

    def _reset(self, headers: object) -> float | None:
        """When the limit ends, in seconds since 1970; None where no header tells."""
        if not isinstance(headers, Mapping):
            return None
        unified = words(headers.get("anthropic-ratelimit-unified-reset"))
        if unified.isdigit():
            return float(unified)
        after = words(headers.get("retry-after"))
        try:
            return self._now() + float(after) if after else None
        except ValueError:
            return _as_time(after)


def _as_time(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _class_of(name: str, status: int | None, said: str) -> Failure:
    if status is not None:
        return status_failure(status, said)
    if name in _NAMES:
        return _NAMES[name]
    lowered = said.lower()
    if any(phrase in lowered for phrase in _CUT):
        return Failure.CUT
    return words_failure(said)
