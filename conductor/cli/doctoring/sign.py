"""What one look found: well, worth knowing, or wrong, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Sign:
    """`remedy` is empty where nothing needs to be done."""

    level: Level
    about: str
    """home, limits, daemon, ...: the noun that was looked at."""
    what: str
    remedy: str = ""


def ok(about: str, what: str) -> Sign:
    return Sign(Level.OK, about, what)


def warning(about: str, what: str, remedy: str) -> Sign:
    return Sign(Level.WARNING, about, what, remedy)


def wrong(about: str, what: str, remedy: str) -> Sign:
    return Sign(Level.WRONG, about, what, remedy)


def graded(about: str, what: str, *, left: float, warn_below: float, wrong_below: float, remedy: str) -> Sign:
    """By how much of something is left."""
    if left >= warn_below:
        return ok(about, what)
    return (wrong if left < wrong_below else warning)(about, what, remedy)
