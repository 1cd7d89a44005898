"""Numbers as a row of little bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▂▃▄▅▆▇█"
_NONE, _UNKNOWN = "▁", "·"


def sparkline(values: Sequence[int | None], width: int) -> str:
    """`width` bars at most, each the sum of as many of `values` as it takes, the tallest full; the last value is in the
    last bar. None: not known."""
    if width <= 0 or not values:
        return ""
    each = -(-len(values) // width)
    first = len(values) % each
    groups = [values[:first]] if first else []
    groups += [values[start : start + each] for start in range(first, len(values), each)]
    sums = [None if any(value is None for value in group) else sum(value or 0 for value in group) for group in groups]
    highest = max((value for value in sums if value is not None), default=0)
    return "".join(_bar(value, highest) for value in sums)


def _bar(value: int | None, highest: int) -> str:
    if value is None:
        return _UNKNOWN
    if not value:
        return _NONE
    return _BARS[(value * len(_BARS) - 1) // highest]
