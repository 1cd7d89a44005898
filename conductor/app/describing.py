"""A task as JSON-able values, secrets masked: the form of `list --json` and `show --json`, and of what members of a
shared home are told."""

from __future__ import annotations

import os
import time
from typing import Any, assert_never

from conductor.domain.errors import BadTask
from conductor.domain.home import Home
from conductor.domain.lines import format_timestamp, parse_result, parse_task
from conductor.domain.masking import Masker, masked_spec, secret_values
from conductor.domain.task import TaskSpec, Tries
from conductor.domain.view import Ended, Queued, Running, TaskView, Waiting, view_id
from conductor.queue.records import read_record

_AGENT_FACTS = (
    "failure", "model_used", "usage", "usd", "cost", "session", "turns", "tools", "calls", "denials", "limited_until",
    "verify_output",
)  # fmt: skip
"""What result.json has where an agent asked a model."""


_ASKED = ("project", "budget", "verify", "fallback", "autonomy", "criteria", "spec_file", "after")

TASK_STATES = {
    "running": "A worker runs an attempt of it.",
    "recording": "Its attempt is over and is being recorded.",
    "ready": "Accepted and free to run: `conductor why ID` says what holds it up.",
    "batched": "Accepted in a file of many that is not unpacked yet.",
    "waiting": "It waits for its time, for the wait before a retry, or for another task: `conductor why ID`.",
    "dead": "It failed and no attempt is left: `conductor retry ID` tries it again.",
    "ended": "It is over: `conductor show ID` tells how.",
}


def describe(view: TaskView) -> dict[str, Any]:
    """The facts of a task's state, its `state` among TASK_STATES."""
    match view:
        case Queued(spec, tries, batch):
            facts = {**_spec_facts(spec, tries), "state": "batched" if batch else "ready"}
            return {**facts, "batch": batch} if batch else facts
        case Waiting(spec, tries, _, awaits) if awaits:
            return {**_spec_facts(spec, tries), "state": "waiting", "awaits": awaits}
        case Waiting(spec, tries, due_ms):
            due = {"due": format_timestamp(due_ms / 1000), "due_in_seconds": round(due_ms / 1000 - time.time(), 3)}
            return {**_spec_facts(spec, tries), "state": "waiting", **due}
        case Running(spec, tries, worker, since, recording):
            state = "recording" if recording else "running"
            return {**_spec_facts(spec, tries), "state": state, "worker": worker, "started": format_timestamp(since)}
        case Ended(task_id, status, record, can_retry):
            return _ended_facts(task_id, status.value, record, can_retry=can_retry)
    assert_never(view)


def _spec_facts(spec: TaskSpec, tries: Tries) -> dict[str, Any]:
    shown = masked_spec(spec)
    return {
        "task": shown.id,
        "description": Masker(secret_values(os.environ)).mask(shown.description),
        "agent": shown.agent,
        "model": shown.model,
        "thinking": shown.thinking,
        "pool": shown.pool,
        "priority": shown.priority,
        "attempt": tries.started,
        "timeout_seconds": shown.timeout_seconds,
        "stall_seconds": shown.stall_seconds,
        "retries": shown.retries,
        "workspace": shown.workspace,
        **{name: value for name in _ASKED if (value := getattr(shown, name))},
        "env": dict(shown.env),
        "submitted": format_timestamp(shown.submitted_ms / 1000) if shown.submitted_ms else None,
    }


def _ended_facts(task_id: str, status: str, record: dict[str, Any], *, can_retry: bool) -> dict[str, Any]:
    names = (
        "attempt", "agent", "model", "thinking", "pool", "started", "ended", "seconds", "exit_code", "signal",
        "cpu_seconds", "peak_memory_bytes", "output_bytes", "reason", "worker",
    )  # fmt: skip
    facts = {name: record.get(name) for name in names}
    facts.update({name: record[name] for name in _AGENT_FACTS if record.get(name) not in (None, "", [], {})})
    preview = parse_result(record["line"]).preview
    state = "dead" if can_retry else "ended"
    return {"task": task_id, "state": state, "status": status, **facts, "priority": "", "preview": preview}


def whole_story(home: Home, view: TaskView) -> dict[str, Any]:
    """`describe`, and what is known beyond the queue: `description` of a task that has ended, `attempts`, `folder`."""
    task_id = view_id(view)
    found = {**_asked_for(home, task_id), **describe(view)}
    return {**found, "attempts": _attempts(home, task_id), "folder": home.task(task_id)}


def _asked_for(home: Home, task_id: str) -> dict[str, Any]:
    """The description of a task that has ended, from the masked copy that its last attempt left."""
    try:
        with open(f"{home.task(task_id)}/latest/TASK.txt", encoding="utf-8") as file:
            return {"task": task_id, "description": parse_task(file.read().removesuffix("\n")).description}
    except (OSError, BadTask):
        return {}


def _attempts(home: Home, task_id: str) -> list[dict[str, Any]]:
    try:
        numbers = sorted(int(name) for name in os.listdir(home.task(task_id)) if name.isdigit())
    except FileNotFoundError:
        return []
    names = ("attempt", "status", "started", "seconds", "exit_code", "signal", "reason", "worker")
    records = (read_record(home.attempt(task_id, number)) for number in numbers)
    return [{name: record.get(name) for name in names} for record in records if record]
