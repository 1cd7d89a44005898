"""What providers tell of a call's tokens and its end, in one meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from conductor.domain.usage import Usage


def count(value: object) -> int:
    """A count as somebody else told it: what is no number of at least nothing is nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value < 1e15 else 0


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def messages_usage(told: Mapping[str, Any]) -> Usage:
    """Anthropic Messages: `input_tokens` has nothing of the cache in it."""
    return Usage(
        input=count(told.get("input_tokens")),
        cached=count(told.get("cache_read_input_tokens")),
        cache_written=count(told.get("cache_creation_input_tokens")),
        output=count(told.get("output_tokens")),
        reasoning=count(mapping(told.get("output_tokens_details")).get("thinking_tokens")),
    )


def responses_usage(told: Mapping[str, Any]) -> Usage:
    """OpenAI Responses: `input_tokens` includes what came from the cache."""
    return _inclusive(told, "input_tokens", "output_tokens")


def chat_usage(told: Mapping[str, Any]) -> Usage:
    """Chat Completions: `prompt_tokens` includes what came from the cache."""
    return _inclusive(told, "prompt_tokens", "completion_tokens")


def generate_usage(told: Mapping[str, Any]) -> Usage:
    """Gemini: the prompt includes what came from the cache, thoughts stand beside the candidates."""
    cached, thoughts = count(told.get("cachedContentTokenCount")), count(told.get("thoughtsTokenCount"))
    prompt = count(told.get("promptTokenCount")) + count(told.get("toolUsePromptTokenCount"))
    return Usage(
        input=max(0, prompt - cached),
        cached=cached,
        output=count(told.get("candidatesTokenCount")) + thoughts,
        reasoning=thoughts,
    )


USAGES: Mapping[str, Callable[[Mapping[str, Any]], Usage]] = {
    "messages": messages_usage,
    "responses": responses_usage,
    "chat": chat_usage,
    "generate": generate_usage,
}


def merged(told: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Two tellings of one call, in the provider's own words: counts only grow, and the later one may leave some out."""
    return {**told, **{name: value for name, value in more.items() if value and count(value) >= count(told.get(name))}}


def _inclusive(told: Mapping[str, Any], input_name: str, output_name: str) -> Usage:
    asked, answered = mapping(told.get(f"{input_name}_details")), mapping(told.get(f"{output_name}_details"))
    cached, written = count(asked.get("cached_tokens")), count(asked.get("cache_write_tokens"))
    return Usage(
        input=max(0, count(told.get(input_name)) - cached - written),
        cached=cached,
        cache_written=written,
        output=count(told.get(output_name)),
        reasoning=count(answered.get("reasoning_tokens")),
    )
