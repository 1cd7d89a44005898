"""A plan: a request taken apart into steps with dependencies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_COMPLEXITY = 3
DEFAULT_STEP_TIMEOUT_SECONDS = 3600.0
COMMAND_AGENT = "command"
STEP_ID = re.compile(r"[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{0,63}(?<!\.)(?<!\.lock)")
"""Fit for a task id's part, a branch's part and a file's name: no slash, no two dots in a row, and no end that git
refuses."""

CATEGORIES = (
    "code-generation-new-features",
    "bug-detection-fixes",
    "multi-file-refactoring",
    "unit-test-generation",
    "debugging-complex-issues",
    "api-development",
    "security-vulnerability-detection",
    "security-fixes",
    "documentation-generation",
    "code-review",
    "frontend-development",
    "backend-development",
    "database-operations",
    "codebase-exploration",
    "dependency-management",
    "legacy-modernization",
    "error-correction",
    "performance-optimization",
    "test-coverage-analysis",
    "algorithm-implementation",
    "boilerplate-generation",
    "ci-cd-integration",
    "configuration-management",
)
"""The 23 standard categories; a public interface of plans, routing and learning."""

LOOKING_CATEGORIES = frozenset({"code-review", "codebase-exploration", "test-coverage-analysis"})
"""What such a step is for is its answer: it may leave the files as they are."""


class StepType(StrEnum):
    FEATURE = "feature"
    BUG = "bug"
    REFACTOR = "refactor"
    TEST = "test"
    DOCUMENTATION = "documentation"


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan. Empty or None: as the settings and the router say."""

    id: str
    title: str
    description: str
    """For the agent `command` the shell command itself."""
    type: StepType = StepType.FEATURE
    category: str = ""
    complexity: int = DEFAULT_COMPLEXITY
    """1 trivial to 5 very complex."""
    depends_on: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Globs (`conductor.domain.overlap`), relative to the project, of what it will touch. None: it said nothing, so it
    may touch anything, and files keep no other step apart from it."""
    criteria: tuple[str, ...] = ()
    agent: str = ""
    model: str = ""
    thinking: str = ""
    estimate_seconds: float | None = None
    timeout_seconds: float = DEFAULT_STEP_TIMEOUT_SECONDS
    retries: int = 0
    """Further attempts of its task in the queue, before the orchestrator hears of a failure."""
    verify: str = ""
    """A shell command that must pass in its worktree."""
    priority: int = 0
    allow_empty: bool = False
    """It may end well without having changed a file."""
    confidence: float | None = None
    """0 to 1: how sure the model was that wrote it."""

    @property
    def may_be_empty(self) -> bool:
        return self.allow_empty or self.category in LOOKING_CATEGORIES


@dataclass(frozen=True, slots=True)
class Plan:
    """Valid by construction where a reader of `conductor.orchestrator.plans` made it: ids unique, dependencies known,
    no cycle."""

    name: str
    steps: tuple[Step, ...]
    description: str = ""
    """The request, where there was one."""
    project: str = ""
    check: str = ""
    """The command that must pass before a merge; empty: the project's own."""
    from_model: bool = False
    """A model wrote it: none of its commands is run unseen."""
    source: str = ""
    """Path of the file it was read from."""
    notes: tuple[str, ...] = ()
    """What a person should know of the reading: tasks that were left out, and why."""
