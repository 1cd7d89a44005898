"""Puts an answer together from the chunks of a Chat Completions stream, as many servers write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from conductor.agents.loop.exchange import Answer, Stop, ToolUse
from conductor.agents.loop.voice import Voice
from conductor.agents.reading import whole, words
from conductor.domain.agent_events import UsageTold
from conductor.domain.usage import Usage

_STOPS = {"length": Stop.LENGTH, "content_filter": Stop.REFUSED}
_REASONING = ("reasoning_content", "reasoning")
"""How servers call what a model thinks; it is not sent back."""


class ChatSoFar:
    """Tells words as they come. `complete` when the server gave a reason for the end. `number`: of the answer, for
    calls that come without an id."""

    def __init__(self, voice: Voice, number: int) -> None:
        self._voice = voice
        self._number = number
        self._text: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._finish = ""
        self._usage: Usage | None = None
        self._model = ""

    @property
    def complete(self) -> bool:
        return bool(self._finish)

    def take(self, told: Mapping[str, Any]) -> None:
        """A chunk, or a whole answer. Raises ValueError where it is neither."""
        self._model = words(told.get("model")) or self._model
        if isinstance(told.get("usage"), dict):
            self._usage = usage_of(told["usage"])
        choices = told.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        delta = choices[0].get("delta") or choices[0].get("message") or {}
        if not isinstance(delta, dict):
            raise ValueError("a choice in an unknown form")
        self._finish = words(choices[0].get("finish_reason")) or self._finish
        self._take_delta(delta)

    def _take_delta(self, delta: Mapping[str, Any]) -> None:
        if any(delta.get(name) for name in _REASONING):
            self._voice.live("thinking")
        text = _text(delta.get("content"))
        if text:
            self._text.append(text)
            self._voice.say(text)
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                self._take_call(call, place)

    def _take_call(self, told: Mapping[str, Any], place: int) -> None:
        """A part of a call; those that belong together have one index."""
        index = told.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else place, {"id": "", "name": "", "input": ""})
        function = told.get("function")
        call["id"] = call["id"] or words(told.get("id"))
        if isinstance(function, dict):
            call["name"] = call["name"] or words(function.get("name"))
            call["input"] += words(function.get("arguments"))
        self._voice.live("calling a tool")

    def tell_usage(self) -> None:
        """Nothing where the server told nothing: unknown is not none."""
        if self._usage is not None:
            self._voice.tell(UsageTold(self._usage, self._model))
            self._usage = None

    def answer(self) -> Answer:
        text = "".join(self._text)
        calls = [{**call, "id": call["id"] or f"call_{self._number}_{at}"} for at, call in sorted(self._calls.items())]
        uses = tuple(ToolUse(call["id"], call["name"], _input(call["input"])) for call in calls)
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [_sent_back(call, use) for call, use in zip(calls, uses, strict=True)]
        default = Stop.TOOLS if uses else Stop.DONE
        return Answer(text, uses, _STOPS.get(self._finish, default), (message,))


def _sent_back(call: Mapping[str, str], use: ToolUse) -> dict[str, Any]:
    """Servers read the arguments: where they broke off, none are sent back."""
    arguments = "{}" if use.input is None else call["input"] or "{}"
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _text(content: object) -> str:
    """Some servers send parts."""
    if isinstance(content, list):
        return "".join(words(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _input(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def usage_of(told: Mapping[str, Any]) -> Usage:
    """The provider counts what came from its cache into the input; ours never."""
    cached = whole(_inner(told, "prompt_tokens_details").get("cached_tokens"))
    return Usage(
        input=max(0, whole(told.get("prompt_tokens")) - cached),
        cached=cached,
        output=whole(told.get("completion_tokens")),
        reasoning=whole(_inner(told, "completion_tokens_details").get("reasoning_tokens")),
    )


def _inner(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}
