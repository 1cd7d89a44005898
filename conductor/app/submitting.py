"""What a task is given before it is accepted: words into a task, and what the settings say where it says nothing.

`submit` runs thousands of times in loops, so this imports little.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from conductor.agents.registry import BUILT_IN, installed_kinds
from conductor.domain.errors import UsageError
from conductor.domain.home import Home
from conductor.domain.task import DEFAULT_POOL, TaskSpec, parse_fallback
from conductor.kit.ids import stamped_id

_TAG = re.compile(r"\s?\[(model|thinking):([^\[\]\s]+)\]")


def described(text: str) -> TaskSpec:
    """A task from plain words, its inline tags taken out."""
    tags = {match[1]: match[2] for match in _TAG.finditer(text)}
    plain = _TAG.sub("", text).strip() if tags else text
    return TaskSpec(id="", description=plain, model=tags.get("model", ""), thinking=tags.get("thinking", ""))


def new_task_id() -> str:
    return stamped_id("t", time.time())


@dataclass(frozen=True)
class Defaults:
    """What the settings say of tasks that say nothing themselves. Unchecked: conductord checks them as it starts."""

    agent: str
    fallback: tuple[str, ...]
    pools: dict[str, str]
    """Agents that are set up, and the pool of each."""
    choose: Callable[[TaskSpec], TaskSpec]
    """Gives an agent and a model to a task that names neither, where the router is asked."""

    @classmethod
    def of(cls, home: Home, settings: Mapping[str, Any]) -> Defaults:
        """`settings`: as `raw_settings` reads them."""
        agents, fallback = settings.get("agents"), settings.get("fallback")
        named = agents.items() if isinstance(agents, dict) else ()
        return cls(
            str(settings.get("agent") or ""),
            tuple(map(str, fallback)) if isinstance(fallback, list) else (),
            {str(name): str(one.get("pool") or "") if isinstance(one, dict) else "" for name, one in named},
            _chooser(home, settings),
        )


def _chooser(home: Home, settings: Mapping[str, Any]) -> Callable[[TaskSpec], TaskSpec]:
    """Asks the router where `routing.submit` is on; it is made when the first task names nobody."""
    routing = settings.get("routing")
    if not isinstance(routing, dict) or not routing.get("submit"):
        return lambda spec: spec

    @cache
    def made() -> Callable[[TaskSpec], TaskSpec]:
        from conductor.app.routing import task_chooser

        return task_chooser(home, os.environ)

    return lambda spec: spec if spec.agent or spec.model else made()(spec)


def with_agent(spec: TaskSpec, defaults: Defaults) -> TaskSpec:
    """`spec` with an agent, that agent's pool and fallbacks. Raises UsageError where there is no such agent."""
    spec = defaults.choose(spec)
    agent = spec.agent or defaults.agent
    if not agent:
        raise UsageError(
            "no agent: say --agent command to run the description as a shell command, or set `agent:` in "
            "conductor.yaml (`conductor init` writes one)"
        )
    for name in (agent, *(parse_fallback(entry)[0] for entry in spec.fallback)):
        if name not in defaults.pools and not _is_agent(name):
            raise UsageError(f"no agent {name!r}: there is {', '.join(sorted({*installed_kinds(), *defaults.pools}))}")
    others = tuple(entry for entry in defaults.fallback if entry != agent) if agent != "command" else ()
    pool = defaults.pools.get(agent, "") if spec.pool == DEFAULT_POOL else ""
    return replace(spec, agent=agent, pool=pool or spec.pool, fallback=spec.fallback or others)


@cache
def _is_agent(name: str) -> bool:
    return name in BUILT_IN or name in installed_kinds()
