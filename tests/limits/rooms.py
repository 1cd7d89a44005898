"""A home with agents, a clock that stands still and as much memory as the test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conductor.domain.agent_setup import AgentSetup, ProviderSetup
from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.domain.task import TaskSpec
from conductor.limits.doorkeeper import Doors, World
from conductor.testing.clock import ManualClock

MIB = 1 << 20
NOON = 1_800_014_400.0
"""2027-01-15 12:00 UTC."""


def provider(name: str, concurrency: int | None = None, account: str = "default") -> ProviderSetup:
    return ProviderSetup(name, "anthropic", "http://127.0.0.1:1", account=account, concurrency=concurrency)


def agents(**concurrency: int | None) -> dict[str, AgentSetup]:
    """claude at anthropic, codex at openai, gemini at gemini, crab at anthropic too, command at nobody."""
    return {
        "claude": AgentSetup("claude", "claude", provider=provider("anthropic", concurrency.get("anthropic"))),
        "crab": AgentSetup("crab", "openclaw", provider=provider("anthropic", concurrency.get("anthropic"))),
        "codex": AgentSetup("codex", "codex", provider=provider("openai", concurrency.get("openai"))),
        "gemini": AgentSetup("gemini", "gemini", provider=provider("gemini", concurrency.get("gemini"))),
        "command": AgentSetup("command", "command"),
    }


def task(agent: str = "claude", number: int = 1, **options: Any) -> TaskSpec:
    return TaskSpec(f"t-{number}", "do it", agent=agent, **options)


class Warnings:
    """A log that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []

    def info(self, action: str, **facts: object) -> None:
        self.told.append((action, facts))

    warning = error = info


@dataclass
class Room:
    """The doors of one home, made anew by `doors()` as by a restart."""

    home: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    available: int | None = None
    dead: set[str] = field(default_factory=set)
    setups: dict[str, AgentSetup] = field(default_factory=agents)
    declared: dict[str, int] = field(default_factory=dict)
    limits: LimitRules = field(default_factory=LimitRules)
    budgets: BudgetRules = field(default_factory=BudgetRules)
    log: Warnings = field(default_factory=Warnings)

    def doors(self) -> Doors:
        world = World(self.clock, lambda worker: worker not in self.dead, lambda: self.available, self.log)
        return Doors(str(self.home), self.setups, self.declared, (self.limits, self.budgets), world)

    def files(self, folder: str) -> list[str]:
        where = self.home / folder
        return sorted(path.name for path in where.iterdir()) if where.exists() else []
