"""The built-in registry, for whoever has none: our own modest ratings, no benchmark. It knows three sizes of model by
the aliases `cheap`, `primary` and `research` of each kind of agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conductor.routing.registry import Capability, Cost, CostType, Model, Registry

_MECHANICAL = (
    "boilerplate-generation",
    "codebase-exploration",
    "configuration-management",
    "dependency-management",
    "documentation-generation",
    "error-correction",
)
_HARD = (
    "algorithm-implementation",
    "debugging-complex-issues",
    "legacy-modernization",
    "multi-file-refactoring",
    "performance-optimization",
    "security-vulnerability-detection",
)


@dataclass(frozen=True, slots=True)
class _Size:
    alias: str
    rating: float
    max_complexity: int
    better: tuple[str, ...] = ()
    """Categories with one star more."""


_SIZES = (_Size("cheap", 3, 2, _MECHANICAL), _Size("primary", 4, 4), _Size("research", 4, 5, _HARD))
_ONLY = _Size("", 3, 5)
"""Of which nothing is known but that it is there."""

_LESS = {"anthropic": 0.5, "chat": 0.5, "openclaw": 1.0}
"""Stars less by kind: the plain loops have fewer tools than a vendor's CLI, OpenClaw is made for other work."""


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """An agent that can be used here."""

    name: str
    kind: str
    sizes: Mapping[str, str]
    """Alias to model, for the kinds that have names for sizes."""
    fixed: bool = False
    """The settings give it a model: it is asked for no other."""
    cost: CostType = CostType.PAY_PER_USE


def built_in(agents: Iterable[KnownAgent]) -> Registry:
    return Registry(tuple(model for agent in agents for model in _models(agent)))


def _models(agent: KnownAgent) -> list[Model]:
    if agent.fixed or not any(agent.sizes.get(size.alias) for size in _SIZES):
        return [_model(agent, "", _ONLY, 5)]
    found: dict[str, _Size] = {}
    for size in _SIZES:
        if model := agent.sizes.get(size.alias):
            found.setdefault(model, size)
    largest = list(found)[-1]
    return [_model(agent, model, size, 5 if model == largest else size.max_complexity) for model, size in found.items()]


def _model(agent: KnownAgent, model: str, size: _Size, max_complexity: int) -> Model:
    rating = size.rating - _LESS.get(agent.kind, 0.0)
    better = {category: Capability(min(5.0, rating + 1), max_complexity) for category in size.better}
    return Model(agent.name, model, Cost(agent.cost), better, Capability(rating, max_complexity))
