"""The Protocols through which one room reaches another; `app.py` hands over the real thing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from conductor.domain.outcome import TaskResult
from conductor.domain.retry import Verdict
from conductor.domain.task import Claim, TaskSpec
from conductor.domain.view import Counts, Recovered, TaskView, Tended


class TaskQueue(Protocol):
    """Accepts tasks, hands each attempt to one worker, records it once. Any process may hold one of these."""

    def submit(self, spec: TaskSpec, *, fresh: bool = False) -> None:
        """Accepts one task durably. Raises DuplicateTask when its id is taken; `fresh`: it was just made up, by
        `stamped_id`, and need not be looked for."""

    def submit_many(self, specs: Sequence[TaskSpec], *, fresh: Collection[str] = ()) -> None:
        """Accepts all or none, durably. Raises DuplicateTask, naming the first id that is taken; those in `fresh` were
        just made up."""

    def claim(self, pool: str, worker_id: str) -> Claim | None:
        """The next task of `pool`, now owned by `worker_id`; None when none is ready or the queue is paused."""

    def finish(self, claim: Claim, result: TaskResult) -> Verdict:
        """Records the attempt once and moves its task on. Raises Fenced when another attempt owns the task."""

    def give_back(self, claim: Claim) -> None:
        """Returns an unfinished task to the head of its pool; the attempt is refunded. Raises Fenced."""

    def cancel(self, task_id: str, worker_id: str) -> str:
        """Cancels for good: `cancelled`, `stopping` (its worker will obey), or `ended` when the result came first.
        `worker_id` names the caller. Raises NoSuchTask."""

    def cancel_requested(self, claim: Claim) -> bool: ...

    def retry(self, task_id: str) -> None:
        """Makes a task that ended without success ready again, its counts forgiven. Raises NoSuchTask, UsageError."""

    def find(self, task_id: str) -> TaskView | None: ...

    def tasks(self) -> Iterator[TaskView]:
        """Running first, then ready in the order in which they would be claimed, waiting, batched, dead."""

    def counts(self) -> Counts: ...

    def has_ready(self, pool: str) -> bool: ...

    def tend(self, default_agent: str) -> Tended:
        """One bounded round of housekeeping: takes in inbox files, unpacks batches, promotes what is due."""

    def recover(self, owner_lives: Callable[[str], bool]) -> list[Recovered]:
        """Finishes for workers that are gone: no attempt stays claimed by a dead one."""

    def owned(self) -> list[tuple[str, int, str]]:
        """(task id, attempt, worker id) of every claim, of living and dead workers."""

    def pause(self) -> None:
        """Once this returned nothing is claimed until `resume`, over restarts too."""

    def resume(self) -> None: ...

    def paused(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an agent is asked, and where."""

    spec: TaskSpec
    attempt: int
    attempt_directory: str
    workspace: str


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start an agent: no shell in between; standard input is empty."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    """On top of the allow-listed environment."""
    files: tuple[tuple[str, str], ...] = ()
    """(name, content) written into the attempt's folder before the start."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the agent's process ended. Exactly one of `exit_code` and `signal` is set."""

    exit_code: int | None
    signal: int | None
    tail: str
    """The last part of its masked output, at most 64 KiB."""


@dataclass(frozen=True, slots=True)
class AgentReport:
    """The agent's own judgement of an attempt that was not cut short."""

    succeeded: bool
    reason: str
    text: str
    """The final answer, for RESULT.txt."""
    preview: str
    """The line that says most, for results.txt."""


class Agent(Protocol):
    """Does the work inside a worker. Registered under the entry point group `conductor.agents`."""

    def launch(self, prompt: Prompt) -> Launch: ...

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport: ...


AgentRegistry = Callable[[str], Agent]
"""Gives the agent of a name. Raises BadTask when there is none."""


class EventSink(Protocol):
    """Takes what happened, for events.jsonl and whoever follows it."""

    def emit(self, action: str, **facts: object) -> None: ...


class Log(Protocol):
    """structlog's loggers and JsonLog both are one: a stable action and facts."""

    def info(self, action: str, **facts: object) -> object: ...

    def warning(self, action: str, **facts: object) -> object: ...

    def error(self, action: str, **facts: object) -> object: ...
