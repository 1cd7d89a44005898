"""A model behind any endpoint that speaks OpenAI's Chat Completions, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conductor.agents.loop.assignment import Assignment
from conductor.agents.loop.chat_answer import ChatSoFar
from conductor.agents.loop.exchange import Answer, Asked, ModelRefused, Turn
from conductor.agents.loop.limits_told import limit_told
from conductor.agents.loop.tools import Tool
from conductor.agents.loop.voice import Voice
from conductor.domain.agent_events import Retry
from conductor.domain.failure import Failure, status_failure, words_failure

_EFFORTS = {"off": "none", "adaptive": "", "max": "xhigh"}
"""Where our word is not OpenAI's."""
_MOST_FORMS = 3
_LONGEST_LINE = 8 * 1_048_576
_LONGEST_REFUSAL = 65_536


@dataclass(frozen=True, slots=True)
class ChatForm:
    """What of a request depends on the server: older and newer ones refuse what the others want."""

    asks_usage: bool = True
    length_field: str = "max_tokens"

    def after(self, refused: ModelRefused) -> ChatForm | None:
        """What to try when a server does not take this one; None: it was refused for something else."""
        message = str(refused)
        if refused.failure is not Failure.BAD_REQUEST:
            return None
        if self.asks_usage and ("stream_options" in message or "include_usage" in message):
            return replace(self, asks_usage=False)
        if self.length_field == "max_tokens" and "max_completion_tokens" in message:
            return replace(self, length_field="max_completion_tokens")
        return None


class ChatModel:
    def __init__(self, assignment: Assignment, system: str, tools: Sequence[Tool]) -> None:
        self._assignment = assignment
        self._system = {"role": "system", "content": system}
        self._tools = [{"type": "function", "function": _function(tool)} for tool in tools]
        self._form = ChatForm()
        self._opener = urllib.request.build_opener(_NoRedirect())

    def answer(self, turns: Sequence[Turn], voice: Voice) -> Answer:
        for _ in range(_MOST_FORMS):
            try:
                return self._ask(turns, voice)
            except ModelRefused as refused:
                form = self._form.after(refused)
                if form is None:
                    raise
                voice.tell(Retry(str(refused), refused.status))
                self._form = form
        return self._ask(turns, voice)

    def _ask(self, turns: Sequence[Turn], voice: Voice) -> Answer:
        so_far = ChatSoFar(voice, len(turns))
        response = self._open(turns)
        try:
            with response:
                for told in _chunks(response):
                    _raise_told_error(told)
                    so_far.take(told)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ModelRefused(Failure.CUT, f"the stream broke: {type(error).__name__}: {error}"[:500]) from error
        finally:
            voice.flush()
            so_far.tell_usage()
        if not so_far.complete:
            raise ModelRefused(Failure.CUT, "the stream ended in the middle of the answer")
        return so_far.answer()

    def _open(self, turns: Sequence[Turn]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the settings take http:// and https:// alone
            self._assignment.url + self._assignment.path, json.dumps(self._body(turns)).encode(), method="POST"
        )
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "text/event-stream")
        request.add_header("User-Agent", "conductor")
        if self._assignment.key:
            request.add_unredirected_header("Authorization", f"Bearer {self._assignment.key}")
        try:
            return self._opener.open(request, timeout=self._assignment.silence_seconds)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", None) or error
            raise ModelRefused(Failure.NETWORK, f"no answer from {self._assignment.url}: {cause}"[:500]) from error

    def _body(self, turns: Sequence[Turn]) -> dict[str, Any]:
        one = self._assignment
        body: dict[str, Any] = {"model": one.model, "stream": True}
        body["messages"] = [self._system, *(message for turn in turns for message in messages_of(turn))]
        if self._tools:
            body["tools"] = self._tools
        if self._form.asks_usage:
            body["stream_options"] = {"include_usage": True}
        if one.max_tokens:
            body[self._form.length_field] = one.max_tokens
        effort = _EFFORTS.get(one.thinking, one.thinking)
        if effort:
            body["reasoning_effort"] = effort
        return {**body, **one.extra}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A question is not sent on to where an answer points: urllib would make a GET of it."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _function(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.schema}


def messages_of(turn: Turn) -> list[dict[str, Any]]:
    if isinstance(turn, Asked):
        return [{"role": "user", "content": turn.whole}]
    if isinstance(turn, Answer):
        return [dict(block) for block in turn.blocks]
    return [{"role": "tool", "tool_call_id": outcome.id, "content": outcome.text} for outcome in turn.outcomes]


def _chunks(response: Any) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of events, or the one of a server that does not stream."""
    if "json" in response.headers.get("Content-Type", ""):
        found = json.loads(response.read(_LONGEST_LINE))
        if isinstance(found, dict):
            yield found
        return
    while line := response.readline(_LONGEST_LINE):
        field, _, value = line.strip().partition(b":")
        value = value.strip()
        if field != b"data" or not value:
            continue
        if value == b"[DONE]":
            return
        found = json.loads(value)
        if isinstance(found, dict):
            yield found


def _raise_told_error(told: Mapping[str, Any]) -> None:
    """A server that has begun to answer can only say so in the stream."""
    error = told.get("error")
    if not error:
        return
    details = error if isinstance(error, dict) else {"message": str(error)}
    code, message = details.get("code"), str(details.get("message") or details)[:1000]
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    failure = (status_failure(status, message) if status else words_failure(message)) or Failure.OVERLOAD
    raise ModelRefused(failure, message, status=status)


def _refusal(error: urllib.error.HTTPError) -> ModelRefused:
    message = _message(error)
    failure = status_failure(error.code, message) or Failure.NETWORK
    told = f"HTTP {error.code}: {message}"
    if failure is not Failure.LIMIT:
        return ModelRefused(failure, told, status=error.code)
    now = time.time()
    limit = limit_told({name.lower(): value for name, value in error.headers.items()}, message, now)
    wait = None if limit.resets_at is None else max(0.0, limit.resets_at - now)
    return ModelRefused(failure, told, status=error.code, limit=limit, wait_seconds=wait)


def _message(error: urllib.error.HTTPError) -> str:
    try:
        text = error.read(_LONGEST_REFUSAL).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return str(error.reason)
    try:
        told = json.loads(text)
    except ValueError:
        return text[:500]
    inner = told.get("error", told) if isinstance(told, dict) else told
    message = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
    return str(message or text)[:1000]
