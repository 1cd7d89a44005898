"""What is wrong with settings: every fault with the file and line, the variable or the flag that said it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from conductor.domain.masking import Masker
from conductor.settings.nearest import unknown
from conductor.settings.places import Key, Place, nearest_place
from conductor.settings.schema import names_at, wanted_at
from conductor.settings.showing import shown
from conductor.settings.source import Layer

_MOST_TOLD = 100
_LONGEST = 120
_ORDER = ("file", "variable", "flag", "default")


@dataclass(frozen=True, slots=True)
class Fault:
    key: Key
    place: Place
    what: str

    def __str__(self) -> str:
        key = dotted(self.key)
        return f"{self.place}: {key}: {self.what}" if key else f"{self.place}: {self.what}"


def dotted(key: Key) -> str:
    parts = (str(part)[:80] for part in key)
    return ".".join(part if part.isprintable() else repr(part) for part in parts)


def faults_in(error: ValidationError, values: Mapping[str, Any], layers: Sequence[Layer]) -> list[Fault]:
    return [Fault(key, nearest_place(key, layers), what) for key, what in whats_in(error, values)]


def whats_in(error: ValidationError, values: Mapping[str, Any], within: Key = ()) -> list[tuple[Key, str]]:
    """One for each place, however many alternatives it failed. `values`: what was checked; it stands at `within`."""
    said: dict[Key, dict[str, None]] = {}
    for one in error.errors(include_url=False):
        key = (*within, *_key_of(one["loc"], values))
        if one["type"] == "missing":
            key = (*key, str(one["loc"][-1]))
        said.setdefault(key, {})[_what(dict(one), key)] = None
    inner = {key[:length] for key in said for length in range(len(within), len(key))}
    return [(key, " or ".join(whats)) for key, whats in said.items() if key not in inner or not _is_of_kind(whats)]


def _is_of_kind(whats: Iterable[str]) -> bool:
    """Whether they only say that none of several kinds fits: where one of them nearly did, that tells more."""
    return all(what.startswith("it must be") for what in whats)


def told(faults: Iterable[Fault]) -> str:
    """A line for each, by file and line."""
    lines = [f"  {one}" for one in in_order(faults)]
    more = [f"  and {len(lines) - _MOST_TOLD} more"] if len(lines) > _MOST_TOLD else []
    return Masker().mask("\n".join([*lines[:_MOST_TOLD], *more]))  # a key where none belongs


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda one: (_ORDER.index(one.place.kind), one.place.name, one.place.line, str(one.key)))


def _key_of(location: Sequence[str | int], values: Any) -> Key:
    """`location` without what stands in no file: pydantic's words for alternatives and keys."""
    key: Key = ()
    for part in location:
        inside_mapping = isinstance(values, Mapping) and part in values
        if inside_mapping or (isinstance(values, list | tuple) and isinstance(part, int) and part < len(values)):
            key, values = (*key, part), values[part]
    return key


def _what(fault: dict[str, Any], key: Key) -> str:
    kind, given = fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        return unknown(str(key[-1]), names_at(key[:-1]))
    if kind == "missing":
        return "must be given"
    if given is None and kind != "value_error":
        return f"nothing stands after it: it must be {wanted_at(key)}, or be left out"
    value = shown(key, given)
    value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."
    if kind == "value_error":
        said = str(fault["msg"]).removeprefix("Value error, ")
        return said if value in said or fault["loc"][-1:] in (("[key]",), ()) else f"{said}, not {value}"
    return f"it must be {wanted_at(key)}, not {value}"
