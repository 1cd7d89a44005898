"""A folder of specs, one `<task-id>-spec.md` a step: YAML between `---` lines, then the text for the agent."""

from __future__ import annotations

import os
import re
from typing import Any

from conductor.domain.errors import PlanInvalid, UsageError
from conductor.domain.plan import Plan
from conductor.orchestrator.plans.building import Source, build_plan
from conductor.orchestrator.plans.faults import refuse
from conductor.orchestrator.plans.form import MOST_STEPS
from conductor.orchestrator.plans.loading import load_yaml, read_text
from conductor.orchestrator.plans.statuses import DONE, notes_of, state_of, with_those_that_wait

ENDING = "-spec.md"
MOST_BYTES = 1 << 20
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_NUMBERS = re.compile(r"(\d+)")


def spec_files(folder: str) -> list[str]:
    """Names of the specs in a folder, numbers in the order of numbers; empty where it has none or is none."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(ENDING) and name != ENDING]
    except NotADirectoryError:
        return []
    except OSError as error:
        raise UsageError(f"can't read the folder {folder}: {error.strerror or error}") from error
    return sorted(names, key=lambda name: [part.zfill(20) if part.isdigit() else part for part in _NUMBERS.split(name)])


def read_specs(folder: str, names: list[str]) -> Plan:
    """The plan of these files. One whose `status` is done is left out and counts as fulfilled.

    Raises PlanInvalid with the faults of every file."""
    if len(names) > MOST_STEPS:
        raise refuse(folder, [f"it holds more than {MOST_STEPS} specs"])
    steps = _steps_in(folder, names)
    states = with_those_that_wait(
        {step_id: state_of(step.pop("status", "")) for step_id, step in steps.items()},
        {step_id: step["depends_on"] for step_id, step in steps.items()},
    )
    left = [step_id for step_id in steps if not states[step_id]]
    if steps and not left:
        raise refuse(folder, ["there is nothing left to do: no spec is pending"])
    for step_id in left:
        steps[step_id]["depends_on"] = [one for one in steps[step_id]["depends_on"] if states.get(one) != DONE]
    places = tuple(step_id + ENDING for step_id in left)
    source = Source(folder, places, path=folder, name=_project_of(folder), notes=notes_of(states, "specs"))
    return build_plan({"steps": [steps[step_id] for step_id in left]}, source)


def _project_of(folder: str) -> str:
    whole = os.path.abspath(folder)
    return os.path.basename(os.path.dirname(whole) if os.path.basename(whole) == "specs" else whole)


def _steps_in(folder: str, names: list[str]) -> dict[str, dict[Any, Any]]:
    """By id. Raises PlanInvalid with the faults of every file."""
    steps, faults = {}, []
    for name in names:
        try:
            steps[name.removesuffix(ENDING)] = _step_in(os.path.join(folder, name), name)
        except PlanInvalid as error:
            faults += [f"{name}: {fault}" for fault in error.faults]
        except UsageError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise refuse(folder, faults)
    return steps


def _step_in(path: str, name: str) -> dict[Any, Any]:
    """In the plan's form, and `status` where it has one."""
    text = read_text(path, MOST_BYTES)
    step_id = name.removesuffix(ENDING)
    matter = _FRONT_MATTER.match(text)
    body = text[matter.end() :] if matter else text
    step: dict[Any, Any] = {}
    if matter:
        found = load_yaml(matter[1], name) or {}
        if not isinstance(found, dict):
            raise refuse(name, ["what stands between the --- lines must be `name: value`"])
        step = found
    if str(step.setdefault("id", step_id)) != step_id:
        raise refuse(name, [f"its id {str(step['id'])[:80]!r} is not that of its name"])
    step["id"] = step_id
    step["depends_on"] = _dependencies_of(step)
    heading = _HEADING.search(body)
    if heading and not step.get("title"):
        step["title"] = _title_in(heading[1], step_id)
    step.setdefault("description", body.strip())
    return step


def _dependencies_of(step: dict[Any, Any]) -> list[str]:
    """`VC-001, VC-002` and `none` are how people write them."""
    found = [step.pop(name) for name in ("depends_on", "dependencies") if step.get(name) is not None]
    listed = [one for value in found for one in (value if isinstance(value, list) else [value])]
    split = [part.strip() for one in listed for part in (one.split(",") if isinstance(one, str) else [str(one)])]
    return [part for part in split if part and part.lower() != "none"]


def _title_in(heading: str, step_id: str) -> str:
    """`VC-005 - Action Dispatcher` and `VC-005: Action Dispatcher` without the id."""
    return re.sub(rf"^{re.escape(step_id)}\b[\s:.—–-]*", "", heading).strip() or heading
