"""What a text asks for: its category, how complex it is, how much thinking it wants. Words decide, the same way always:
`conductor.routing.words` is the table."""

from __future__ import annotations

from dataclasses import dataclass

from conductor.domain.plan import StepType
from conductor.routing.words import CATEGORY_WORDS, COMPLEXITY_WORDS, LITTLE_THINKING, MUCH_THINKING, rule

MOST_LETTERS = 4000
"""Of a text are looked at: what it asks for is said at its beginning."""

BY_TYPE = {
    StepType.FEATURE: "code-generation-new-features",
    StepType.BUG: "bug-detection-fixes",
    StepType.REFACTOR: "multi-file-refactoring",
    StepType.TEST: "unit-test-generation",
    StepType.DOCUMENTATION: "documentation-generation",
}
"""Where the words of a step say nothing."""

_CATEGORIES = tuple((name, rule(words)) for name, words in CATEGORY_WORDS)
_NARROW = _CATEGORIES[:-1]
"""Without what any request says."""
_COMPLEXITIES = tuple((level, rule(words)) for level, words in COMPLEXITY_WORDS)
_MUCH, _LITTLE = rule(MUCH_THINKING), rule(LITTLE_THINKING)

_DEMANDING = frozenset(
    {
        "algorithm-implementation",
        "debugging-complex-issues",
        "legacy-modernization",
        "performance-optimization",
        "security-fixes",
        "security-vulnerability-detection",
    }
)
_LEVELS = {1: "low", 2: "low", 3: "medium", 4: "high", 5: "high"}


@dataclass(frozen=True, slots=True)
class Asked:
    category: str
    """Empty: no rule fits."""
    complexity: int | None
    """None: nothing is said of it."""
    thinking: str
    """low, medium or high; empty: as the agent does by itself."""


def classify(text: str) -> Asked:
    seen = _seen(text)
    category = next((name for name, known in _CATEGORIES if known.search(seen)), "")
    complexity = next((level for level, known in _COMPLEXITIES if known.search(seen)), None)
    return Asked(category, complexity, _thinking(seen, category, complexity))


def _thinking(text: str, category: str, complexity: int | None) -> str:
    """What the text says of it, else what kind of work and complexity call for."""
    if _MUCH.search(text):
        return "high"
    if _LITTLE.search(text):
        return "low"
    if category in _DEMANDING and (complexity is None or complexity > 2):
        return "high"
    return _LEVELS[complexity] if complexity else ""


def category_of(title: str, description: str, step_type: StepType) -> str:
    """Of a step that names none. A type that is no feature was chosen by whoever wrote the plan; a feature is also what
    nobody chose, so the words of its title count, then those of its description."""
    if step_type is StepType.FEATURE:
        for text in (title, description):
            seen = _seen(text)
            for name, known in _NARROW:
                if known.search(seen):
                    return name
    return BY_TYPE[step_type]


def _seen(text: str) -> str:
    return " ".join(text[:MOST_LETTERS].lower().split())
