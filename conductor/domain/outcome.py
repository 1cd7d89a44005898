"""How an attempt ended, and the word that results.txt has for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from conductor.domain.failure import Failure
from conductor.domain.usage import Usage


class Outcome(StrEnum):
    """What became of one attempt by itself."""

    SUCCESS = "success"
    """The agent ended well, and the task's own check passed."""
    FAILED = "failed"
    """The agent said so, ended badly, or its work did not pass the check."""
    TIMEOUT = "timeout"
    """It was stopped at its time limit, or after it was silent for too long."""
    CANCELLED = "cancelled"
    """A person or the run that it belongs to wanted it no more."""
    BUDGET = "budget"
    """It was stopped because a budget of money, tokens or runs was used up."""
    LIMITED = "limited"
    """A provider refused to serve the account for a time: the attempt does not count."""
    LOST = "lost"
    """The worker or the machine went away under it."""


class Status(StrEnum):
    """The third field of a result line."""

    SUCCESS = "SUCCESS"
    """It ended well."""
    FAILED = "FAILED"
    """It failed, and no attempt is left: it lies in dead/, `conductor retry` tries it again."""
    TIMEOUT = "TIMEOUT"
    """It was stopped at its time limit, and no attempt is left."""
    CANCELLED = "CANCELLED"
    """It was cancelled."""
    BUDGET = "BUDGET"
    """It was stopped because a budget is used up; `conductor limits` shows the budgets."""
    RETRY = "RETRY"
    """This attempt failed, another follows."""


FINAL_STATUS = {
    Outcome.SUCCESS: Status.SUCCESS,
    Outcome.FAILED: Status.FAILED,
    Outcome.TIMEOUT: Status.TIMEOUT,
    Outcome.CANCELLED: Status.CANCELLED,
    Outcome.BUDGET: Status.BUDGET,
    Outcome.LIMITED: Status.FAILED,
    Outcome.LOST: Status.FAILED,
}


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What is known of the agent's side of one attempt. Empty, None or 0: not told."""

    agent: str
    """The one that ran: the task's own or a fallback."""
    model_asked: str = ""
    model: str = ""
    """The one really used."""
    usage: Usage | None = None
    usd: float | None = None
    cost: str = "unknown"
    """Where `usd` is from: reported, computed or unknown."""
    session: str = ""
    turns: int | None = None
    tools: int = 0
    denials: tuple[str, ...] = ()
    calls: int = 0
    """Model calls that the gate saw."""
    limited_until: float | None = None
    """Seconds since 1970."""
    verify_output: str = ""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one attempt left behind, as the worker saw it. Times are seconds since 1970."""

    outcome: Outcome
    reason: str
    """One line for a person; empty for a plain success."""
    preview: str
    started: float
    ended: float
    exit_code: int | None = None
    signal: int | None = None
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    """Of the largest single process."""
    output_bytes: int = 0
    failure: Failure = Failure.NONE
    not_before: float = 0.0
    """With LIMITED: seconds since 1970; 0: the doorkeeper holds the task up."""
    facts: AgentFacts | None = None
    """None where no agent with more to tell than its output ran."""


def agent_record(result: TaskResult) -> dict[str, Any]:
    """What result.json has of the agent's side, JSON-able; what was not told is left out."""
    record: dict[str, Any] = {"failure": result.failure.value} if result.failure else {}
    if result.facts is not None:
        facts = asdict(result.facts)
        facts["model_used"] = facts.pop("model")
        facts["model"] = facts.pop("model_asked")
        record.update({name: value for name, value in facts.items() if value or name in ("model", "agent")})
    return record


def cancelled(result: TaskResult) -> TaskResult:
    """`result` as it counts when the task had been cancelled before it was recorded."""
    return replace(result, outcome=Outcome.CANCELLED, reason="cancelled", preview="cancelled", failure=Failure.NONE)
