"""The agent `anthropic` as its tests run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conductor.agents.anthropic_api import AnthropicAgent
from conductor.ports import Endpoint, Prompt
from tests.agents.loop_runs import LoopNursery, Ran
from tests.agents.prompts import prompt_in, setup
from tests.agents.provider import Provider


def agent(**options: Any) -> AnthropicAgent:
    return AnthropicAgent(setup("anthropic", model="claude-sonnet-4-5", options=options))


def asking(folder: Path, url: str, words: str = "do it", **more: Any) -> Prompt:
    return prompt_in(folder, words, **{"endpoint": Endpoint(url, "sk-test-1234567890"), **more})


def run(nursery: LoopNursery, folder: Path, at: Provider, options: dict[str, Any] | None = None, **more: Any) -> Ran:
    return nursery.run(agent(**(options or {})), asking(folder, at.url, **more))


def results_in(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool results of the last message."""
    return [block for block in asked["messages"][-1]["content"] if block["type"] == "tool_result"]
