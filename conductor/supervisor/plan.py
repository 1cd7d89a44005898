"""What the supervisor is told by the wiring: fixed until a reload replaces it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conductor.settings.reloading import Held
from conductor.settings.showing import Change
from conductor.supervisor.policy import RestartPolicy


@dataclass(frozen=True)
class PoolPlan:
    """One pool: how many workers, and what its nursery is told."""

    workers: int
    nursery_config: str
    inherited: tuple[str, ...] = ()
    """What our environment holds for it."""

    def has_same_nursery(self, other: PoolPlan | None) -> bool:
        """Whether a nursery that was started by this plan can go on by the other one."""
        return other is not None and (self.nursery_config, self.inherited) == (other.nursery_config, other.inherited)


@dataclass(frozen=True)
class OrchestratorPlan:
    """How a project's orchestrator is started and replaced. `stale` is seconds."""

    command: Callable[[str], Sequence[str]]
    """Project to command line."""
    restart: RestartPolicy
    stale: float
    settings: Callable[[str], str] = lambda project: ""
    """Project to what stands on its standard input: one that was given another text is replaced at a reload."""


@dataclass(frozen=True)
class UpkeepPlan:
    """How much of the disk stays free, when logs are begun anew, and what removes what is old."""

    min_free: int | None = None
    """Bytes; None: as much as is usual for such a disk."""
    min_free_inodes: int | None = None
    results_bytes: int = 64 << 20
    events_bytes: int = 64 << 20
    keep: int = 8
    """How many older segments of each log stay."""
    sweep: tuple[str, ...] = ()
    """The command that removes what is old and prints a line of JSON; empty: nothing is removed."""
    sweep_every: float = 3600.0
    """Seconds."""


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
    upkeep: UpkeepPlan = UpkeepPlan()
    cgroup: str = ""
    """The folder in which each attempt gets a group of its own; empty: none."""
    warnings: tuple[str, ...] = ()
    """What is wrong and does not keep conductord from starting: keys that can't be used."""


@dataclass(frozen=True)
class Reloaded:
    """What reading the settings again came to."""

    plan: SupervisorPlan
    changed: tuple[Change, ...] = ()
    held: tuple[Held, ...] = ()
    """What a file says and only a restart would change."""


class InForce(Protocol):
    """The settings that this daemon works by."""

    def reload(self) -> Reloaded:
        """Reads them again. Raises SettingsInvalid, and then nothing has changed."""
        ...

    def rows(self) -> list[dict[str, Any]]:
        """Each of them with where it came from, as JSON has it."""
        ...

    def limits(self) -> list[str]:
        """A line for each provider that is parked."""
        ...
