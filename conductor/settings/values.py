"""Kinds of values in conductor.yaml: times, sizes, names."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from conductor.domain.durations import parse_duration
from conductor.domain.errors import UsageError
from conductor.domain.task import ID_PATTERN

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _seconds(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("write a time as 30s, 10m or 2h")
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
    return value


def _name(name: str) -> str:
    if not ID_PATTERN.fullmatch(name):
        raise ValueError("a name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}")
    return name


def _bytes(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", value.strip().lower())
        if not match:
            raise ValueError("write a size as 500k, 10MiB or 1g")
        return int(match[1]) * _SIZES[match[2]]
    return value


_TIME = r"^ *(\d+(\.\d+)?(e[+-]?\d+)?|(\d+(\.\d+)? *(ms|s|m|h|d|w) *)+)$"
_SIZE = r"^\s*\d+\s*([kKmMgG]?([iI]?[bB])?)\s*$"


def _schema(unit: str, text: str, **number: object) -> WithJsonSchema:
    return WithJsonSchema({"x-unit": unit, "anyOf": [number, {"type": "string", "pattern": text}]})


Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(gt=0, allow_inf_nan=False),
    _schema("seconds", _TIME, type="number", exclusiveMinimum=0),
]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{ID_PATTERN.pattern}$"})]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=4096), _schema("bytes", _SIZE, type="integer", minimum=4096)]


ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s-]\S*$")]
KindName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63})$")]
"""A kind of agent, or `*` for all that are not named."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
