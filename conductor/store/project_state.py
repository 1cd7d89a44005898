"""A run as `.conductor/*.json` shows it to people and tools: pure.

The fields are those of claw-conductor's project state. A time is `2026-02-01T03:00:00Z` or null, a duration is in
seconds, and what nobody knows is null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from conductor.domain.run import Activity, Delegation, Project, Run, RunStatus, StepState, StepStatus

_STATUS = {
    RunStatus.PLANNING: "pending",
    RunStatus.WAITING: "pending",
    RunStatus.RUNNING: "in_progress",
    RunStatus.FINISHING: "in_progress",
}
"""Of those whose own word is not the format's."""
Files = Mapping[str, Sequence[str]]
"""Step id to the paths that its merged work changed."""


def project_state(
    project: Project | None,
    run: Run,
    steps: Sequence[StepState],
    delegations: Iterable[Delegation] = (),
    files: Files | None = None,
) -> dict[str, Any]:
    """project-state.json. `project` is None for a run in a plain folder; `delegations` are in the store's order."""
    latest, changed = latest_rounds(delegations), files or {}
    return {
        **heading(project, run, steps),
        "tasks": [task_of(state, latest.get(state.step.id), changed.get(state.step.id)) for state in steps],
        "dependencies": {state.step.id: list(state.step.depends_on) for state in steps},
    }


def latest_rounds(delegations: Iterable[Delegation]) -> dict[str, Delegation]:
    """Step id to the last one of it."""
    return {delegation.step_id: delegation for delegation in delegations}


def heading(project: Project | None, run: Run, steps: Sequence[StepState]) -> dict[str, Any]:
    """All that is not of a single task."""
    name = project.name if project else run.title
    created = project.created if project else run.created
    return {
        "project_id": project_id_of(project, run),
        "name": name,
        "workspace": project.workspace if project else run.workspace,
        "github_repo": (project.repository or None) if project else None,
        "status": _STATUS.get(run.status, run.status.value),
        "created_at": timestamp(created),
        "run": {
            "run_id": run.id,
            "title": run.title,
            "status": run.status.value,
            "reason": run.reason,
            "branch": run.branch,
            "started_at": timestamp(run.started),
            "completed_at": timestamp(run.ended),
        },
        "progress": progress(steps),
    }


def project_id_of(project: Project | None, run: Run) -> str:
    """Its name and the day it was made, as `my-project-20260201`."""
    if project is None:
        return run.id
    return f"{project.name}-{datetime.fromtimestamp(project.created, UTC):%Y%m%d}"


def progress(steps: Sequence[StepState]) -> dict[str, int]:
    """How many are where; all but the first add up to the first."""
    counts = Counter([state.status for state in steps])
    return {"total_tasks": len(steps), **{status.value: counts[status] for status in StepStatus}}


def task_of(state: StepState, latest: Delegation | None, changed: Sequence[str] | None) -> dict[str, Any]:
    step = state.step
    return {
        "task_id": step.id,
        "title": step.title,
        "description": step.description,
        "category": step.category,
        "complexity": step.complexity,
        "assigned_agent": state.agent or (latest.agent if latest else "") or step.agent or None,
        "assigned_model": state.model or (latest.model if latest else "") or step.model or None,
        "status": state.status.value,
        "dependencies": list(step.depends_on),
        "file_targets": list(step.files),
        "queue_task": latest.task_id if latest else None,
        "worktree": (latest.worktree or None) if latest else None,
        "commit": state.commit or None,
        "result": _result_of(state, changed) if state.is_over else None,
        "started_at": timestamp(state.started),
        "completed_at": timestamp(state.ended),
    }


def _result_of(state: StepState, changed: Sequence[str] | None) -> dict[str, Any]:
    succeeded = state.status is StepStatus.COMPLETED
    took = round(state.ended - state.started, 3) if state.started and state.ended else None
    return {
        "success": succeeded,
        "files_modified": list(changed) if changed is not None else None,
        "execution_time": took,
        "error": None if succeeded else state.reason or state.status.value,
    }


def log_entry(activity: Activity) -> dict[str, Any]:
    """One line of execution-log.json."""
    return {
        "at": timestamp(activity.at),
        "action": activity.action,
        "run_id": activity.run_id or None,
        "task_id": activity.step_id or None,
        "facts": dict(activity.facts),
    }


def timestamp(at: float) -> str | None:
    """None where it is 0: it has not happened."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" if at else None
