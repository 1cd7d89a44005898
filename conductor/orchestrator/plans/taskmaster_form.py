"""Task Master's tasks.json as a plan.

Tagged, `{"master": {"tasks": [...]}}`, and legacy, `{"tasks": [...]}`. A sub-task becomes the step `3.1`: it waits for
what it names and for what its task waits for; the task itself, as step `3`, waits for its sub-tasks and sees that
nothing is missing. What is done is left out and counts as fulfilled; what is deferred, cancelled, blocked or in review
is left out with all that depends on it, and the plan's notes say so.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from conductor.domain.plan import Plan
from conductor.orchestrator.plans.building import Source, build_plan
from conductor.orchestrator.plans.faults import refuse
from conductor.orchestrator.plans.form import STEP_ALIASES, StepForm
from conductor.orchestrator.plans.statuses import CANCELLED, DONE, notes_of, state_of, with_those_that_wait
from conductor.orchestrator.plans.values import quoted

DEFAULT_TAG = "master"
_PRIORITIES = {"critical": 20, "high": 10, "medium": 0, "low": -10}
_THEIR_WORDS = frozenset({"subtasks", "testStrategy"})
_PERHAPS_THEIRS = frozenset({"status", "details"})
_OUR_WORDS = frozenset({*StepForm.model_fields, *STEP_ALIASES}) - {
    *("id", "title", "description", "dependencies", "priority", "status", "complexity")
}


def is_taskmaster(data: Mapping[Any, Any]) -> bool:
    """By what no plan of our own form holds."""
    if _tags_in(data):
        return True
    tasks = data.get("tasks")
    words = {name for task in tasks if isinstance(task, Mapping) for name in task} if isinstance(tasks, list) else set()
    return bool(words & _THEIR_WORDS) or (bool(words & _PERHAPS_THEIRS) and not words & _OUR_WORDS)


def choose_tag(data: Mapping[Any, Any], tag: str) -> str:
    """The tag that is meant; empty: the file is legacy and has none. Raises ValueError."""
    tags = _tags_in(data)
    if not tags and tag in ("", DEFAULT_TAG):
        return ""
    if tag in tags:
        return tag
    if not tag and (DEFAULT_TAG in tags or len(tags) == 1):
        return DEFAULT_TAG if DEFAULT_TAG in tags else tags[0]
    there = f"it has {', '.join(map(quoted, tags[:20]))}" if tags else "it has no tags"
    raise ValueError(f"there is no tag {quoted(tag)}: {there}" if tag else f"which tag? {there}")


def taskmaster_plan(data: Mapping[Any, Any], source: Source, tag: str = "") -> Plan:
    """Raises PlanInvalid with every fault."""
    try:
        chosen = choose_tag(data, tag)
    except ValueError as error:
        raise refuse(source.what, [str(error)]) from None
    tasks = data[chosen]["tasks"] if chosen else data["tasks"]
    entries = list(_entries_in(tasks, f"{chosen}.tasks" if chosen else "tasks"))
    states = _states_of(entries)
    left = [entry for entry in entries if states.get(entry.id, "") == ""]
    if entries and not left:
        raise refuse(source.what, ["there is nothing left to do: no task is pending"])
    return build_plan(
        {"steps": [_step_of(entry, states) for entry in left]},
        replace(source, places=tuple(entry.place for entry in left), notes=notes_of(states, "tasks and sub-tasks")),
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """A task or sub-task, and what of it decides whether it is to be done."""

    id: str
    place: str
    raw: Mapping[Any, Any]
    depends_on: tuple[str, ...]
    """Ids as steps have them."""
    parts: tuple[str, ...] = ()
    """Ids of its sub-tasks."""
    task: _Entry | None = None
    """Of a sub-task the task that it is part of."""


def _tags_in(data: Mapping[Any, Any]) -> list[str]:
    return [
        name
        for name, value in data.items()
        if isinstance(name, str) and isinstance(value, Mapping) and isinstance(value.get("tasks"), list)
    ]


def _entries_in(tasks: list[Any], place: str) -> Iterator[_Entry]:
    for index, raw in enumerate(tasks):
        here = f"{place}[{index}]"
        if not isinstance(raw, Mapping):
            yield _Entry("", here, {}, ())
            continue
        step_id = str(raw.get("id", ""))
        subtasks = raw.get("subtasks")
        subtasks = subtasks if isinstance(subtasks, list) else []
        parts = tuple(_part_id(step_id, part) for part in subtasks)
        task = _Entry(step_id, here, raw, tuple(map(str, _listed(raw))), parts)
        yield task
        siblings = dict.fromkeys(parts)
        for at, part in enumerate(subtasks):
            if isinstance(part, Mapping):
                depends_on = tuple(_meant(one, parts[at], siblings) for one in _listed(part))
                yield _Entry(parts[at], f"{here}.subtasks[{at}]", part, depends_on, task=task)


def _part_id(task_id: str, part: object) -> str:
    own = str(part.get("id", "")) if isinstance(part, Mapping) else ""
    return own if own.startswith(f"{task_id}.") else f"{task_id}.{own}"


def _listed(raw: Mapping[Any, Any]) -> list[Any]:
    found = raw.get("dependencies")
    return found if isinstance(found, list) else [] if found is None else [found]


def _meant(dependency: object, own_id: str, siblings: Container[str]) -> str:
    """In a sub-task a bare number is its sibling, should there be one, else a task."""
    sibling = f"{own_id.rpartition('.')[0]}.{dependency}"
    return sibling if sibling in siblings and sibling != own_id else str(dependency)


def _states_of(entries: list[_Entry]) -> dict[str, str]:
    """What is said of a task is said of its parts too."""
    states: dict[str, str] = {}
    for entry in entries:
        above = states.get(entry.task.id, "") if entry.task else ""
        states[entry.id] = above or state_of(entry.raw.get("status"))
    return with_those_that_wait(states, {entry.id: _waits_for(entry, states) for entry in entries})


def _waits_for(entry: _Entry, states: Mapping[str, str]) -> list[str]:
    """All that has to come before it, done or not: of its own parts a cancelled one is not missed."""
    if entry.task:
        found = [*(one for one in entry.depends_on if one != entry.task.id), *entry.task.depends_on]
    else:
        found = [*entry.depends_on, *(part for part in entry.parts if states.get(part, "") not in CANCELLED)]
    return list(dict.fromkeys(found))


def _step_of(entry: _Entry, states: Mapping[str, str]) -> dict[str, Any]:
    """In the plan's form, with Task Master's own words where both have them."""
    raw = entry.raw
    step: dict[str, Any] = {"id": entry.id} if entry.id else {}
    step["title"] = _short(raw.get("title"))
    step["description"] = "\n\n".join(_texts_of(entry, states))
    step["dependencies"] = [one for one in _waits_for(entry, states) if states.get(one) != DONE]
    step["criteria"] = [raw[name] for name in ("testStrategy", "acceptanceCriteria") if raw.get(name)]
    step["priority"] = _PRIORITIES.get(str(raw.get("priority")).lower(), 0)
    step["complexity"] = _complexity_of(raw)
    step["allow_empty"] = bool(entry.parts)
    return step


def _short(title: object) -> object:
    return title if not isinstance(title, str) or len(title) <= 200 else title[:199] + "…"


def _texts_of(entry: _Entry, states: Mapping[str, str]) -> list[str]:
    texts = [str(entry.raw[name]).strip() for name in ("description", "details") if entry.raw.get(name)]
    if entry.task:
        texts.append(f"This is a part of task {entry.task.id}: {entry.task.raw.get('title', '')}.")
    parts = [part for part in entry.parts if states.get(part) not in CANCELLED]
    if parts:
        texts.append(
            f"Its parts {', '.join(parts)} are done, as tasks of their own: see that together they do what is asked "
            "here, and add what is missing."
        )
    return texts


def _complexity_of(raw: Mapping[Any, Any]) -> int | None:
    """Task Master counts to ten."""
    found = raw.get("complexity", raw.get("complexityScore"))
    return min(5, max(1, (found + 1) // 2)) if isinstance(found, int) and not isinstance(found, bool) else None
