"""Figures and how they are told."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from conductor.kit.filesystem import filesystem_type


@dataclass(frozen=True)
class Figure:
    """One line of the table of what must be reached. `reached` is None where nothing is asked."""

    what: str
    must: str
    measured: str
    reached: bool | None
    behind: tuple[str, ...] = ()
    """The numbers that it comes from."""
    how: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return {True: "reached", False: "MISSED", None: "-"}[self.reached]


class NotMeasured(Exception):
    """What is needed for it is not here, or broke."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie, interpolated."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


median = statistics.median


def listed(values: Sequence[float], form: str = "{:.0f}") -> str:
    return ", ".join(form.format(value) for value in values)


def load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def machine(directory: str) -> dict[str, object]:
    """Where the figures come from: they are not comparable without it."""
    return {
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "disk": filesystem_type(directory),
        "load at start": load(),
    }


def headline(facts: dict[str, object]) -> str:
    warning = ""
    if facts["disk"] in ("tmpfs", "ramfs"):
        warning = "\nThis folder is in memory: nothing here is durable. Choose a disk with --dir."
    return ", ".join(f"{name} {value}" for name, value in facts.items()) + warning


def rendered(figure: Figure) -> str:
    """One figure for people."""
    lines = [f"{figure.what}", f"    {figure.verdict}: {figure.measured}   (must: {figure.must or 'nothing asked'})"]
    lines += [f"    {line}" for line in figure.behind]
    if figure.how:
        lines.append(f"    how: {figure.how}")
    return "\n".join(lines)


def table(figures: Sequence[Figure]) -> str:
    """All figures in one view."""
    rows = [("what", "must", "measured", "")] + [(f.what, f.must, f.measured, f.verdict) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
