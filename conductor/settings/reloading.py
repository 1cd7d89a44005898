"""What reading the settings again changed, and what it could not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conductor.domain.masking import Masker
from conductor.settings.faults import dotted
from conductor.settings.model import Loaded
from conductor.settings.places import Key, place_of
from conductor.settings.showing import leaves_of, shown
from conductor.settings.source import merged

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Held:
    """A setting that a file says otherwise than before, and that a variable or a flag of conductord holds as it was:
    only a start without that changes it."""

    key: str
    says: str
    """What the file says now, as it may be shown."""
    by: str
    """The variable or the flag."""

    def __str__(self) -> str:
        return f"{self.key}: {self.says} needs a restart, conductord was started with {self.by}"


def held_back(old: Loaded, new: Loaded, masker: Masker) -> tuple[Held, ...]:
    before, now = _in_files(old), _in_files(new)
    found = []
    for key in leaves_of(new.settings):
        place, says = place_of(key, new.layers), _at(key, now)
        if place.kind in ("variable", "flag") and says is not _NOTHING and says != _at(key, before):
            found.append(Held(dotted(key), shown(key, says, masker), str(place)))
    return tuple(found)


def _in_files(loaded: Loaded) -> Mapping[str, Any]:
    return merged(layer for layer in loaded.layers if layer.kind == "file")


def _at(key: Key, values: Any) -> Any:
    for part in key:
        if not isinstance(values, Mapping) or part not in values:
            return _NOTHING
        values = values[part]
    return values
