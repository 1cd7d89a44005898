"""What kind of plan it is, by its content, and who reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conductor.domain.errors import UsageError
from conductor.domain.plan import Plan
from conductor.orchestrator.plans.building import Source, build_plan
from conductor.orchestrator.plans.faults import refuse
from conductor.orchestrator.plans.loading import load_text, read_text
from conductor.orchestrator.plans.specs import read_specs, spec_files
from conductor.orchestrator.plans.taskmaster_form import is_taskmaster, taskmaster_plan
from conductor.orchestrator.plans.wfformat import Replay, is_wfformat, wfformat_plan

TASKMASTER_PLACES = (".taskmaster/tasks/tasks.json", "tasks/tasks.json", "tasks.json")
"""Below a project, below `.taskmaster`, and in its `tasks` folder."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader may be told beside the path."""

    tag: str = ""
    """Of Task Master; empty: `master`, or the only one there is."""
    replay: Replay = Replay()
    """Of a recorded workflow."""


def read_plan(path: str, reading: Reading | None = None) -> Plan:
    """The plan in a file, or in a folder: one of specs, or one with a `.taskmaster` or `specs` folder in it.

    Raises UsageError where it can't be read, PlanInvalid with every fault where it is no plan.
    """
    if os.path.isdir(path):
        return _plan_in_folder(path, reading or Reading())
    # The path is the caller's own word, and may be a link.
    text = read_text(os.path.realpath(path))
    name = os.path.splitext(os.path.basename(path))[0]
    return _plan_in(load_text(text, path), Source(path, path=path, name=name), reading or Reading())


def parse_plan(data: Any, what: str, *, from_model: bool = False) -> Plan:
    """The plan in data that is loaded already, in the form of a plan file or as a bare list of steps.

    `what`: whose it is, for errors. `from_model`: names that the form does not know are passed over, steps without an
    id get one, and the plan says that a model wrote it. Raises PlanInvalid with every fault.
    """
    return _own_plan(data, Source(what, from_model=from_model))


def _plan_in_folder(path: str, reading: Reading) -> Plan:
    for place in (path, os.path.join(path, "specs")):
        if os.path.isdir(place) and (names := spec_files(place)):
            return read_specs(place, names)
    for name in TASKMASTER_PLACES:
        if os.path.isfile(os.path.join(path, name)):
            return read_plan(os.path.join(path, name), reading)
    raise UsageError(f"{path} holds no plan: no <task-id>-spec.md, no specs folder, no {TASKMASTER_PLACES[0]}")


def _plan_in(data: Any, source: Source, reading: Reading) -> Plan:
    if isinstance(data, Mapping):
        if is_wfformat(data):
            return wfformat_plan(data, source, reading.replay)
        if is_taskmaster(data):
            return taskmaster_plan(data, source, reading.tag)
    return _own_plan(data, source)


def _own_plan(data: Any, source: Source) -> Plan:
    if isinstance(data, list):
        data = {"steps": data}
    if not isinstance(data, Mapping):
        raise refuse(source.what, ["it holds no steps: a plan is `steps:` with a list, or the list alone"])
    return build_plan(data, source)
