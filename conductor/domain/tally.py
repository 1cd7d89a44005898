"""All that was told while an agent ran, added up: what its end is judged by."""

from __future__ import annotations

from collections import deque

from conductor.domain.agent_events import (
    AgentEvent,
    Call,
    CostTold,
    Denied,
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
from conductor.domain.usage import Usage

_LONGEST_TEXT = 1_048_576
_MOST_KEPT = 100
"""Errors and refusals: an agent in a loop may tell as many as it likes."""


class Tally:
    """Takes events in their order. Numbers that are told as totals and as additions are kept apart until they are
    asked for."""

    def __init__(self) -> None:
        self.session = self.model = self.version = ""
        self.turns: int | None = None
        self.tools = 0
        self.denials: deque[str] = deque(maxlen=_MOST_KEPT)
        """The last."""
        self.denied = 0
        self.retries = 0
        self.end: End | None = None
        self.limit: Limit | None = None
        """The last refusal that no success followed."""
        self._limit_is_exact = False
        """Told by the provider itself: the agent's own words are less exact, or do not say until when."""
        self.errors: deque[Error] = deque(maxlen=_MOST_KEPT)
        """The last."""
        self.failed = 0
        """Errors told in all."""
        self.calls = 0
        self.last_call: Call | None = None
        self.failed_calls = 0
        """In a row, up to now; one that the agent itself left did not fail."""
        self._final: str | None = None
        self._parts: list[str] = []
        self._length = 0
        self._added = Usage()
        self._total: Usage | None = None
        self._told = False
        self._by_gate = Usage()
        self._gate_told = False
        self._usd: float | None = None

    def take(self, event: AgentEvent) -> None:
        match event:
            case Started():
                self.session, self.model = event.session or self.session, event.model or self.model
                self.version = event.version or self.version
            case Text():
                self._take_text(event)
            case ToolCall():
                self.tools += 1
            case ToolResult():
                if event.denied:
                    self._take_denial(event.text[:200] or event.id)
            case Denied():
                self._take_denial(event.what)
            case Retry():
                self.retries += 1
            case LimitHit() if event.rejected and not self._limit_is_exact:
                if self.limit is None or event.limit.resets_at is not None:
                    self.limit = event.limit
            case UsageTold():
                self._take_usage(event)
            case CostTold():
                self._usd = event.usd if event.total else (self._usd or 0.0) + event.usd
            case Error():
                self.errors.append(event)
                self.failed += 1
            case End():
                self.end = event
                self.turns = event.turns if event.turns is not None else self.turns
            case Call():
                self._take_call(event)
            case Progress() | LimitHit():
                pass

    def _take_denial(self, what: str) -> None:
        self.denials.append(what)
        self.denied += 1

    def _take_text(self, event: Text) -> None:
        if event.final:
            self._final = event.text
        elif self._length < _LONGEST_TEXT:
            self._parts.append(event.text)
            self._length += len(event.text)

    def _take_usage(self, event: UsageTold) -> None:
        self._told = True
        self.model = event.model or self.model
        if event.total:
            self._total = event.usage
        else:
            self._added += event.usage

    def _take_call(self, call: Call) -> None:
        self.calls += 1
        gave_up = call.left and (call.status is None or call.status < 400)
        if not gave_up or not self.failed_calls:
            self.last_call = call
        self.model = self.model or call.model
        if call.usage is not None:
            self._gate_told = True
            self._by_gate += call.usage
        if call.status is not None and call.status < 400 and call.complete:
            self.failed_calls, self.limit, self._limit_is_exact = 0, None, False
        elif not gave_up:
            self.failed_calls += 1
            if call.limit is not None:
                self.limit, self._limit_is_exact = call.limit, call.limit.resets_at is not None

    @property
    def text(self) -> str:
        """The answer: the final text, else all that was said."""
        return self._final if self._final is not None else "".join(self._parts)

    @property
    def usage(self) -> Usage | None:
        """The fullest of what agent and gate told; None: nobody told anything."""
        own = self._own_usage
        if not self._told and not self._gate_told:
            return None
        return own if self._told and own.total >= self._by_gate.total else self._by_gate

    @property
    def _own_usage(self) -> Usage:
        return self._total if self._total is not None else self._added

    @property
    def usd(self) -> float | None:
        """As the agent told it; None: it told nothing. A cost of nothing for no tokens is what some agents tell
        after an error of the API, whatever the calls before it cost."""
        return None if self._usd == 0 and not self._own_usage.total else self._usd
