"""A model behind the Anthropic Messages API, asked through the official SDK: the only place that imports it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import anthropic

from conductor.agents.loop.anthropic_answer import AnswerSoFar
from conductor.agents.loop.assignment import Assignment
from conductor.agents.loop.exchange import Answer, Asked, ModelRefused, Turn
from conductor.agents.loop.limits_told import limit_told
from conductor.agents.loop.thinking import request_form
from conductor.agents.loop.tools import Tool
from conductor.agents.loop.voice import Voice
from conductor.domain.agent_events import Retry
from conductor.domain.failure import Failure, status_failure

_CACHED = {"cache_control": {"type": "ephemeral"}}
_CACHED_USER_TURNS = 2
"""The end of what was sent last, to be read, and of what is sent now, to be written."""
_MOST_FORMS = 4
_CONNECT_SECONDS = 15.0
_KINDS = {
    "overloaded_error": Failure.OVERLOAD,
    "api_error": Failure.OVERLOAD,
    "timeout_error": Failure.NETWORK,
    "rate_limit_error": Failure.LIMIT,
    "authentication_error": Failure.BAD_KEY,
    "permission_error": Failure.BAD_KEY,
    "not_found_error": Failure.BAD_MODEL,
    "billing_error": Failure.BUDGET,
}


class AnthropicModel:
    """Retries nothing by itself: what a refusal means is decided by the conversation, the gate and the queue."""

    def __init__(self, assignment: Assignment, system: str, tools: Sequence[Tool]) -> None:
        self._model = assignment.model
        self._extra = dict(assignment.extra)
        self._form = request_form(assignment.model, assignment.thinking, assignment.max_tokens)
        self._system = [{"type": "text", "text": system, **_CACHED}]
        self._tools = _tool_fields(tools)
        self._client = _client(assignment)

    def answer(self, turns: Sequence[Turn], voice: Voice) -> Answer:
        for _ in range(_MOST_FORMS):
            try:
                return self._ask(turns, voice)
            except ModelRefused as refused:
                form = self._form.after(refused) if len(turns) == 1 else None
                if form is None:
                    raise
                voice.tell(Retry(str(refused), refused.status))
                self._form = form
        return self._ask(turns, voice)

    def _ask(self, turns: Sequence[Turn], voice: Voice) -> Answer:
        so_far = AnswerSoFar(voice)
        try:
            for event in self._events(turns):
                so_far.take(event)
        except anthropic.APIError as error:
            raise _refusal(error, begun=so_far.begun) from error
        except Exception as error:  # the SDK lets errors of its HTTP library through, whose name depends on its version
            raise ModelRefused(Failure.CUT, f"the stream broke: {type(error).__name__}: {error}"[:500]) from error
        finally:
            voice.flush()
        if not so_far.complete:
            raise ModelRefused(Failure.CUT, "the stream ended in the middle of the answer")
        return so_far.answer()

    def _events(self, turns: Sequence[Turn]) -> Iterator[Any]:
        fields: dict[str, Any] = {"tools": self._tools} if self._tools else {}
        stream: Any = self._client.messages.create(
            model=self._model,
            max_tokens=self._form.max_tokens,
            system=self._system,  # type: ignore[arg-type]  # plain dicts, as every version of the SDK takes them
            messages=messages_of(turns),
            stream=True,
            extra_headers=self._form.headers,
            extra_body={**self._form.fields, **self._extra},
            **fields,
        )
        with stream:
            yield from stream


def _client(assignment: Assignment) -> anthropic.Anthropic:
    """To a gate on this machine without TLS, whose certificates take 20 ms to load."""
    timeout = anthropic.Timeout(assignment.silence_seconds, connect=_CONNECT_SECONDS)
    plain = assignment.url.startswith("http://")
    return anthropic.Anthropic(
        api_key=assignment.key,
        base_url=assignment.url,
        max_retries=0,
        timeout=timeout,
        http_client=anthropic.DefaultHttpxClient(verify=not plain, timeout=timeout),
    )


def _tool_fields(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    fields = [{"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in tools]
    return [*fields[:-1], {**fields[-1], **_CACHED}] if fields else []


def messages_of(turns: Sequence[Turn]) -> Any:
    """The conversation as the API has it, the ends of its last user turns marked for the cache."""
    messages = [message for message in map(_message, turns) if message["content"]]
    users = [message for message in messages if message["role"] == "user"]
    for message in users[-_CACHED_USER_TURNS:]:
        message["content"][-1].update(_CACHED)
    return messages


def _message(turn: Turn) -> dict[str, Any]:
    if isinstance(turn, Asked):
        return {"role": "user", "content": [{"type": "text", "text": turn.whole}]}
    if isinstance(turn, Answer):
        return {"role": "assistant", "content": list(turn.blocks)}
    results: list[dict[str, Any]] = []
    for outcome in turn.outcomes:
        failed = {} if outcome.ok else {"is_error": True}
        results.append({"type": "tool_result", "tool_use_id": outcome.id, "content": outcome.text, **failed})
    return {"role": "user", "content": results}


def _refusal(error: anthropic.APIError, *, begun: bool) -> ModelRefused:
    told = error.body if isinstance(error.body, Mapping) else {}
    inner = told.get("error")
    details: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    message = str(details.get("message") or error.message)[:1000]
    if not isinstance(error, anthropic.APIStatusError):
        cause = f"{message} {error.__cause__}" if error.__cause__ else message
        return ModelRefused(Failure.CUT if begun else Failure.NETWORK, cause.strip())
    status = error.status_code
    kind = _KINDS.get(str(details.get("type", "")))
    failure = status_failure(status, message) if status >= 400 else kind or status_failure(400, message)
    if failure is not Failure.LIMIT:
        return ModelRefused(failure or Failure.OVERLOAD, f"HTTP {status}: {message}", status=status)
    now = time.time()
    limit = limit_told({name.lower(): value for name, value in error.response.headers.items()}, message, now)
    wait = None if limit.resets_at is None else max(0.0, limit.resets_at - now)
    return ModelRefused(failure, f"HTTP {status}: {message}", status=status, limit=limit, wait_seconds=wait)
