"""What the supervisor is told by the wiring: fixed until a reload replaces it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from conductor.supervisor.policy import RestartPolicy


@dataclass(frozen=True)
class PoolPlan:
    """One pool: how many workers, and what its nursery is told."""

    workers: int
    nursery_config: str


@dataclass(frozen=True)
class OrchestratorPlan:
    """How a project's orchestrator is started and replaced. `stale` is seconds."""

    command: Callable[[str], Sequence[str]]
    """Project to command line."""
    restart: RestartPolicy
    stale: float


@dataclass(frozen=True)
class SupervisorPlan:
    """Times are seconds."""

    pools: Mapping[str, PoolPlan]
    default_agent: str
    poll_interval: float
    stop_timeout: float
    grace: float
    timeout: float
    restart: RestartPolicy
    orchestrators: OrchestratorPlan
    cgroup: str = ""
    """The folder in which each attempt gets a group of its own; empty: none."""
    warnings: tuple[str, ...] = ()
    """What is wrong and does not keep conductord from starting: keys that can't be used."""


Reload = Callable[[], SupervisorPlan]
"""Reads the settings again. Raises SettingsInvalid."""
