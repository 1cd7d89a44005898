"""The Protocols through which one room reaches another; `app.py` hands over the real thing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from conductor.domain.agent_events import AgentEvent, Call, Limit
from conductor.domain.agent_setup import AgentSetup, Autonomy, ProviderSetup
from conductor.domain.failure import Failure
from conductor.domain.outcome import TaskResult
from conductor.domain.retry import Verdict
from conductor.domain.tally import Tally
from conductor.domain.task import Claim, TaskSpec
from conductor.domain.usage import Usage
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
        """The next task of `pool`, now owned by `worker_id`; None when none is ready or the queue is paused or full."""

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

    def tasks(self, kinds: Collection[type] = ()) -> Iterator[TaskView]:
        """Running first, then ready in the order in which they would be claimed, waiting, batched, dead; only views of
        those `kinds` (Running, Queued, Waiting, Ended; none: all), and of the others nothing is read but names. It
        costs what is taken from it."""

    def counts(self) -> Counts: ...

    def has_ready(self, pool: str) -> bool: ...

    def has_due(self) -> bool:
        """Whether a task has ended for which others waited: `tend` moves them on."""

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

    def mark_full(self, reason: str) -> None:
        """Nothing is claimed while there is a reason (one line) why the disk may take no more work, over restarts too;
        empty: it may again. Accepting and finishing go on."""

    def full(self) -> str:
        """That reason; empty: none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an agent reaches its provider: the attempt's gate, or the provider itself."""

    url: str
    """Without `/v1...` and without a slash at its end."""
    key: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an agent is asked, and where."""

    spec: TaskSpec
    attempt: int
    attempt_directory: str
    workspace: str
    text: str = ""
    """The whole prompt, made from the templates; `command` and its like run `spec.description` instead."""
    model: str = ""
    """Aliases resolved; empty: the agent's own default."""
    thinking: str = ""
    autonomy: Autonomy = Autonomy.WORKSPACE
    endpoint: Endpoint | None = None
    """None: the agent finds its own way to its provider."""
    state_directory: str = ""
    """An empty folder, 0700, for the agent's private state of this attempt alone; gone after `settle`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The daemon's: where the user's login is (HOME and the like). The agent does not get it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start an agent: no shell in between."""

    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    """On top of the allow-listed environment."""
    files: tuple[tuple[str, str], ...] = ()
    """(path, content) written before the start, mode 0600, folders made: relative to the attempt's folder, or absolute
    inside the state directory."""
    stdin: str = ""
    """Path of the file that is its standard input, relative as above; empty: /dev/null."""
    structured: bool = False
    """Its standard output goes to `reader` and, like its standard error, into agent.log."""
    call: tuple[str, str] | None = None
    """Instead of argv: (`module:function`, JSON): the function runs in the forked child with the text as its only
    argument, standard input, output and environment as for a program; what it returns is the exit code."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the agent's process ended. Exactly one of `exit_code` and `signal` is set."""

    exit_code: int | None
    signal: int | None
    tail: str
    """The last part of its masked output, both streams, at most 64 KiB."""
    told: Tally = field(default_factory=Tally)
    """All events of its stream and of the gate."""


@dataclass(frozen=True, slots=True)
class AgentReport:
    """The agent's own judgement of an attempt that was not cut short."""

    succeeded: bool
    reason: str
    text: str
    """The final answer, for RESULT.txt."""
    preview: str
    """The line that says most, for results.txt."""
    failure: Failure = Failure.NONE
    limit: Limit | None = None
    """With Failure.LIMIT: what is known of it."""
    usage: Usage | None = None
    """None: unknown."""
    usd: float | None = None
    """As the agent reported it; None: it did not."""
    model: str = ""
    """The one really used, where it was told."""
    session: str = ""
    turns: int | None = None
    tools: int = 0
    denials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an adapter declares of its program."""

    stream: bool = False
    """It tells events while it runs: silence is a stall."""
    usage: bool = False
    """It tells usage while it runs."""
    limits: bool = False
    """It tells limits with their reset time."""
    input_includes_cached: bool = False
    """Its own numbers do; ours never."""
    binary: str = ""
    """Its program's usual name; empty: it is no program of its own."""
    forms: tuple[str, ...] = ()
    """Protocols of providers it can be pointed at by base URL, the preferred one first."""
    thinking: tuple[str, ...] = ()
    """Levels it accepts, of THINKING_LEVELS; none: it takes any text."""
    memory_bytes: int = 0
    """What one run takes at its peak, as measured; 0: as good as nothing."""
    preload: tuple[str, ...] = ()
    """Modules worth loading once in its pool's nursery."""
    prompted: bool = True
    """It asks a model: it gets a prompt from the templates, a private state folder, a meter and, where it has a
    provider, a gate. `command` and its like get the description as it is."""


class EventReader(Protocol):
    """Turns an agent's standard output into events. Never raises, whatever the bytes are."""

    def feed(self, chunk: bytes) -> Sequence[AgentEvent]: ...

    def close(self) -> Sequence[AgentEvent]:
        """At the end of the stream."""


class Agent(Protocol):
    """Does the work inside a worker. Registered under the entry point group `conductor.agents`; made with its
    AgentSetup, once per nursery. `conductor.agents.shape.PlainAgent` has defaults for all but `launch` and `judge`."""

    @property
    def setup(self) -> AgentSetup: ...

    @property
    def abilities(self) -> Abilities: ...

    def launch(self, prompt: Prompt) -> Launch:
        """Raises BadTask where the task asks for what the agent can't do."""

    def reader(self) -> EventReader | None:
        """A new one for each attempt; None: its output is plain text."""

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport: ...

    def settle(self, prompt: Prompt) -> None:
        """After its last process is gone, before the state directory goes: takes home what must survive, such as a
        refreshed login."""


AgentRegistry = Callable[[str], Agent]
"""Gives the agent of a name. Raises BadTask when there is none."""


class Gate(Protocol):
    """The proxy on loopback between one attempt's agent and its provider. It listens from the moment it is made; who
    forks does so before `start`, which begins its threads."""

    @property
    def endpoint(self) -> Endpoint:
        """Its address, and the worthless key that it wants to see."""

    def start(self) -> None: ...

    def fileno(self) -> int:
        """Readable when there are calls to take."""

    def take(self) -> Sequence[Call]:
        """Calls that are over, each once."""

    def refuse(self, reason: str) -> None:
        """From now on model calls are answered with `reason`, and those under way are cut."""

    def close(self) -> None:
        """What is under way ends and is told as incomplete: `take` once more after it."""


GateFactory = Callable[[ProviderSetup, str], Gate]
"""Makes the gate to a provider, with the real key."""


class Doorkeeper(Protocol):
    """Says which tasks may start now: parked providers, most agents at once, memory, budgets of projects and days."""

    def lane(self, spec: TaskSpec) -> str:
        """Where a task waits that may not start: its agent and fallbacks, joined by `+`, and behind a comma its
        project where that has a budget (fit for a folder's name); empty: it may always start."""

    def is_open(self, lane: str) -> bool:
        """Whether a task of that lane may start now, as far as can be said without the task."""

    def admit(self, spec: TaskSpec, worker_id: str) -> TaskSpec | None:
        """The task as it may start now, perhaps with a fallback for its agent and model, and counted as running from
        now on; None when it must wait."""

    def release(self, worker_id: str) -> None:
        """Its run is over, however it ended."""

    def park(self, agent: str, limit: Limit) -> float:
        """Parks the agent's provider and account; until when, in seconds since 1970, the task that met the limit must
        wait (also where that provider is never parked)."""

    def learn(self, agent: str, *, succeeded: bool, peak_bytes: int | None, version: str = "") -> None:
        """A run of it ended by itself, or was cut short: `peak_bytes` is what its tree took at most, None: not known;
        `version` that of its program, where told."""

    def why(self, spec: TaskSpec) -> str:
        """Why the task may not start now, for a person; empty: it may."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one attempt used since its last charge."""

    project: str
    agent: str
    model: str
    usage: Usage
    usd: float | None
    """None: not known."""
    runs: int = 0
    """1 with an attempt's first charge."""
    unpriced_runs: int = 0
    """1 with the last charge of an attempt whose cost nobody knows."""
    priced_tokens: int = 0
    """Tokens charged before without a cost, whose cost `usd` holds too."""


class Ledger(Protocol):
    """Keeps what was used, by day, project, agent and model."""

    def charge(self, charge: Charge) -> str:
        """Adds it; the budget of money or tokens, of its project or day, that is now used up, for a person, or
        nothing. How many runs there may be is judged where they are let in."""

    def warning(self) -> str:
        """The budget of a project or day that the last charge brought over 80 %, for a person, or nothing: of all
        processes one hears it, once."""


class EventSink(Protocol):
    """Takes what happened, for events.jsonl and whoever follows it."""

    def emit(self, action: str, **facts: object) -> None: ...


class Log(Protocol):
    """structlog's loggers and JsonLog both are one: a stable action and facts."""

    def info(self, action: str, **facts: object) -> object: ...

    def warning(self, action: str, **facts: object) -> object: ...

    def error(self, action: str, **facts: object) -> object: ...
