"""What nursery and workers are told: checked by the daemon, handed over as JSON, no library needed to read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.domain.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """One pool's workers. Times are seconds, None means no limit."""

    home: str
    pool: str
    kinds: dict[str, str]
    """Adapters of agents: name to `module:attribute`."""
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Agents as they are set up, by name: `AgentSetup.to_dict`."""
    preload: tuple[str, ...] = ()
    """Modules that the nursery imports before it forks."""
    max_idle_seconds: float = 300.0
    timeout_seconds: float = 3600.0
    stall_seconds: float | None = None
    grace_seconds: float = 10.0
    log_bytes: int = 10 * 1_048_576
    env_pass: tuple[str, ...] = ()
    """Names, with `*` at the end allowed, that agents inherit beyond the built-in list."""
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    """Aliases: name to {kind of agent: model}."""
    project_secrets: dict[str, str] = field(default_factory=dict)
    """Project to the file with its own keys."""
    project_contexts: dict[str, str] = field(default_factory=dict)
    """Project to the file whose text every prompt of it begins with."""
    declared: dict[str, int] = field(default_factory=dict)
    """Bytes that each agent's adapter says it takes."""
    warm: tuple[str, ...] = ()
    """Agents whose adapters the nursery loads before it forks."""
    limits: LimitRules = LimitRules()
    budgets: BudgetRules = BudgetRules()
    prices: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The user's, over the shipped ones."""
    cgroup: str = ""
    """The folder in which each attempt gets a group of its own; empty: none."""
    retry: RetryPolicy = RetryPolicy()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerConfig:
        """It may be of a conductord of another version: what is not known here is left out."""
        known = cls.__dataclass_fields__
        told = json.loads(text)
        if not isinstance(told, dict):
            raise TypeError(f"a worker's configuration is an object, not a {type(told).__name__}")
        fields = {name: value for name, value in told.items() if name in known}
        for name in ("preload", "env_pass", "warm"):
            fields[name] = tuple(fields.get(name, ()))
        fields["retry"] = RetryPolicy(**fields["retry"])
        fields["limits"] = LimitRules.from_dict(fields["limits"])
        fields["budgets"] = BudgetRules.from_dict(fields["budgets"])
        return cls(**fields)
