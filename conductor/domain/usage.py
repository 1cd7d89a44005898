"""Tokens and money of model calls: one meaning for every agent's numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `input` never includes what came from the cache (agents that count it in are normalised by their
    reader); `output` includes `reasoning`."""

    input: int = 0
    cached: int = 0
    """Read from the provider's cache."""
    cache_written: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.cached + self.cache_written + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.cache_written + other.cache_written,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )

    def __sub__(self, other: Usage) -> Usage:
        """What came on top of `other`, an earlier total; never less than nothing."""
        return Usage(
            max(0, self.input - other.input),
            max(0, self.cached - other.cached),
            max(0, self.cache_written - other.cache_written),
            max(0, self.output - other.output),
            max(0, self.reasoning - other.reasoning),
        )

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. None: not known, then `cached` and `cache_written` cost what `input` costs."""

    input: float
    output: float
    cached: float | None = None
    cache_written: float | None = None

    def cost(self, usage: Usage) -> float:
        """US dollars."""
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.cache_written is None else self.cache_written
        return (
            usage.input * self.input
            + usage.cached * cached
            + usage.cache_written * written
            + usage.output * self.output
        ) / 1e6


_DATED = re.compile(r"(-preview)?(-latest|-\d{8}|-\d{4}-\d{2}-\d{2}|-\d{2}-\d{4}|-\d{2}-\d{2})?(\[1m\])?")


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """The price of `model`: that of its name (`provider/` in front and a date behind are left out), else of the longest
    name in the table that ends in `*` and fits. Else none: a newer model's price is not that of the older one whose
    name it begins with."""
    name = model.rpartition("/")[2].lower()
    exact = [entry for entry in prices if _names(entry.lower(), name)]
    fitting = [entry for entry in prices if entry.endswith("*") and name.startswith(entry[:-1].lower())]
    known = exact or fitting
    return prices[max(known, key=len)] if name and known else None


def _names(entry: str, name: str) -> bool:
    return name.startswith(entry) and _DATED.fullmatch(name, len(entry)) is not None


def price_from(fields: Mapping[str, Any]) -> Price:
    """A price as it stands in a table: {input, output, cached?, cache_written?}."""
    return Price(
        float(fields["input"]),
        float(fields["output"]),
        None if fields.get("cached") is None else float(fields["cached"]),
        None if fields.get("cache_written") is None else float(fields["cache_written"]),
    )
