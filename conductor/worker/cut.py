"""Why an agent is stopped before its own end."""

from __future__ import annotations

from enum import StrEnum


class Cut(StrEnum):
    """Each is answered in its own way once the agent is gone."""

    TIMEOUT = "timeout"
    STALLED = "stalled"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    BUDGET = "budget"
    LIMITED = "limited"
    HOPELESS = "hopeless"
    """Its model calls can't succeed, and it does not end by itself."""
