"""The agent `anthropic`: the Anthropic API through its official SDK, with tools of our own."""

from __future__ import annotations

from conductor.agents.loop.adapter import LoopAgent
from conductor.domain.agent_setup import THINKING_LEVELS
from conductor.ports import Abilities


class AnthropicAgent(LoopAgent):
    protocol = "anthropic"
    default_model = "claude-sonnet-5"
    default_window = 200_000
    abilities = Abilities(
        stream=True,
        usage=True,
        limits=True,
        forms=("anthropic",),
        thinking=THINKING_LEVELS,
        memory_bytes=16 * 1_048_576,
        preload=("conductor.agents.loop.main", "conductor.agents.loop.warm"),
    )
