"""Which agents there are: name to `module:attribute`, from the entry point group `conductor.agents`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from conductor.domain.errors import BadTask

if TYPE_CHECKING:
    from conductor.ports import Agent

BUILT_IN = {"command": "conductor.agents.command:CommandAgent"}


def installed_agents() -> dict[str, str]:
    """Every registered agent. Reads package metadata, which takes tens of milliseconds: once, in the daemon."""
    from importlib.metadata import entry_points

    return {**BUILT_IN, **{point.name: point.value for point in entry_points(group="conductor.agents")}}


def registry(targets: Mapping[str, str]) -> Callable[[str], Agent]:
    """Loads an agent by name when it is first asked for."""
    loaded: dict[str, Agent] = {}

    def agent(name: str) -> Agent:
        if name not in loaded:
            if name not in targets:
                raise BadTask(f"no agent {name!r} here: there is {', '.join(sorted(targets))}")
            module, _, attribute = targets[name].partition(":")
            loaded[name] = cast("Agent", getattr(import_module(module), attribute)())
        return loaded[name]

    return agent
