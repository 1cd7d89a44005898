"""What may be asked of a task beside its description, by the names that `conductor submit` has for it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypedDict

from conductor.app.submitting import Defaults, with_agent
from conductor.domain.durations import parse_duration
from conductor.domain.task import TaskSpec, check_spec

Duration = float | str
"""Seconds, or as people write it: `30s`, `10m`, `1h30m`."""


class TaskOptions(TypedDict, total=False):
    """What is not said is as the settings say when the task runs; `workspace` is the folder one is in."""

    agent: str
    model: str
    thinking: str
    pool: str
    priority: int
    timeout: Duration
    stall_timeout: Duration
    retries: int
    delay: Duration
    after: Sequence[str]
    """Ids of tasks that must have ended well before; those of handles: `[task.id]`."""
    workspace: str | os.PathLike[str]
    env: Mapping[str, str]
    project: str
    budget: str
    verify: str
    fallback: Sequence[str]
    autonomy: str
    criteria: Sequence[str]
    spec_file: str | os.PathLike[str]


_PLAIN = ("agent", "model", "thinking", "pool", "priority", "retries", "project", "budget", "verify", "autonomy")
_MANY = ("after", "fallback", "criteria")
_TIMES = {"timeout": "timeout_seconds", "stall_timeout": "stall_seconds"}
_PATHS = ("workspace", "spec_file")


def spec_of(plain: TaskSpec, options: TaskOptions, defaults: Defaults, task_id: str) -> TaskSpec:
    """`plain` with what the options say, an id, an agent and the time. Raises BadTask, UsageError, TypeError."""
    asked: Mapping[str, Any] = options
    _check_names(asked)
    now_ms = int(time.time() * 1000)
    given: dict[str, Any] = {name: asked[name] for name in _PLAIN if name in asked}
    given.update({name: _many(name, asked[name]) for name in _MANY if name in asked})
    given.update({field: _seconds(asked[name]) for name, field in _TIMES.items() if name in asked})
    given.update({name: os.path.abspath(os.fspath(asked[name])) for name in _PATHS if name in asked})
    if "env" in asked:
        given["env"] = (*plain.env, *((str(name), str(value)) for name, value in asked["env"].items()))
    if "delay" in asked:
        given["not_before_ms"] = now_ms + int(_seconds(asked["delay"]) * 1000)
    spec = replace(plain, id=task_id, submitted_ms=now_ms, **given)
    if not spec.workspace:
        spec = replace(spec, workspace=os.getcwd())
    return check_spec(with_agent(spec, defaults))


def _check_names(asked: Mapping[str, Any]) -> None:
    for name in asked:
        if name not in TaskOptions.__annotations__:
            near = get_close_matches(name, TaskOptions.__annotations__, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"a task has no option {name!r}{hint}")


def _many(name: str, values: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError(f"{name} is a sequence: write {name}=[{values!r}]")
    return tuple(values)


def _seconds(value: Duration) -> float:
    return parse_duration(value) if isinstance(value, str) else float(value)
