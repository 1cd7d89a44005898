"""Where a value of the settings was said: a line of a file, a variable, a flag, or nowhere: then the default holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conductor.settings.source import Layer

Key = tuple[str | int, ...]
"""The way to a value: names in mappings, numbers in lists."""


@dataclass(frozen=True, slots=True)
class Place:
    kind: str = "default"
    """`default`, `file`, `variable` or `flag`."""
    name: str = ""
    """The file's path, the variable or the flag."""
    line: int = 0
    """Of a file, from 1; 0: it is no file, or its line is not known."""

    def __str__(self) -> str:
        match self.kind:
            case "file":
                return f"{self.name}:{self.line}" if self.line else self.name
            case "variable":
                return f"${self.name}"
            case "flag":
                return self.name
        return "default"


def place_of(key: Key, layers: Sequence[Layer]) -> Place:
    """Who said what holds at `key`: the strongest layer that has it, or has something in place of what it is in."""
    for layer in reversed(layers):
        if _has_a_say(key, layer.values):
            return _marked(key, layer)
    return Place()


def nearest_place(key: Key, layers: Sequence[Layer]) -> Place:
    """Of what is there, or of what it is missing in."""
    places = (place_of(key[:length], layers) for length in range(len(key), 0, -1))
    return next((place for place in places if place.kind != "default"), Place())


def _has_a_say(key: Key, values: Any) -> bool:
    for part in key:
        if not isinstance(values, dict):
            return True  # a list, or a plain value where a mapping belongs: it was replaced whole
        if part not in values:
            return False
        values = values[part]
    return True


def _marked(key: Key, layer: Layer) -> Place:
    """The mark of the longest beginning of `key` that has one."""
    for length in range(len(key), 0, -1):
        mark = layer.marks.get(key[:length])
        if isinstance(mark, int):
            return Place(layer.kind, layer.path, mark)
        if mark:
            return Place(layer.kind, mark)
    return Place(layer.kind, layer.path)
