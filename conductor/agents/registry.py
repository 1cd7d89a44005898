"""Which agents there are: a kind is an adapter (`module:attribute`), an agent is a kind as the settings set it up."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from conductor.domain.agent_setup import AgentSetup
from conductor.domain.errors import BadTask

if TYPE_CHECKING:
    from conductor.ports import Agent, AgentRegistry

BUILT_IN = {
    "codex": "conductor.agents.codex:CodexAgent",
    "gemini": "conductor.agents.gemini:GeminiAgent",
    "generic": "conductor.agents.generic:GenericAgent",
    "claude": "conductor.agents.claude:ClaudeAgent",
    "command": "conductor.agents.command:CommandAgent",
    "openclaw": "conductor.agents.openclaw:OpenClawAgent",
    "opencode": "conductor.agents.opencode:OpenCodeAgent",
    "anthropic": "conductor.agents.anthropic_api:AnthropicAgent",
    "chat": "conductor.agents.chat:ChatAgent",
}


def installed_kinds() -> dict[str, str]:
    """Every adapter. Reads package metadata, which takes tens of milliseconds: once, in the daemon."""
    from importlib.metadata import entry_points

    return {**BUILT_IN, **{point.name: point.value for point in entry_points(group="conductor.agents")}}


def make_agent(setup: AgentSetup, kinds: Mapping[str, str]) -> Agent:
    """Loads the adapter of `setup`. Raises BadTask where there is none."""
    if setup.kind not in kinds:
        raise BadTask(f"agent {setup.name!r}: no kind {setup.kind!r}: there is {', '.join(sorted(kinds))}")
    module, _, attribute = kinds[setup.kind].partition(":")
    return cast("Agent", getattr(import_module(module), attribute)(setup))


def registry(setups: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str]) -> AgentRegistry:
    """Loads an agent by name when it is first asked for. A kind that nobody set up is an agent of its own name."""
    loaded: dict[str, Agent] = {}

    def agent(name: str) -> Agent:
        if name not in loaded:
            if name in setups:
                setup = AgentSetup.from_dict(setups[name])
            elif name in kinds:
                setup = AgentSetup(name, name)
            else:
                raise BadTask(f"no agent {name!r} here: there is {', '.join(sorted({*setups, *kinds}))}")
            loaded[name] = make_agent(setup, kinds)
        return loaded[name]

    return agent
