"""What an attempt works with: handed in, so that nothing is reached for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from conductor.domain.usage import Price
from conductor.kit.signals import SignalPipe
from conductor.ports import AgentRegistry, Doorkeeper, GateFactory, Ledger
from conductor.worker.config import WorkerConfig


def no_price(model: str) -> Price | None:
    return None


def nothing_left(private_folder: str) -> None:
    """No agent that keeps anything."""


def _no_notice(action: str, facts: Mapping[str, object]) -> None:
    """Nobody to tell."""


@dataclass(frozen=True)
class Workbench:
    """One worker's."""

    config: WorkerConfig
    agents: AgentRegistry
    signals: SignalPipe
    environment: Mapping[str, str]
    """The daemon's."""
    clock: Callable[[], float] = time.time
    open_gate: GateFactory | None = None
    doorkeeper: Doorkeeper | None = None
    ledger: Ledger | None = None
    price_of_model: Callable[[str], Price | None] = no_price
    settle_left: Callable[[str], None] = nothing_left
    """Takes home what a private folder holds whose worker was killed."""
    notice: Callable[[str, Mapping[str, object]], None] = _no_notice
    """Tells the daemon what is worth an event."""
