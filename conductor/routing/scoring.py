"""What a model is worth for one step: points, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

from conductor.routing.registry import Capability, Rules

STAR_POINTS = 10.0
FIT_POINTS = (40.0, 35.0)
"""Where the most that a model is trusted with is just what the step asks for, and one above it."""
LOOSE_FIT_POINTS = 30.0
MOST_EXPERIENCE = 10
FREE_POINTS = 10.0
MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Known:
    """What was learned of a model in one category."""

    done: int = 0
    """Tasks, conductor's own and those before it."""
    recent_failures: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    parts: tuple[tuple[str, float], ...]

    @property
    def points(self) -> float:
        """Uncapped: what candidates are ranked by."""
        return sum(points for _, points in self.parts)

    @property
    def shown(self) -> int:
        """0 to 100, half points up."""
        return max(0, min(MOST_SHOWN, math.floor(self.points + 0.5)))


def score(capability: Capability, complexity: int, known: Known, *, is_free: bool, rules: Rules) -> Score | None:
    """None where the step is more complex than the model is trusted with."""
    room = capability.max_complexity - complexity
    if room < 0:
        return None
    return Score(
        (
            ("rating", STAR_POINTS * capability.rating),
            ("complexity", FIT_POINTS[room] if room < len(FIT_POINTS) else LOOSE_FIT_POINTS),
            ("experience", float(min(MOST_EXPERIENCE, known.done))),
            ("free", FREE_POINTS if is_free and rules.prefer_free else 0.0),
            ("failures", -rules.failure_penalty * known.recent_failures if known.recent_failures else 0.0),
        )
    )
