"""Recorded scientific workflows (WfFormat 1.5) as plans: the same graph, replayed as sleeps or as commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

from conductor.domain.plan import COMMAND_AGENT, DEFAULT_STEP_TIMEOUT_SECONDS, STEP_ID, Plan
from conductor.orchestrator.plans.building import Source, build_plan
from conductor.orchestrator.plans.faults import refuse
from conductor.orchestrator.plans.values import quoted

SCHEMA_VERSION = "1.5"
_LEAST_SECONDS = 0.001
_HOLDERS = re.compile(r"\{(id|name|seconds|program|arguments)\}")


@dataclass(frozen=True, slots=True)
class Replay:
    """What becomes of a recorded task."""

    mode: Literal["sleep", "command"] = "sleep"
    scale: float = 1.0
    """Times its recorded runtime: how long it sleeps, and what it is expected to take."""
    command: str = ""
    """In mode `command`: a shell command in which `{id}`, `{name}`, `{seconds}`, `{program}` and `{arguments}` stand
    for the task's, quoted. Empty: the recorded command itself."""


def is_wfformat(data: Mapping[Any, Any]) -> bool:
    return isinstance(data.get("workflow"), Mapping)


def wfformat_plan(data: Mapping[Any, Any], source: Source, replay: Replay) -> Plan:
    """Raises PlanInvalid with every fault."""
    version = str(data.get("schemaVersion", SCHEMA_VERSION))
    if version != SCHEMA_VERSION:
        raise refuse(source.what, [f"schemaVersion: WfFormat {SCHEMA_VERSION} is read, not {quoted(version)}"])
    if not replay.scale > 0:
        raise refuse(source.what, ["the scale of a replay must be more than 0"])
    specified = _tasks_in(data, "specification", source)
    recorded = {task.get("id"): task for task in _tasks_in(data, "execution", source)}
    parents = _parents_of(specified)
    place = "workflow.specification.tasks"
    steps = [_step_of(task, recorded.get(task.get("id"), {}), replay) for task in specified]
    for task, step in zip(specified, steps, strict=True):
        step["depends_on"] = [step_id(parent) for parent in parents.get(task.get("id"), ())]
    plan = {"name": data.get("name"), "description": data.get("description"), "steps": steps}
    return build_plan(plan, replace(source, places=tuple(f"{place}[{index}]" for index in range(len(steps)))))


def step_id(task_id: object) -> str:
    """A recorded task's id as a step's: as it is where it can be, else shortened to what can, and still its own."""
    text = str(task_id)
    if STEP_ID.fullmatch(text):
        return text
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:48]
    return f"{plain or 'task'}-{sha256(text.encode(errors='replace')).hexdigest()[:10]}"


def _tasks_in(data: Mapping[Any, Any], part: str, source: Source) -> list[Mapping[Any, Any]]:
    section = data["workflow"].get(part)
    tasks = section.get("tasks") if isinstance(section, Mapping) else None
    if not isinstance(tasks, list):
        raise refuse(source.what, [f"workflow.{part}.tasks: must be a list"])
    faults = [
        f"workflow.{part}.tasks[{index}]: must hold a text `id`"
        for index, task in enumerate(tasks)
        if not isinstance(task, Mapping) or not isinstance(task.get("id"), str)
    ]
    faults += [
        f"workflow.{part}.tasks[{index}]: parents and children must be lists of ids"
        for index, task in enumerate(tasks)
        if isinstance(task, Mapping) and not all(_are_ids(task.get(name)) for name in ("parents", "children"))
    ]
    if faults:
        raise refuse(source.what, faults)
    return tasks


def _are_ids(found: object) -> bool:
    return found is None or (isinstance(found, list) and all(isinstance(one, str) for one in found))


def _parents_of(tasks: list[Mapping[Any, Any]]) -> dict[Any, list[str]]:
    """Recorded twice, as parents and as children: an edge counts when either tells of it."""
    parents: dict[Any, list[str]] = {}
    for task in tasks:
        parents.setdefault(task["id"], []).extend(task.get("parents") or ())
        for child in task.get("children") or ():
            parents.setdefault(child, []).append(task["id"])
    return parents


def _step_of(task: Mapping[Any, Any], record: Mapping[Any, Any], replay: Replay) -> dict[str, Any]:
    runtime = record.get("runtimeInSeconds", 0.0)
    known = isinstance(runtime, int | float) and 0 <= runtime < float("inf")
    seconds = runtime * replay.scale if known else 0.0
    return {
        "id": step_id(task["id"]),
        "title": str(task.get("name") or task["id"])[:200],
        "description": _command_of(task, record, seconds, replay),
        "agent": COMMAND_AGENT,
        "estimate": max(seconds, _LEAST_SECONDS) if known else runtime,
        "timeout": max(DEFAULT_STEP_TIMEOUT_SECONDS, 2 * seconds),
        "allow_empty": True,
    }


def _command_of(task: Mapping[Any, Any], record: Mapping[Any, Any], seconds: float, replay: Replay) -> str:
    plain_seconds = f"{seconds:.4f}".rstrip("0").rstrip(".")
    if replay.mode == "sleep":
        return f"sleep {plain_seconds}"
    command = record.get("command")
    command = command if isinstance(command, Mapping) else {}
    program = str(command.get("program") or "")
    listed = command.get("arguments")
    arguments = [str(one) for one in listed] if isinstance(listed, list) else []
    if not replay.command:
        # A whole script stands in `program` of some recorders.
        return shlex.join([program, *arguments]) if arguments else program or "true"
    values = {
        "id": shlex.quote(task["id"]),
        "name": shlex.quote(str(task.get("name") or task["id"])),
        "seconds": plain_seconds,
        "program": shlex.quote(program),
        "arguments": shlex.join(arguments),
    }
    return _HOLDERS.sub(lambda found: values[found[1]], replay.command)
