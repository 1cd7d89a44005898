"""Reading OpenClaw: its log lines while it works, and the one JSON object with which `agent exec --json` ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
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
    Retry,
    Started,
    Text,
    ToolCall,
    ToolResult,
    UsageTold,
)
from conductor.domain.failure import Failure, status_failure, words_failure
from conductor.domain.usage import Usage

_LONGEST_RESULT = 16 * 1_048_576
_MOST_TOOL_CALLS = 1000

_RETRY = re.compile(r"transient same-model retry .* reason=(\w+): delayMs=(\d+)")
_GIVEN_UP = re.compile(r"decision=candidate_failed .*?reason=(\w+)(?:.*? detail=(.*))?")
_TOOL_FAILED = re.compile(r"\[tools\] (\S+) failed: (.*?)(?: raw_params=.*)?$")
_RETRY_AFTER = re.compile(r"Retry-After: (\d+(?:\.\d+)?) seconds")
_BAD_CONFIG = re.compile("^Invalid thinking level|[Ii]nvalid config|[Cc]onfig .*(invalid|not found)|^Unknown model")
_STATUS = re.compile(r"HTTP (\d{3})")
_REFUSED = re.compile("escapes (sandbox root|workspace)|outside the workspace|not allowed|denied|blocked")

_REASONS = {
    "auth": Failure.BAD_KEY,
    "auth_permanent": Failure.BAD_KEY,
    "billing": Failure.BUDGET,
    "rate_limit": Failure.LIMIT,
    "overloaded": Failure.OVERLOAD,
    "server_error": Failure.OVERLOAD,
    "timeout": Failure.NETWORK,
    "format": Failure.BAD_REQUEST,
    "model_not_found": Failure.BAD_MODEL,
    "context_overflow": Failure.CONTEXT,
}


class OpenClawReader(JsonLineReader):
    """Its log (standard error, joined to its standard output) tells why a model call failed, better than its result
    does; its result comes last, indented over many lines, and tells answer, usage, cost and tools."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` in seconds since 1970: OpenClaw tells waits, a limit has a time."""
        super().__init__()
        self._now = now
        self._result: list[str] = []
        self._length = 0
        self._why = Failure.NONE
        self._detail = ""
        self._refusals: dict[str, str] = {}

    def on_object(self, told: dict[str, Any]) -> Iterable[AgentEvent]:
        return self._on_result(told) if "status" in told and "ok" in told else ()

    def on_other(self, line: str) -> Iterable[AgentEvent]:
        if self._result or line == "{":
            return self._on_part_of_result(line)
        return self._on_log(line)

    def _on_part_of_result(self, line: str) -> Iterable[AgentEvent]:
        self._result.append(line)
        self._length += len(line)
        if line == "}":
            try:
                told = json.loads("\n".join(self._result))
            except (ValueError, RecursionError):
                told = None
            if isinstance(told, dict):
                self._forget_result()
                return self.on_object(told)
        if self._length > _LONGEST_RESULT:
            self._forget_result()
            return (Error(f"a result of more than {_LONGEST_RESULT} characters left out"),)
        return ()

    def _forget_result(self) -> None:
        self._result, self._length = [], 0

    def _on_log(self, line: str) -> Iterator[AgentEvent]:
        if found := _RETRY.search(line):
            yield Retry(found[1], wait_seconds=int(found[2]) / 1000)
        elif found := _GIVEN_UP.search(line):
            yield from self._on_given_up(found[1], found[2] or "")
        elif found := _TOOL_FAILED.search(line):
            if _REFUSED.search(found[2]):
                self._refusals[found[1]] = one_line(found[2])[:300]
            yield ToolResult("", ok=False, text=f"{found[1]}: {found[2]}")
        elif "embedded run timeout" in line:
            self._why = Failure.TIMEOUT

    def _on_given_up(self, reason: str, detail: str) -> Iterator[AgentEvent]:
        self._detail = one_line(detail)
        self._why = _class_of(reason, detail)
        if self._why is Failure.LIMIT:
            after = _RETRY_AFTER.search(detail)
            yield LimitHit(Limit(self._now() + float(after[1]) if after else None, reason, self._detail[:300]))
        yield Error(self._detail or reason, self._why, final=True)

    def _on_result(self, told: dict[str, Any]) -> Iterator[AgentEvent]:
        yield Started(words(told.get("sessionId")), words(told.get("model")))
        yield from self._on_spent(told)
        yield from self._on_tools(told.get("toolSummary") or {})
        if told["ok"] is True:
            yield Text(words(told.get("final")), final=True)
            yield End(True, turns=whole(told.get("assistantTurns")) or None)
            return
        said = words((told.get("error") or {}).get("message"))
        turns = whole(told.get("assistantTurns")) or None
        yield End(False, self._reason(said), self._failure(told["status"], said), turns)

    def _on_spent(self, told: dict[str, Any]) -> Iterator[AgentEvent]:
        usage, cost = told.get("usage"), told.get("costUsd")
        if isinstance(usage, dict):
            spent = Usage(
                input=whole(usage.get("input")),
                cached=whole(usage.get("cacheRead")),
                cache_written=whole(usage.get("cacheWrite")),
                output=whole(usage.get("output")),
            )
            yield UsageTold(spent, total=True)
        if usd := dollars(cost):  # 0 is what a model without a price costs: unknown
            yield CostTold(usd, total=True)

    def _on_tools(self, summary: dict[str, Any]) -> Iterator[AgentEvent]:
        names = ", ".join(words(name) for name in summary.get("tools") or ())
        for number in range(min(whole(summary.get("calls")), _MOST_TOOL_CALLS)):
            yield ToolCall(str(number + 1), names)
        unresolved = (summary.get("unresolvedError") or {}).get("toolName")
        if unresolved in self._refusals:
            yield Denied(f"{unresolved}: {self._refusals[unresolved]}")

    def _reason(self, said: str) -> str:
        """Its own words hide what the provider said: that is added."""
        said = said.lstrip("⚠️ ")
        return f"{said} [{self._detail[:200]}]" if self._detail and self._detail not in said else said

    def _failure(self, status: object, said: str) -> Failure:
        if self._why:
            return self._why
        if found := _STATUS.search(said):
            return status_failure(int(found[1]), said)
        if _BAD_CONFIG.search(said):
            return Failure.BAD_CONFIG
        if "temporarily disabled after a" in said:
            return Failure.BAD_KEY
        if "malformed" in said:
            return Failure.CUT
        return words_failure(said) or (Failure.TIMEOUT if status == "timeout" else Failure.NONE)


def _class_of(reason: str, detail: str) -> Failure:
    """OpenClaw calls everything that broke off a timeout."""
    if reason == "timeout" and detail.strip() in ("terminated", "aborted", "premature close"):
        return Failure.CUT
    if reason in ("format", "billing"):
        return words_failure(detail) or _REASONS[reason]
    return _REASONS.get(reason) or words_failure(detail)
