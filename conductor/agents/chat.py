"""The agent `chat`: any endpoint that speaks OpenAI's Chat Completions (OpenRouter, Ollama, vLLM, Perplexity), with
tools of our own."""

from __future__ import annotations

from typing import Any

from conductor.agents.loop.adapter import LoopAgent
from conductor.domain.agent_setup import THINKING_LEVELS
from conductor.ports import Abilities

_BY_PROVIDER: dict[str, dict[str, Any]] = {"perplexity": {"tools": False, "path": "/chat/completions"}}
"""What differs unless the settings say otherwise: Perplexity has no `/v1` in its path and refuses tools."""


class ChatAgent(LoopAgent):
    protocol = "chat"
    abilities = Abilities(
        stream=True,
        usage=True,
        limits=True,
        forms=("openai",),
        thinking=THINKING_LEVELS,
        memory_bytes=16 * 1_048_576,
        preload=("conductor.agents.loop.main", "conductor.agents.loop.chat_model"),
    )

    def _options(self) -> dict[str, Any]:
        provider = self.setup.provider.name if self.setup.provider else ""
        return {**_BY_PROVIDER.get(provider, {}), **super()._options()}
