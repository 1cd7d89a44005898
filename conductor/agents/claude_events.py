"""Claude Code's stream: `system`, `stream_event`, `assistant`, `user`, `rate_limit_event` and one `result` a line."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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
    Retry,
    Started,
    Text,
    ToolCall,
    ToolResult,
    UsageTold,
)
from conductor.domain.failure import Failure, status_failure, words_failure
from conductor.domain.usage import Usage

_MADE_UP = "<synthetic>"
"""The model of a message that Claude Code wrote itself, about an error."""

_REFUSED = re.compile(
    r"requires approval|haven't granted it yet|permission to use .{1,80} has been denied|was blocked\. for security"
    r"|permission .{0,40}denied by",
    re.IGNORECASE | re.DOTALL,
)
_CUT = re.compile(r"API Error: (?:connection closed|stream ended|.{0,40}incomplete response)", re.IGNORECASE)
_SIGN = 400
"""Characters at the beginning of a tool's result in which a refusal is looked for."""

_ERRORS = {
    "authentication_failed": Failure.BAD_KEY,
    "oauth_org_not_allowed": Failure.BAD_KEY,
    "billing_error": Failure.BAD_KEY,
    "rate_limit": Failure.LIMIT,
    "overloaded": Failure.OVERLOAD,
    "model_not_found": Failure.BAD_MODEL,
    "invalid_request": Failure.BAD_REQUEST,
    "max_output_tokens": Failure.CONTEXT,
    "server_error": Failure.OVERLOAD,
}
_SUBTYPES = {"error_max_budget_usd": Failure.BUDGET, "error_max_turns": Failure.BUDGET}
_BROKEN_OFF = ("max_tokens", "model_context_window_exceeded")
_CHATTER = ("status", "thinking_tokens")
_MOST_MESSAGES = 64
"""Messages whose usage is remembered: one is told again with each of its blocks."""


_PIECE = b'{"type":"stream_event","event":{"type":"content_block_delta",'


class ClaudeReader(JsonLineReader):
    """Usage is told call by call as it comes, and as a total at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._told: OrderedDict[str, Usage] = OrderedDict()
        self._message = ""
        self._refused: set[str] = set()
        self._limited = False

    def telling(self, block: bytes) -> Iterable[bytes]:
        """Pieces of an answer come whole in the `assistant` line after them."""
        return [line for line in block.split(b"\n") if not line.startswith(_PIECE)]

    def on_object(self, told: dict[str, Any]) -> Iterator[AgentEvent]:
        match told.get("type"):
            case "system":
                yield from self._system(told)
            case "stream_event":
                yield from self._part(told["event"])
            case "assistant":
                yield from self._assistant(told)
            case "user":
                yield from self._results(told)
            case "rate_limit_event":
                yield from self._limit(told["rate_limit_info"])
            case "result":
                yield from self._result(told)
            case kind:
                yield Progress(words(kind)[:80])

    def _system(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        subtype = told.get("subtype")
        if subtype == "init":
            yield Started(
                words(told.get("session_id")), words(told.get("model")), words(told.get("claude_code_version"))
            )
        elif subtype == "api_retry":
            delay = told.get("retry_delay_ms")
            yield Retry(
                words(told.get("error")), _status(told.get("error_status")), whole(delay) / 1000 if delay else None
            )
        elif subtype not in _CHATTER:
            yield Progress(words(subtype)[:80])

    def _part(self, event: Mapping[str, Any]) -> Iterator[AgentEvent]:
        kind = event.get("type")
        if kind == "message_start":
            message = event["message"]
            self._message = words(message.get("id"))
            yield from self._spent(self._message, message.get("usage"), words(message.get("model")))
        elif kind == "message_delta":
            yield from self._spent(self._message, event.get("usage"), "")
        elif kind == "content_block_start":
            yield Progress(words(event["content_block"].get("type")))

    def _assistant(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        message = told["message"]
        blocks = message.get("content") or ()
        model = words(message.get("model"))
        if model == _MADE_UP:
            said = " ".join(words(block.get("text")) for block in blocks)
            if told.get("error"):
                yield Error(said, _class_of(words(told.get("error")), None, said))
            return
        yield from self._spent(words(message.get("id")), message.get("usage"), model)
        for block in blocks:
            if block.get("type") == "text" and not told.get("parent_tool_use_id"):
                yield Text(words(block.get("text")))
            elif block.get("type") == "tool_use":
                yield ToolCall(words(block.get("id")), words(block.get("name")), words(block.get("input")))

    def _results(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        content = told["message"].get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") != "tool_result":
                continue
            name, text = words(block.get("tool_use_id")), _text_of(block.get("content"))
            failed = bool(block.get("is_error"))
            denied = failed and _REFUSED.search(text[:_SIGN]) is not None
            if denied:
                self._refused.add(name)
            yield ToolResult(name, not failed, text, denied)

    def _limit(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        status = told.get("status")
        resets = told.get("resetsAt")
        limit = Limit(
            float(resets) if isinstance(resets, int | float) and resets > 0 else None, words(told.get("rateLimitType"))
        )
        if status == "rejected" and not told.get("isUsingOverage"):
            self._limited = True
            yield LimitHit(limit)
        elif status == "allowed_warning":
            yield LimitHit(limit, rejected=False)
        else:
            yield Progress("limit")

    def _result(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        for denial in told.get("permission_denials") or ():
            if denial.get("tool_use_id") not in self._refused:
                yield Denied(f"{words(denial.get('tool_name'))}: {words(denial.get('tool_input'))}"[:200])
        yield UsageTold(_total(told), total=True)
        usd = dollars(told.get("total_cost_usd"))
        if usd is not None:
            yield CostTold(usd, total=True)
        turns = told.get("num_turns")
        end = _end(told)
        if not told.get("is_error"):
            yield Text(words(told.get("result")), final=True)
        elif end.failure is Failure.LIMIT and not self._limited:
            yield LimitHit(Limit(said=end.reason[:200]))
        yield End(end.succeeded, end.reason, end.failure, turns if isinstance(turns, int) else None)

    def _spent(self, message: str, usage: object, model: str) -> Iterator[AgentEvent]:
        """What `message` cost on top of what was told of it before."""
        if not isinstance(usage, Mapping) or model == _MADE_UP:
            return
        before = self._told.get(message, Usage())
        more = _usage(usage) - before
        if more.total:
            self._told[message] = before + more
            if len(self._told) > _MOST_MESSAGES:
                self._told.popitem(last=False)
            yield UsageTold(more, model)


def _end(told: Mapping[str, Any]) -> End:
    """Claude Code calls an error of the API a success with `is_error`."""
    subtype, stopped = words(told.get("subtype")), told.get("stop_reason")
    if subtype == "success" and not told.get("is_error"):
        if stopped in _BROKEN_OFF:
            return End(False, f"the answer broke off: {stopped}", Failure.CONTEXT)
        return End(True)
    said = words(told.get("result")) or "; ".join(words(error) for error in told.get("errors") or ()) or subtype
    failure = _SUBTYPES.get(subtype) or _class_of(subtype, _status(told.get("api_error_status")), said)
    return End(False, said, failure)


def _class_of(word: str, status: int | None, said: str) -> Failure:
    """The status is the best evidence, then the words, for `server_error` is also said of a refused connection."""
    if status is not None:
        return status_failure(status, said)
    if _CUT.search(said):
        return Failure.CUT
    return words_failure(said) or _ERRORS.get(word, Failure.NONE)


def _status(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text_of(content: object) -> str:
    """A tool's result: text, or blocks of which some are text."""
    if isinstance(content, list):
        return "\n".join(words(block.get("text")) for block in content if isinstance(block, Mapping))
    return words(content)


def _usage(told: Mapping[str, Any]) -> Usage:
    return Usage(
        input=whole(told.get("input_tokens")),
        cached=whole(told.get("cache_read_input_tokens")),
        cache_written=whole(told.get("cache_creation_input_tokens")),
        output=whole(told.get("output_tokens")),
    )


def _total(told: Mapping[str, Any]) -> Usage:
    """Of the whole session: the fuller of the sum over models (side calls counted in) and the plain figure."""
    by_model = Usage()
    for one in (told.get("modelUsage") or {}).values():
        by_model += Usage(
            input=whole(one.get("inputTokens")),
            cached=whole(one.get("cacheReadInputTokens")),
            cache_written=whole(one.get("cacheCreationInputTokens")),
            output=whole(one.get("outputTokens")),
        )
    plain = _usage(told.get("usage") or {})
    return by_model if by_model.total >= plain.total else plain
