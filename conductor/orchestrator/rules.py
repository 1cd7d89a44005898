"""What the settings say of one project's runs, and what the orchestrator works with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from conductor.domain.plan import Step
from conductor.domain.run import Run, StepState
from conductor.domain.task import TaskSpec
from conductor.orchestrator.briefs import EarlierRound
from conductor.ports import Log, TaskQueue
from conductor.ports.orchestration import (
    CheckRunner,
    Difference,
    ProjectMirror,
    Publisher,
    Repository,
    ResultsFeed,
    Router,
    Store,
    Teller,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Choices, as settings have them."""

    wip: int
    bounces: int = 2
    check: str = ""
    check_timeout_seconds: float = 1800.0
    planner: tuple[str, ...] = ()
    resolver: str = ""
    reviewer: str = ""
    allow_commands: tuple[str, ...] = ()
    push: bool = False
    pull_request: bool = False
    remote: str = "origin"
    route_depth: int = 2
    beat_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a round's worker is told of."""

    run: Run
    step: Step
    plan: tuple[Step, ...]
    merged: tuple[StepState, ...]
    """The latest ones."""
    earlier: tuple[EarlierRound, ...]
    for_resolver: bool


@dataclass(frozen=True, slots=True)
class Texts:
    """What goes to models and to people, made elsewhere: each gives a whole text."""

    brief: Callable[[Briefing], str]
    """For the worker's prompt."""
    planning: Callable[[Run, str, tuple[str, ...], int], str]
    """(run, the last answer, its faults, how often this planner was asked before): the prompt that asks for a plan."""
    review: Callable[[Run, tuple[StepState, ...], Difference], str]
    commit: Callable[[Run, StepState], str]
    ending: Callable[[Run, tuple[StepState, ...]], str]
    """The last commit's message."""
    pull_request: Callable[[Run, tuple[StepState, ...]], tuple[str, str]]
    """Title and body."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything that one project's orchestrator reaches the world through."""

    project: str
    folder: str
    """`<home>/projects/<project>`."""
    store: Store
    queue: TaskQueue
    router: Router
    checks: CheckRunner
    publisher: Publisher
    feed: ResultsFeed
    teller: Teller
    log: Log
    clock: Callable[[], float]
    repository: Repository | None
    """None: a run without git."""
    texts: Texts
    ring: Callable[[str], None]
    """Tells conductord that a task was submitted."""
    nudge: Callable[[str], None]
    """Tells conductord that a running task was cancelled."""
    pool_of: Callable[[str], str]
    """The pool of an agent."""
    planned_agents: Collection[str]
    """Those that a model's plan may name."""
    is_prompted: Callable[[str], bool]
    """Whether the agent asks a model."""
    held_up: Callable[[TaskSpec], str]
    """Why a task may not start now, where a limit is the reason; empty: it may."""
    answer: Callable[[str], str]
    """The whole answer of a task that ended."""
    find_check: Callable[[str], str]
    """The command that the files of a folder call for; empty: none."""
    caller: str
    """Who cancels tasks, as the queue knows processes."""
    mirror: ProjectMirror
    write_back: Callable[[Run, Sequence[StepState]], None]
    """Tells the file that the plan came from what became of its steps; never raises."""
