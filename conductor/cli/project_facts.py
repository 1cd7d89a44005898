"""What is told of a project: its place, its orchestrator, how far its runs are. From the store, for people and JSON."""

from __future__ import annotations

import os
from collections import Counter
from enum import StrEnum
from typing import Any

from conductor.domain.durations import format_duration
from conductor.domain.run import Asks, Heartbeat, Project, Run, StepStatus
from conductor.ports.orchestration import Store
from conductor.projects.messages import one_line
from conductor.settings.orchestration import HeartbeatSettings

_MOST_ENDED = 5
_LONGEST_TITLE = 60
_ASKED = {Asks.PLAN: "its plan", Asks.COMMANDS: "its commands", Asks.WAVE: "its next wave"}


class Health(StrEnum):
    """Of a project's orchestrator."""

    IDLE = "idle"
    """Nothing is under way: none is needed."""
    RUNNING = "running"
    STALE = "stale"
    """It has said nothing for a while; conductord ends and replaces it."""
    STOPPED = "stopped"
    """There is work for one, and none has said anything for long."""


def health(beat: Heartbeat | None, *, is_wanted: bool, now: float, settings: HeartbeatSettings) -> Health:
    """`is_wanted`: a run of the project is under way."""
    if not is_wanted:
        return Health.IDLE
    if beat is None or now - beat.at >= settings.stopped:
        return Health.STOPPED
    return Health.STALE if now - beat.at >= settings.stale else Health.RUNNING


def project_facts(store: Store, project: Project, now: float, settings: HeartbeatSettings) -> dict[str, Any]:
    """As --json prints it."""
    runs = store.runs(project.name)
    active = [run for run in runs if not run.is_over]
    beat = store.heartbeats().get(project.name)
    return {
        "name": project.name,
        "workspace": project.workspace,
        "is_there": os.path.isdir(project.workspace),
        "target": project.target,
        "repository": project.repository,
        "orchestrator": {
            "state": health(beat, is_wanted=bool(active), now=now, settings=settings),
            "owner": beat.owner if beat else "",
            "silent_seconds": round(max(0.0, now - beat.at), 1) if beat else None,
        },
        "active": [run_facts(store, run) for run in active],
        "ended": [run_facts(store, run) for run in runs if run.is_over][:_MOST_ENDED],
    }


def run_facts(store: Store, run: Run) -> dict[str, Any]:
    steps = store.steps(run.id)
    counts = Counter(state.status for state in steps)
    return {
        "id": run.id,
        "title": run.title,
        "status": run.status.value,
        "steps": len(steps),
        "completed": counts[StepStatus.COMPLETED],
        "by_status": {status.value: counts[status] for status in StepStatus if counts[status]},
        "usd": round(sum(state.usd for state in steps), 6),
        "asks": run.asks.value,
        "reason": run.reason,
        "report": run.report,
        "pull_request": run.pull_request,
    }


def project_row(facts: dict[str, Any]) -> tuple[str, ...]:
    """NAME, ORCHESTRATOR, RUNS, STEPS, TARGET, WORKSPACE."""
    active = facts["active"]
    done, steps = sum(run["completed"] for run in active), sum(run["steps"] for run in active)
    return (
        facts["name"],
        _state(facts["orchestrator"]),
        str(len(active) or "-"),
        f"{done} of {steps}" if active else "-",
        one_line(facts["target"]),
        one_line(facts["workspace"]) + ("" if facts["is_there"] else " (gone)"),
    )


def project_page(facts: dict[str, Any], check: str) -> list[str]:
    """Lines for a person. `check`: what is run before a merge, and why."""
    place = one_line(facts["workspace"]) + ("" if facts["is_there"] else " (gone: put it back)")
    lines = [
        f"project       {facts['name']}",
        f"workspace     {place}",
        f"target        {one_line(facts['target'])}",
        f"GitHub        {facts['repository']}" if facts["repository"] else "",
        f"check         {check}",
        f"orchestrator  {_state(facts['orchestrator'])}",
    ]
    lines += [f"under way     {_run_line(run)}" for run in facts["active"]]
    lines += [f"ended         {_run_line(run)}" for run in facts["ended"]]
    return [line for line in lines if line]


def _state(orchestrator: dict[str, Any]) -> str:
    state, silent = str(orchestrator["state"]), orchestrator["silent_seconds"]
    if state == Health.IDLE:
        return state
    return f"{state}, no sign of life yet" if silent is None else f"{state}, heard {format_duration(silent)} ago"


def _run_line(run: dict[str, Any]) -> str:
    parts = [
        f"{run['id']}  {run['status'].replace('_', ' ')}",
        f"{run['completed']} of {run['steps']} steps",
        one_line(run["title"])[:_LONGEST_TITLE],
        f"`conductor approve {run['id']}` lets {_ASKED[run['asks']]} go on" if run["asks"] else "",
        one_line(run["reason"])[:200],
        run["pull_request"],
    ]
    return ", ".join(part for part in parts if part)
