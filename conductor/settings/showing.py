"""Settings as people read them: times as 1h30m, sizes as 10MiB, secrets masked; and what differs between two."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Any

from pydantic import BaseModel

from conductor.domain.masking import MASK, Masker, is_secret_name
from conductor.settings.places import Key
from conductor.settings.schema import unit_at

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SIZES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_REFERENCES = ("env:", "file:", "credential:")
"""What says where a secret is, and is none itself."""
_HARMLESS = ("/", "~", "{")
"""Paths and placeholders, under a name that is a secret's."""


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that a reload changed, its values as they may be shown; empty: it was, or is, not there."""

    key: str
    old: str
    new: str


def leaves_of(settings: BaseModel) -> dict[Key, Any]:
    """Every single value by the way to it, as plain values. What stands under a name that people chose says nothing of
    what was left empty."""
    return dict(_leaves(settings, (), is_named=False))


def _leaves(value: Any, key: Key, *, is_named: bool) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if not is_named or name in value.model_fields_set or inner not in (None, "", (), {}):
                yield from _leaves(inner, (*key, name), is_named=is_named)
        for name, extra in (value.model_extra or {}).items():
            yield from _leaves(extra, (*key, name), is_named=True)
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*key, str(name)), is_named=True)
    else:
        yield key, plain(value)


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def shown(key: Key, value: Any, masker: Masker | None = None) -> str:
    """In one line, for people."""
    value = masked(key, plain(value), masker)
    if isinstance(value, int | float) and not isinstance(value, bool):
        unit = unit_at(key)
        if unit:
            return _seconds(float(value)) if unit == "seconds" else _bytes(int(value))
    if isinstance(value, str):
        return value if value and value.isprintable() and value.strip() == value else json.dumps(value)
    return json.dumps(value, ensure_ascii=True)


def masked(key: Key, value: Any, masker: Masker | None = None) -> Any:
    """Without what is a secret by its name or its form."""
    masker = masker or _BY_FORM
    if isinstance(value, dict):
        return {name: masked((*key, name), one, masker) for name, one in value.items()}
    if isinstance(value, list):
        return [masked(key, one, masker) for one in value]
    if not isinstance(value, str) or value.startswith(_REFERENCES):
        return value
    is_secret = bool(value) and is_secret_name(str(key[-1]) if key else "") and not value.startswith(_HARMLESS)
    return MASK if is_secret else masker.mask(value)


def differences(old: Mapping[Key, Any], new: Mapping[Key, Any], masker: Masker | None = None) -> tuple[Change, ...]:
    """In the order of the new ones; what has gone comes last. A secret that changed is told as such."""
    keys = [*new, *(key for key in old if key not in new)]
    return tuple(
        Change(
            ".".join(map(str, key)),
            shown(key, old[key], masker) if key in old else "",
            shown(key, new[key], masker) if key in new else "",
        )
        for key in keys
        if key not in old or key not in new or old[key] != new[key]
    )


def _seconds(seconds: float) -> str:
    """Exact: read back, it is the same time."""
    if seconds <= 0 or not isfinite(seconds):
        return f"{seconds:g}"
    if seconds < 1 and (seconds * 1000).is_integer():
        return f"{seconds * 1000:g}ms"
    if not seconds.is_integer():
        return f"{seconds!r}s" if seconds >= 0.001 else repr(seconds)
    left, parts = int(seconds), []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts)


def _bytes(count: int) -> str:
    return next((f"{count // size}{name}" for name, size in _SIZES if count and not count % size), str(count))


_BY_FORM = Masker()
