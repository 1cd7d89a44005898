"""JSON that a model put somewhere into its answer: bare, in a fence, with words around it, several times."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

MOST_CHARACTERS = 2_000_000
DEEPEST = 30
"""Levels; no plan and no review has as many."""
_MOST_STARTS = 200
_MOST_FENCES = 100
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_START = re.compile(r"[{\[]")
_BEGUN = re.compile(r"[{\[]\s*(?:[{\"]|\Z)")
"""A start that is more than a bracket in a sentence."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there was. `values`: JSON objects and lists in their order; `fault`: what is wrong with the rest of it."""

    values: tuple[Any, ...] = ()
    fault: str = ""
    broke_off: bool = False
    """The answer ends inside of its last JSON."""


def find_json(text: str, wanted: Callable[[Any], bool]) -> Found:
    """The JSON values in `text` that are `wanted`: the whole of it, else those in fences, else wherever one begins."""
    if len(text) > MOST_CHARACTERS:
        return Found(fault=f"the answer is longer than {MOST_CHARACTERS} characters: a plan is much shorter")
    bare = text.strip()
    whole = _decoded(bare, 0) if bare.startswith(("{", "[")) else _Start()
    if whole.ends == len(bare) and wanted(whole.value):
        return Found((whole.value,))
    fenced = [_scan(inside, wanted) for inside in islice(_fenced(text), _MOST_FENCES)]
    values = tuple(value for one in fenced for value in one.values)
    anywhere = _scan(text, wanted)
    if values and not anywhere.broke_off:
        return Found(values)
    faults = [one.fault for one in (*fenced, anywhere) if one.fault]
    return Found(anywhere.values, faults[0] if faults else "", anywhere.broke_off)


def _fenced(text: str) -> Iterator[str]:
    """What stands between fence lines; line by line, so that no answer makes it slow."""
    fence, inside = "", list[str]()
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if not fence:
            fence, inside = (found[1] if found else ""), []
        elif found and found[1].startswith(fence) and not line[found.end() :].strip():
            yield "\n".join(inside).strip()
            fence = ""
        else:
            inside.append(line)


def _scan(text: str, wanted: Callable[[Any], bool]) -> Found:
    values: list[Any] = []
    fault = ""
    for start in _starts(text):
        if start.ends is None:
            fault = fault or start.fault
            if start.broke_off:
                return Found(tuple(values), start.fault, broke_off=True)
        elif wanted(start.value):
            values.append(start.value)
        else:
            fault = fault or start.fault
    return Found(tuple(values), "" if values else fault)


@dataclass(frozen=True, slots=True)
class _Start:
    value: Any = None
    ends: int | None = None
    fault: str = ""
    broke_off: bool = False


def _starts(text: str) -> Iterator[_Start]:
    """What follows each bracket that is not inside of JSON that was read already."""
    position = 0
    for _ in range(_MOST_STARTS):
        found = _START.search(text, position)
        if found is None:
            return
        start = _decoded(text, found.start())
        position = found.end() if start.ends is None else start.ends
        yield start


def _decoded(text: str, at: int) -> _Start:
    decoder = json.JSONDecoder(parse_constant=_no_number)
    try:
        value, ends = decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        begun = _BEGUN.match(text, at) is not None
        broke_off = begun and (error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"))
        return _Start(fault=_fault(error, broke_off=broke_off) if begun else "", broke_off=broke_off)
    except RecursionError:
        return _Start(fault=f"the JSON is nested deeper than {DEEPEST} levels")
    except ValueError as error:
        return _Start(fault=f"the JSON can't be read: {error}")
    if _is_too_deep(value):
        return _Start(ends=ends, fault=f"the JSON is nested deeper than {DEEPEST} levels")
    return _Start(value, ends)


def _fault(error: json.JSONDecodeError, *, broke_off: bool) -> str:
    place = f"line {error.lineno}, column {error.colno}"
    if broke_off:
        return (
            f"the answer breaks off before its JSON ends (it begins well, but at {place} nothing follows): be shorter"
        )
    return f"the JSON can't be read: {error.msg} at {place}"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
