"""The registry: which models there are, what each is good at, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from conductor.domain.plan import DEFAULT_COMPLEXITY


class CostType(StrEnum):
    """From what costs nothing to what costs by use."""

    FREE = "free"
    FREE_TIER = "free-tier"
    """Nothing up to a limit, and a limit parks it."""
    SUBSCRIPTION = "subscription"
    PAY_PER_USE = "pay-per-use"


_FREE = (CostType.FREE, CostType.FREE_TIER)
_RANKS = {kind: rank for rank, kind in enumerate(CostType)}


@dataclass(frozen=True, slots=True)
class Cost:
    type: CostType = CostType.PAY_PER_USE
    input: float | None = None
    """US dollars for a million tokens; None: as the list of prices says."""
    output: float | None = None

    @property
    def is_free(self) -> bool:
        return self.type in _FREE

    @property
    def order(self) -> tuple[int, float]:
        """The cheaper one first; a price that is not known comes last of its type."""
        prices = [price for price in (self.input, self.output) if price is not None]
        return _RANKS[self.type], sum(prices) if prices else float("inf")


@dataclass(frozen=True, slots=True)
class Capability:
    """How good a model is at one category."""

    rating: float
    """1 to 5 stars."""
    max_complexity: int
    """1 to 5: the most that it is trusted with."""
    experience: int = 0
    """Tasks done before conductor counted."""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as one agent runs it."""

    agent: str
    model: str = ""
    """As the agent knows it, or an alias; empty: the agent's own default."""
    cost: Cost = Cost()
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    """By category."""
    otherwise: Capability | None = None
    """For the categories that are not named; None: it is not used for them."""
    enabled: bool = True

    @property
    def name(self) -> str:
        """`agent:model`, under which it is remembered."""
        return f"{self.agent}:{self.model}" if self.model else self.agent

    def capability(self, category: str) -> Capability | None:
        return self.capabilities.get(category, self.otherwise)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is added and taken beside rating and complexity, and whether anybody stands in."""

    failure_penalty: float = 5.0
    prefer_free: bool = True
    fallback: bool = True
    """False: only the first choice is a candidate."""


@dataclass(frozen=True, slots=True)
class Registry:
    models: tuple[Model, ...]
    default_complexity: int = DEFAULT_COMPLEXITY
    """Of what says nothing about it."""
    rules: Rules = Rules()
    source: str = ""
    """Path of its file; empty: the built-in one."""
