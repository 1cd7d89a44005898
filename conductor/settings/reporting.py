"""Settings one by one, each with the place that it came from: what `config show` prints and conductord answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from conductor.domain.masking import Masker
from conductor.settings.faults import dotted
from conductor.settings.model import Loaded
from conductor.settings.places import Place, place_of
from conductor.settings.showing import leaves_of, masked, shown


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    value: Any
    """As JSON has it, times in seconds, sizes in bytes; secrets masked."""
    shown: str
    """In one line, for people."""
    place: Place

    def to_dict(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value, "shown": self.shown, "from": asdict(self.place)}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Row:
        return cls(given["key"], given["value"], given["shown"], Place(**given["from"]))


def rows_of(loaded: Loaded, masker: Masker) -> list[Row]:
    """Every setting that says anything, in the order of the schema."""
    return [
        Row(dotted(key), masked(key, value, masker), shown(key, value, masker), place_of(key, loaded.layers))
        for key, value in leaves_of(loaded.settings).items()
    ]
