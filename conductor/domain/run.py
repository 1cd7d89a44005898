"""A run: one execution of one plan, and what is known of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from conductor.domain.plan import Step


class RunStatus(StrEnum):
    PLANNING = "planning"
    """A model takes the request apart."""
    WAITING = "waiting"
    """For a person: `Run.asks` says for what."""
    RUNNING = "running"
    """Its steps are handed out, worked on and merged."""
    FINISHING = "finishing"
    """Every step is over: landing on the target branch, review, push."""
    COMPLETED = "completed"
    """Every step is merged, and the run has landed."""
    NEEDS_REVIEW = "needs_review"
    """Something is kept that only a person can judge; what could be merged is."""
    FAILED = "failed"
    """A step or the plan failed; `conductor runs retry` goes on from there."""
    STOPPED = "stopped"
    """A person stopped it, or its time was up: what is merged is kept on its branch."""


ENDED_RUNS = frozenset({RunStatus.COMPLETED, RunStatus.NEEDS_REVIEW, RunStatus.FAILED, RunStatus.STOPPED})


class StepStatus(StrEnum):
    PENDING = "pending"
    """It waits: `conductor why RUN STEP` says for what."""
    IN_PROGRESS = "in_progress"
    """A task works on it, or its work is being merged."""
    COMPLETED = "completed"
    """Merged, and the check passed; in a run without git: its task ended well."""
    FAILED = "failed"
    """Its task ended badly and no attempt is left: `conductor runs retry RUN STEP` tries it anew."""
    NEEDS_REVIEW = "needs_review"
    """Given up with its work kept under a ref."""
    BLOCKED = "blocked"
    """Something that it depends on will not come."""
    CANCELLED = "cancelled"
    """Its task was cancelled, or its run ended before it was handed out."""


OVER_STEPS = frozenset(
    {StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.BLOCKED, StepStatus.CANCELLED}
)


class RunAutonomy(StrEnum):
    """Who says go."""

    MANUAL = "manual"
    """A person, to each wave."""
    CONFIRM = "confirm"
    """A person, to the plan."""
    FULL = "full"


class Asks(StrEnum):
    """What a run waits for."""

    NOTHING = ""
    """Nobody is asked."""
    PLAN = "plan"
    """The plan, before its first step."""
    COMMANDS = "commands"
    """Commands that a model wrote and no allow-list knows."""
    WAVE = "wave"
    """The next wave of steps."""


class DelegationState(StrEnum):
    """From the first word to the merge. Each is written before the deed that follows from it."""

    SPAWNING = "spawning"
    """The worktree is being made, the task submitted."""
    WORKING = "working"
    """Its task is in the queue or runs."""
    RETURNED = "returned"
    """The task ended well; the work is being taken out of the worktree."""
    MERGING = "merging"
    """Its work is kept under a ref and waits for, or is in, the merge queue."""
    COMPLETED = "completed"
    """Its work is merged."""
    BOUNCED = "bounced"
    """Sent back by the merge queue: another round follows, or the step is given up."""
    FAILED = "failed"
    """The task ended badly."""
    HELD = "held"
    """Kept for a person, with its work."""


OPEN_DELEGATIONS = frozenset(
    {DelegationState.SPAWNING, DelegationState.WORKING, DelegationState.RETURNED, DelegationState.MERGING}
)


@dataclass(frozen=True, slots=True)
class Project:
    """A place to work in that the store knows. Choices (check, allow-list, push) are settings, not facts."""

    name: str
    workspace: str
    """Absolute path of the main checkout."""
    target: str
    """The branch that runs land on."""
    created: float
    created_here: bool = False
    """conductor made the folder."""
    repository: str = ""
    """`owner/name` on GitHub, where it was made."""
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """Written by its orchestrator alone once it has one; wishes of people are a row of their own (`Wish`)."""

    id: str
    """`r-` and eight letters or digits; a part of its task ids."""
    project: str
    """Of a run without a project its own id: such a run has a folder, no git."""
    title: str
    status: RunStatus
    created: float
    request: str = ""
    """In plain words; empty where a plan was given."""
    workspace: str = ""
    """The project's main checkout, or the folder of a run without git."""
    isolated: bool = True
    """Each step in a worktree, merged when it passed; False: all in `workspace`, without git."""
    autonomy: RunAutonomy = RunAutonomy.FULL
    sequential: bool = False
    wip: int = 0
    """Most steps in progress at once; 0: as the settings say."""
    timeout_seconds: float = 14400.0
    spent_seconds: float = 0.0
    """Of the timeout; the clock stands still while it waits for a person or a limit."""
    from_model: bool = False
    check: str = ""
    branch: str = ""
    """What its steps are merged into: `conductor/<run id>`."""
    target: str = ""
    base: str = ""
    """Commit of the target that it was cut from."""
    asks: Asks = Asks.NOTHING
    asked: int = 0
    """How often it has asked; it goes on when `Wish.approved` is as high."""
    asked_for: tuple[str, ...] = ()
    """The commands or the step ids in question."""
    wave: int = 0
    """The latest one released."""
    planner: str = ""
    """`agent:model` that wrote the plan."""
    agent: str = ""
    """Of steps that name none."""
    write_back: str = ""
    """Path of the tasks.json that is told at the end what became of each step."""
    tag: str = ""
    """Of that file."""
    plan_only: bool = False
    """`conductor plan`: it asks for the plan whatever the autonomy."""
    reason: str = ""
    """Why it ended or waits as it does, for a person."""
    report: str = ""
    """Path of the reviewer's report; empty: none."""
    pull_request: str = ""
    started: float = 0.0
    ended: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.status in ENDED_RUNS


@dataclass(frozen=True, slots=True)
class Wish:
    """What people want of a run: written by the command line, read by the orchestrator."""

    run_id: str
    stop: bool = False
    approved: int = 0
    accept: tuple[str, ...] = ()
    """Steps that need review, to be merged as they are."""
    again: tuple[str, ...] = ()
    """Steps that failed or need review, to be tried anew."""


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of one run, and where it stands."""

    run_id: str
    step: Step
    position: int
    """In the plan, from 0."""
    status: StepStatus = StepStatus.PENDING
    reason: str = ""
    round: int = 0
    """The latest; 0: not emitted yet. The first emission, each return from the merge queue and each further try is
    one."""
    bounces: int = 0
    wave: int = 0
    commit: str = ""
    """The one that brought it into the run's branch."""
    agent: str = ""
    model: str = ""
    usd: float = 0.0
    tokens: int = 0
    started: float = 0.0
    ended: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.status in OVER_STEPS


@dataclass(frozen=True, slots=True)
class Delegation:
    """One round of one step, handed to one task."""

    task_id: str
    run_id: str
    step_id: str
    round: int
    state: DelegationState
    created: float
    agent: str = ""
    model: str = ""
    worktree: str = ""
    branch: str = ""
    base: str = ""
    """Commit that the worktree was cut from."""
    work: str = ""
    """Commit that holds what was in the worktree."""
    context: str = ""
    """Path of the text that the agent was given beside the task."""
    reason: str = ""
    usd: float = 0.0
    tokens: int = 0
    ended: float = 0.0

    @property
    def who(self) -> str:
        """AGENT[:MODEL]."""
        return f"{self.agent}:{self.model}" if self.model else self.agent


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that happened, for people and for events.jsonl."""

    at: float
    action: str
    """`run_started`, `step_merged`: stable words."""
    project: str = ""
    run_id: str = ""
    step_id: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    sequence: int = 0
    """Given by the store."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """That a project's orchestrator lives, and at what it is."""

    project: str
    owner: str
    """Its process, as `conductor.domain.worker_id` writes one."""
    at: float
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is written in one short transaction: all of it or nothing. Rows replace those of the same key."""

    run: Run | None = None
    steps: tuple[StepState, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    activity: tuple[Activity, ...] = ()


def reopened(run: Run, approved: int) -> Run:
    """The run that was over as it goes on. It asks on where it ended before anybody said yes: wishing something of a
    step is no yes to the rest. `approved`: `Wish.approved`."""
    again = replace(run, reason="", ended=0.0, spent_seconds=0.0)
    if run.asks is not Asks.NOTHING and approved < run.asked:
        return replace(again, status=RunStatus.WAITING)
    return replace(again, status=RunStatus.RUNNING, asks=Asks.NOTHING, asked_for=())


def task_id_of(run_id: str, step_id: str, round_number: int) -> str:
    """The id of the task of one round: derived, so that emitting it twice is refused by the queue."""
    whole = f"{run_id}.{step_id}.{round_number}"
    if len(whole) <= 64:
        return whole
    # Long step ids differ at their end as often as at their start.
    return f"{run_id}.{_short(step_id)}.{round_number}"


def _short(step_id: str) -> str:
    total = 0
    for letter in step_id:
        total = (total * 1_000_003 + ord(letter)) % (1 << 50)
    return f"{step_id[:24].rstrip('.-_')}-{total:013x}"
