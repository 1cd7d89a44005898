"""Puts an answer together from the events of the Messages API as they stream in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from conductor.agents.loop.exchange import Answer, Stop, ToolUse
from conductor.agents.loop.voice import Voice
from conductor.agents.reading import whole
from conductor.domain.agent_events import UsageTold
from conductor.domain.usage import Usage

_STOPS = {
    "end_turn": Stop.DONE,
    "stop_sequence": Stop.DONE,
    "tool_use": Stop.TOOLS,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.WINDOW,
    "refusal": Stop.REFUSED,
    "pause_turn": Stop.PAUSED,
}
_GROWING = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("partial_json", "json"),
}
"""Type of a delta: (its field, that of the block)."""
_SENT_BACK = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
}


class AnswerSoFar:
    """Tells words and usage as they come. `complete` when the provider said that the answer is whole."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._blocks: dict[int, dict[str, Any]] = {}
        self._parts: dict[tuple[int, str], list[str]] = {}
        self._usage = Usage()
        self._model = ""
        self._stop = ""
        self.begun = self.complete = False

    def take(self, event: Any) -> None:
        """An event of the SDK."""
        match event.type:
            case "message_start":
                self.begun, self._model = True, event.message.model or ""
                self._tell_usage(event.message.usage)
            case "content_block_start":
                self._blocks[event.index] = event.content_block.model_dump(mode="json")
            case "content_block_delta":
                self._grow(event.index, event.delta)
            case "content_block_stop":
                self._voice.flush()
            case "message_delta":
                self._stop = event.delta.stop_reason or self._stop
                self._tell_usage(event.usage)
            case "message_stop":
                self.complete = True

    def answer(self) -> Answer:
        for (index, name), parts in self._parts.items():
            block = self._blocks[index]
            block[name] = str(block.get(name) or "") + "".join(parts)
        uses = tuple(_use(block) for block in self._blocks.values() if block["type"] == "tool_use")
        texts = [block["text"] for block in self._blocks.values() if block["type"] == "text"]
        blocks = tuple(_sent_back(block) for block in self._blocks.values() if not _is_blank(block))
        stop = _STOPS.get(self._stop, Stop.DONE)
        return Answer("\n\n".join(text for text in texts if text.strip()), uses, stop, blocks)

    def _grow(self, index: int, delta: Any) -> None:
        if delta.type not in _GROWING or index not in self._blocks:
            return
        source, target = _GROWING[delta.type]
        piece = getattr(delta, source) or ""
        self._parts.setdefault((index, target), []).append(piece)
        if target == "text":
            self._voice.say(piece)
        else:
            self._voice.live("thinking" if target != "json" else "calling a tool")

    def _tell_usage(self, told: Any) -> None:
        """What is new since it was told last: the provider's numbers are those of the whole answer so far."""
        if told is None:
            return
        details = getattr(told, "output_tokens_details", None)
        usage = Usage(
            whole(told.input_tokens),
            whole(told.cache_read_input_tokens),
            whole(told.cache_creation_input_tokens),
            whole(told.output_tokens),
            whole(getattr(details, "thinking_tokens", None)),
        )
        fresh = usage - self._usage
        self._usage += fresh
        self._voice.tell(UsageTold(fresh, self._model))


def _use(block: Mapping[str, Any]) -> ToolUse:
    return ToolUse(str(block["id"]), str(block["name"]), _input(block))


def _input(block: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """As it was streamed, else as the block began; None where that is no JSON object."""
    text = block.get("json")
    if not text:
        return block.get("input") or {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _sent_back(block: Mapping[str, Any]) -> dict[str, Any]:
    kind = block["type"]
    if kind not in _SENT_BACK:
        return {name: value for name, value in block.items() if value is not None}
    told = {name: block.get(name) for name in _SENT_BACK[kind]}
    if kind == "tool_use":
        told["input"] = _input(block) or {}
    return {"type": kind, **told}


def _is_blank(block: Mapping[str, Any]) -> bool:
    """The API takes no text without words."""
    return bool(block["type"] == "text" and not block["text"].strip())
