"""What pydantic finds, in words for whoever wrote the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from conductor.domain.errors import PlanInvalid
from conductor.orchestrator.plans.values import did_you_mean, quoted

MOST_FAULTS = 200
"""Told of one plan; a file that is no plan at all has more than anyone reads."""

_WORDS: dict[str, str] = {
    "missing": "is missing",
    "string_type": "must be text, not {what}",
    "int_type": "must be a whole number, not {what}",
    "int_parsing": "must be a whole number, not {what}",
    "int_parsing_size": "is far too great",
    "int_from_float": "must be a whole number, not {what}",
    "float_type": "must be a number, not {what}",
    "float_parsing": "must be a number, not {what}",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false, not {what}",
    "bool_parsing": "must be true or false, not {what}",
    "tuple_type": "must be a list, not {what}",
    "model_type": "must hold `name: value`, not {what}",
    "greater_than_equal": "must be at least {ge:g}, not {what}",
    "less_than_equal": "must be at most {le:g}, not {what}",
    "greater_than": "must be more than {gt:g}, not {what}",
    "string_too_long": "is longer than {max_length} characters",
    "too_long": "has more than {max_length} entries",
    "enum": "must be {expected}, not {what}",
    "string_pattern_mismatch": "{what} is no name that could stand here",
    "value_error": "{error}",
}


def fault_text(error: ErrorDetails, known: tuple[str, ...]) -> str:
    """The fault without its place. `known`: the names that may stand there, to tell the nearest."""
    kind = error["type"]
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        return f"unknown key {quoted(name)}{did_you_mean(name, known)}"
    form = _WORDS.get(kind)
    if form is None:
        return error["msg"].lower()
    return form.format(what=_what(error["input"]), **error.get("ctx", {}))


def _what(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return quoted(value)


def place_text(place: Iterable[int | str]) -> str:
    """`steps[3].files[0]` of ("steps", 3, "files", 0)."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def refuse(what: str, faults: Sequence[str]) -> PlanInvalid:
    """The error to be raised: all faults, or the first of very many."""
    told = list(dict.fromkeys(map(_on_one_line, faults)))
    if len(told) > MOST_FAULTS:
        told = [*told[:MOST_FAULTS], "... and more"]
    return PlanInvalid(_on_one_line(what), tuple(told))


def _on_one_line(text: str) -> str:
    """Names of files and ids in a cycle come as they are: nothing in them speaks to a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


Place = Callable[[int], str]
Raw = Mapping[str, Any]
