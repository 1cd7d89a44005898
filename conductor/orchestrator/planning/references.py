"""How steps of a model's plan name each other: by id, by title, or by number, as `task-001` in a list without ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_IDS = ("id", "task_id")
_DEPENDENCIES = ("depends_on", "dependencies")
_NUMBERED = re.compile(r"\s*(?:(?:task|step|subtask)s?[ _.-]*)?#?0*([0-9]{1,6})\s*", re.I)
_LAST_NUMBER = re.compile(r"0*([0-9]{1,6})\Z")


def with_ids(steps: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """The steps with ids and with dependencies that are ids, as far as that is clear; and what is not, as faults.

    What is no object, and a dependency that names nothing, stays as it is: whoever checks the plan tells of it.
    """
    ids = _ids_of(steps)
    names = _names(steps, ids)
    faults: list[str] = []
    named = []
    for at, step in enumerate(steps):
        if isinstance(step, Mapping):
            step = {name: value for name, value in step.items() if name not in _IDS} | {"id": ids[at]}
            for key in _DEPENDENCIES:
                if key in step:
                    step[key] = [_resolved(one, names) for one in _listed(step[key])]
                    faults += _doubts(at, key, step[key], names)
        named.append(step)
    return named, faults


def unknown_references(steps: Sequence[Any]) -> list[str]:
    """A fault for each dependency of these steps, which have ids, that is none."""
    ids = {step["id"] for step in steps if isinstance(step, Mapping)}
    return [
        f"steps[{at}].{key}: there is no step {ascii(one)[:80]}"
        for at, step in enumerate(steps)
        if isinstance(step, Mapping)
        for key in _DEPENDENCIES
        for one in step.get(key, ())
        if not isinstance(one, str) or one not in ids
    ]


@dataclass(frozen=True, slots=True)
class _Names:
    """What a dependency may say, to the id that it means."""

    ids: frozenset[str]
    by_words: Mapping[str, str]
    """Ids and titles in small letters; of those that two steps share, none."""
    by_number: Mapping[int, str]
    shared: frozenset[str]


def _ids_of(steps: Sequence[Any]) -> list[str]:
    given = [_given_id(step) for step in steps]
    taken = {one for one in given if one}
    return [one or _free(number, taken) for number, one in enumerate(given, 1)]


def _free(number: int, taken: set[str]) -> str:
    """`task-NNN`, unless a step further on calls itself so."""
    name = f"task-{number:03d}"
    while name in taken:
        name += "x"
    return name


def _given_id(step: Any) -> str:
    if not isinstance(step, Mapping):
        return ""
    found = next((step[key] for key in _IDS if step.get(key) not in (None, "")), "")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else repr(found)[:80]


def _names(steps: Sequence[Any], ids: Sequence[str]) -> _Names:
    titles = [str(step.get("title", "")) if isinstance(step, Mapping) else "" for step in steps]
    words = [(_word(one), step_id) for one, step_id in zip(titles, ids, strict=True) if one.strip()]
    words += [(_word(step_id), step_id) for step_id in ids]
    counted = Counter(word for word, _ in dict.fromkeys(words))
    shared = frozenset(word for word, count in counted.items() if count > 1)
    by_words = {word: step_id for word, step_id in words if word not in shared}
    return _Names(frozenset(ids), by_words, _numbers(steps, ids), shared)


def _numbers(steps: Sequence[Any], ids: Sequence[str]) -> dict[int, str]:
    """The numbers of the ids that the model gave; where none has one, the places from 1 on."""
    own = [(int(found[1]), one) for step in steps if (found := _LAST_NUMBER.search(one := _given_id(step)))]
    if own:
        counted = Counter(number for number, _ in own)
        return {number: step_id for number, step_id in own if counted[number] == 1}
    return dict(enumerate(ids, 1))


def _word(text: str) -> str:
    return " ".join(text.split()).casefold()


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value in (None, "") else [value]


def _resolved(named: Any, names: _Names) -> Any:
    if isinstance(named, Mapping):  # {"id": "a"}
        named = next((named[key] for key in _IDS if key in named), named)
    if isinstance(named, bool) or not isinstance(named, str | int):
        return named
    text = str(named)
    if text in names.ids:
        return text
    if found := names.by_words.get(_word(text)):
        return found
    number = _NUMBERED.fullmatch(text)
    return names.by_number.get(int(number[1]), text) if number else text


def _doubts(at: int, key: str, dependencies: Sequence[Any], names: _Names) -> list[str]:
    return [
        f"steps[{at}].{key}: {ascii(one)[:80]} is the title of several steps: name the step by its id"
        for one in dependencies
        if isinstance(one, str) and one not in names.ids and _word(one) in names.shared
    ]
