"""What reading the settings again changed, and what it could not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conductor.domain.masking import Masker
from conductor.settings.faults import dotted
from conductor.settings.model import Loaded, Settings
from conductor.settings.places import Key, place_of
from conductor.settings.showing import leaves_of, shown
from conductor.settings.source import merged

FIXED_AT_START = ("shared",)
"""Sections that conductord looks at only as it starts."""
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Held:
    """A setting that a file says otherwise than before, and that a variable or a flag of conductord holds as it was:
    only a start without that changes it."""

    key: str
    says: str
    """What the file says now, as it may be shown."""
    by: str
    """The variable or the flag, or the value that it had when conductord started."""


def held_back(old: Loaded, new: Loaded, masker: Masker) -> tuple[Held, ...]:
    before, now = _in_files(old), _in_files(new)
    found = []
    for key in leaves_of(new.settings):
        place, says = place_of(key, new.layers), _at(key, now)
        if (
            key[0] not in FIXED_AT_START
            and place.kind in ("variable", "flag")
            and says is not _NOTHING
            and says != _at(key, before)
        ):
            found.append(Held(dotted(key), shown(key, says, masker), str(place)))
    return tuple(found)


def fixed(begun: Settings, now: Settings, masker: Masker) -> tuple[Held, ...]:
    """What is not as conductord began with it, and would be only after a restart."""
    before, after = leaves_of(begun), leaves_of(now)
    keys = [key for key in after if key[0] in FIXED_AT_START and after[key] != before.get(key)]
    return tuple(Held(dotted(key), shown(key, after[key], masker), shown(key, before.get(key), masker)) for key in keys)


def _in_files(loaded: Loaded) -> Mapping[str, Any]:
    return merged(layer for layer in loaded.layers if layer.kind == "file")


def _at(key: Key, values: Any) -> Any:
    for part in key:
        if not isinstance(values, Mapping) or part not in values:
            return _NOTHING
        values = values[part]
    return values
