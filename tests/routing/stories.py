"""Registries, agents and clocks for the tests of routing."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from conductor.domain.plan import Step
from conductor.ports.orchestration import Choice
from conductor.routing.learning import Memory
from conductor.routing.ranking import Standing
from conductor.routing.registry import Capability, Cost, CostType, Model, Registry
from conductor.routing.router import RegistryRouter, World

API = "api-development"
FREE, PAID = Cost(CostType.FREE), Cost(CostType.PAY_PER_USE)
NOW = 1_800_000_000.0


def model(agent: str, name: str = "", rating: float = 3, most: int = 5, cost: Cost = PAID, **more: Any) -> Model:
    return Model(agent, name, cost, more.pop("capabilities", {}), Capability(rating, most), **more)


def step(category: str = API, complexity: int = 3, **more: Any) -> Step:
    return Step(
        "s", more.pop("title", "do it"), more.pop("description", ""), category=category, complexity=complexity, **more
    )


def named(choice: Choice) -> list[str]:
    return [f"{one.agent}:{one.model}" if one.model else one.agent for one in choice.candidates]


def passed(choice: Choice) -> dict[str, str]:
    return {f"{one.agent}:{one.model}" if one.model else one.agent: one.why for one in choice.passed_over}


class Place:
    """A world in which time stands still until it is moved, with agents as they are put there."""

    def __init__(self, *models: Model, default_agent: str = "", **rules: Any) -> None:
        self.now = NOW
        self.looks = 0
        self.document: dict[str, Any] = {}
        self.agents = {one.agent: Standing() for one in models}
        registry = Registry(models)
        self.registry = replace(registry, rules=replace(registry.rules, **rules))
        self.world = World(
            clock=lambda: self.now,
            standing=self._standing,
            memory=Memory(lambda: deepcopy(self.document), self._save),
            default_agent=default_agent,
        )
        self.router = self.another()

    def another(self) -> RegistryRouter:
        """As another process has one."""
        return RegistryRouter(self.registry, self.world)

    def change(self, agent: str, **facts: Any) -> None:
        self.agents[agent] = replace(self.agents.get(agent, Standing()), **facts)
        self.now += 2

    def _standing(self, agent: str) -> Standing | None:
        self.looks += 1
        return self.agents.get(agent)

    def _save(self, document: Mapping[str, Any]) -> None:
        self.document = dict(deepcopy(document))
