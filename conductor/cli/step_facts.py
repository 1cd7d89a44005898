"""Runs and steps as JSON-able values: the form of `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from conductor.cli.snapshot import Snapshot
from conductor.cli.step_reasons import StepReasons
from conductor.cli.waves import waves_of
from conductor.domain.lines import format_timestamp
from conductor.domain.plan import Step
from conductor.domain.run import Run, StepState

_TIMES = frozenset({"created", "started", "ended"})


def run_facts(run: Run) -> dict[str, Any]:
    """All that is known of the run itself; times in RFC 3339, null while they are not."""
    return {name: _value(name, value) for name, value in asdict(run).items()}


def step_facts(step: Step) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in asdict(step).items()}


def snapshot_facts(snapshot: Snapshot, *, wip: int = 0) -> dict[str, Any]:
    """The run, its steps with why they stand where they stand, and what it waits for."""
    waves = waves_of([state.step for state in snapshot.steps])
    reasons = StepReasons(snapshot, wip=wip)
    return {
        **run_facts(snapshot.run),
        "waits_for_approval": snapshot.asks_now,
        "elapsed_seconds": round(snapshot.elapsed_seconds, 3),
        "usd": round(snapshot.usd, 6),
        "tokens": snapshot.tokens,
        "steps": [
            {**_state_facts(state), "wave": waves[state.step.id], "why": reasons.of(state)} for state in snapshot.steps
        ],
    }


def _state_facts(state: StepState) -> dict[str, Any]:
    own: Mapping[str, Any] = {
        "status": state.status.value, "reason": state.reason, "round": state.round, "bounces": state.bounces,
        "commit": state.commit, "agent_used": state.agent, "model_used": state.model, "usd": state.usd,
        "tokens": state.tokens, "started": _value("started", state.started), "ended": _value("ended", state.ended),
    }  # fmt: skip
    return {**step_facts(state.step), **own}


def _value(name: str, value: Any) -> Any:
    if name in _TIMES:
        return format_timestamp(value) if value else None
    if isinstance(value, frozenset | set | tuple):
        return list(value)
    return value
