"""A run as it stands at one moment: all that views of it are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conductor.domain.run import (
    Activity,
    Asks,
    Delegation,
    Heartbeat,
    Run,
    RunStatus,
    StepState,
    StepStatus,
)


@dataclass(frozen=True, slots=True)
class TaskLook:
    """What the queue says of a step's task."""

    state: str
    """`works`, `queued`, `waits 5m00s`."""
    obstacle: str = ""
    """What would hold it up if it were the first of its pool: a limit, a budget, memory."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`at`: when, in seconds since 1970."""

    run: Run
    steps: tuple[StepState, ...]
    at: float
    delegations: tuple[Delegation, ...] = ()
    """The open ones."""
    tasks: Mapping[str, TaskLook] = field(default_factory=dict)
    """By task id, of open delegations."""
    activity: tuple[Activity, ...] = ()
    """The last of it, oldest first."""
    approved: int = 0
    beat: Heartbeat | None = None
    stale_seconds: float = 600.0
    """An orchestrator that said nothing for so long is not relied on."""
    daemon: bool = True
    """A conductord runs on this home."""

    @property
    def asks_now(self) -> bool:
        """It waits for an approval that nobody gave yet."""
        return self.run.status is RunStatus.WAITING and self.run.asks is not Asks.NOTHING and not self.has_approval

    @property
    def has_approval(self) -> bool:
        return self.approved >= self.run.asked

    @property
    def stands_still(self) -> bool:
        """Only a person can make it go on: it asks, and nothing that was handed out is still under way."""
        return self.asks_now and not self.delegations

    @property
    def elapsed_seconds(self) -> float:
        run = self.run
        return max(0.0, (run.ended or self.at) - (run.started or run.created))

    @property
    def usd(self) -> float:
        return sum(state.usd for state in self.steps)

    @property
    def tokens(self) -> int:
        return sum(state.tokens for state in self.steps)

    def counts(self) -> dict[StepStatus, int]:
        """How many steps stand where; without those of which there is none."""
        found: dict[StepStatus, int] = {}
        for state in self.steps:
            found[state.status] = found.get(state.status, 0) + 1
        return {status: found[status] for status in StepStatus if status in found}
