"""What `conductor top` shows, gathered as cheaply as it can be had: one `Look` is all that is drawn from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from conductor.app import ask_daemon, patient_queue
from conductor.cli.last_lines import LastLines
from conductor.cli.top_hour import Hour, HourWatch
from conductor.domain.errors import BadTask, ConductorError, DaemonNotRunning
from conductor.domain.lines import ResultLine, parse_task
from conductor.domain.masking import Masker, masked_spec, secret_values
from conductor.queue.pools import Delayed, PoolLook, PoolWatch

if TYPE_CHECKING:
    from conductor.domain.task import TaskSpec
    from conductor.queue.layout import Layout
    from conductor.store.glance import Glance, RunGlance

T = TypeVar("T")
_EVERY_SECONDS = 1.0
_COSTS_A_PAUSE = 100
"""What took long is asked again after so many times as long: a huge queue must not be counted all the time."""
_LONGEST_PAUSE_SECONDS = 30.0
"""But a conductord that hung for a moment is asked again."""
_UPCOMING = 20
_MOST_RUNS = 10
_ASK_SECONDS = 3.0
_LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """A line about a task, or a slot without one."""

    kind: str
    """slot, next, delayed or ended."""
    key: str
    """Tells it from the others over looks."""
    where: str
    state: str
    task: str = ""
    agent: str = ""
    seconds: float | None = None
    """For how long so; of a delayed one until it is due; of one that has ended the time when it did, since 1970."""
    text: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in progress."""

    id: str
    project: str
    status: str
    title: str
    since: float
    steps: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Look:
    """`at`: when, in seconds since 1970. Counts are those of `status`."""

    at: float
    home: str
    daemon: Mapping[str, Any] = field(default_factory=dict)
    """What conductord says of itself; empty: none runs, `trouble` says so."""
    trouble: str = ""
    paused: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    pools: tuple[PoolLook, ...] = ()
    workers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of each pool: how many are busy, how many there are to be."""
    hour: Hour = Hour()
    limits: tuple[str, ...] = ()
    runs: tuple[RunLine, ...] = ()
    rows: tuple[Row, ...] = ()
    failures: tuple[Row, ...] = ()


class Paced(Generic[T]):
    """A question that is asked at most once a second, and more seldom where answering takes long."""

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._next = float("-inf")
        self._answer: T | None = None

    def __call__(self) -> T:
        began = self._clock()
        if began >= self._next or self._answer is None:
            self._answer = self._ask()
            taken = self._clock() - began
            self._next = began + max(_EVERY_SECONDS * 0.9, min(_COSTS_A_PAUSE * taken, _LONGEST_PAUSE_SECONDS))
        return self._answer

    def forget(self) -> None:
        """The next time it is asked anew."""
        self._next = float("-inf")


class Lookout:
    """Looks at one home again and again."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._home = layout.home
        self._hour = HourWatch(layout.home.results, time.time)
        self._pools = PoolWatch(layout, _UPCOMING)
        self._lines = LastLines(layout.home)
        self._specs: dict[tuple[str, int], TaskSpec | None] = {}
        self._ended: dict[str, Row] = {}
        self._glance: Glance | None = None
        self._runs_version = -1
        self._runs: tuple[RunLine, ...] = ()
        self._status = Paced(self._ask_status)
        self._queue = Paced(self._ask_queue)
        self._counts = Paced(self._ask_counts)
        self._run_lines = Paced(self._ask_runs)
        self._masker = Masker(secret_values(os.environ))

    def look(self) -> Look:
        now = time.time()
        daemon, trouble = self._status()
        pools, delayed = self._queue()
        hour = self._hour.look()
        slots = [self._slot_row(slot) for slot in daemon.get("slots", ())] or self._claimed_rows()
        self._forget_all_but({(row.task, row.attempt) for row in slots if row.task})
        ended = {_end_key(line): line for line in (*hour.recent, *hour.failures)}
        self._ended = {key: self._ended.get(key) or _ended_row(key, line) for key, line in ended.items()}
        return Look(
            at=now,
            home=self._home.path,
            daemon=daemon,
            trouble=trouble,
            paused=os.path.exists(self._layout.paused),
            counts=daemon.get("queue") or self._counts(),
            pools=tuple(pools),
            workers=_workers(daemon),
            hour=hour,
            limits=self._obstacles(daemon, now),
            runs=self._run_lines(),
            rows=(
                *slots,
                *(self._next_row(pool, spec, now) for pool in pools for spec in pool.upcoming),
                *(self._delayed_row(one, now) for one in delayed),
                *(self._ended[_end_key(line)] for line in hour.recent),
            ),
            failures=tuple(self._ended[_end_key(line)] for line in hour.failures),
        )

    def forget(self) -> None:
        """The next look asks for everything: somebody has changed something."""
        self._status.forget()
        self._queue.forget()

    def close(self) -> None:
        self._hour.close()
        if self._glance is not None:
            self._glance.close()

    # -- asking

    def _ask_status(self) -> tuple[Mapping[str, Any], str]:
        try:
            return ask_daemon(self._home, {"verb": "status"}, timeout_seconds=_ASK_SECONDS), ""
        except DaemonNotRunning as error:
            return {}, str(error)
        except (ConductorError, ValueError) as error:
            return {}, f"conductord can't be asked: {error}"

    def _ask_queue(self) -> tuple[list[PoolLook], list[Delayed]]:
        with suppress(OSError):  # a folder that vanished under way: the next look is right again
            return self._pools.pools(), self._pools.delayed()
        return [], []

    def _ask_counts(self) -> Mapping[str, int]:
        from conductor.supervisor.status_page import counts_status

        with suppress(OSError):
            return counts_status(patient_queue(self._layout).counts())
        return {}

    def _obstacles(self, daemon: Mapping[str, Any], now: float) -> tuple[str, ...]:
        """What holds up more than one task: a full disk, parked providers."""
        from conductor.limits.parking import parked_lines

        with suppress(OSError, ConductorError):
            full = daemon.get("full") if daemon else patient_queue(self._layout).full()
            told = [f"nothing is claimed: {full}; `conductor clean` makes room"] if full else []
            return (*told, *(daemon["limits"] if daemon else parked_lines(self._home.path, now)))
        return ()

    def _ask_runs(self) -> tuple[RunLine, ...]:
        import sqlite3

        try:
            if self._glance is None:
                from conductor.app.glancing import open_glance

                self._glance = open_glance(self._home)
            if self._glance is not None and self._glance.version() != self._runs_version:
                self._runs_version = self._glance.version()
                self._runs = tuple(_run_line(self._glance, run) for run in self._glance.runs(_ACTIVE, _MOST_RUNS))
        except sqlite3.Error:
            self._runs_version = -1  # it is being made, or busy: what was seen last is shown on
        return self._runs

    # -- rows

    def _slot_row(self, slot: Mapping[str, Any]) -> Row:
        where, state = f"{slot['pool']}/{slot['slot']}", str(slot["state"])
        seconds = slot.get("for_seconds", slot.get("again_in_seconds"))
        if state != "busy":
            return Row("slot", where, where, state, seconds=seconds, text=str(slot.get("why", "")))
        return self._running_row(where, str(slot["task"]), int(slot["attempt"]), float(seconds or 0.0))

    def _running_row(self, where: str, task_id: str, attempt: int, seconds: float | None) -> Row:
        spec = self._spec(task_id, attempt)
        text = self._lines.of(task_id, attempt) or (f"({spec.description})" if spec else "")
        return Row("slot", task_id, where, "busy", task_id, _doer(spec), seconds, text, attempt)

    def _claimed_rows(self) -> list[Row]:
        """Without a conductord: what workers that outlived it are at."""
        with suppress(OSError, ConductorError):
            owned = patient_queue(self._layout).owned()
            return [self._running_row("-", task_id, attempt, None) for task_id, attempt, _ in owned]
        return []

    def _next_row(self, pool: PoolLook, spec: TaskSpec, now: float) -> Row:
        age = now - spec.submitted_ms / 1000 if spec.submitted_ms else None
        return Row("next", spec.id, pool.pool, "ready", spec.id, _doer(spec), age, self._asked(spec))

    def _delayed_row(self, one: Delayed, now: float) -> Row:
        due = one.due_ms / 1000 - now
        return Row(
            "delayed", one.spec.id, one.spec.pool, "waiting", one.spec.id, _doer(one.spec), due, self._asked(one.spec)
        )

    def _asked(self, spec: TaskSpec) -> str:
        """What a row has room for, secrets masked."""
        return self._masker.mask(masked_spec(replace(spec, description=spec.description[:_LONGEST_TEXT])).description)

    def _spec(self, task_id: str, attempt: int) -> TaskSpec | None:
        """As the attempt's own folder tells, secrets masked."""
        key = (task_id, attempt)
        if self._specs.get(key) is None:
            self._specs[key] = None
            with suppress(OSError, BadTask, ValueError):
                with open(f"{self._home.attempt(task_id, attempt)}/TASK.txt", encoding="utf-8") as file:
                    self._specs[key] = parse_task(file.read().removesuffix("\n"))
        return self._specs[key]

    def _forget_all_but(self, wanted: set[tuple[str, int]]) -> None:
        self._specs = {key: spec for key, spec in self._specs.items() if key in wanted}
        self._lines.keep(wanted)


_ACTIVE = ("planning", "waiting", "running", "finishing")


def _run_line(glance: Glance, run: RunGlance) -> RunLine:
    return RunLine(run.id, run.project, run.status, run.title, run.started or run.created, glance.steps(run.id))


def _workers(daemon: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    busy: dict[str, int] = {}
    for slot in daemon.get("slots", ()):
        busy[slot["pool"]] = busy.get(slot["pool"], 0) + (slot["state"] == "busy")
    return {pool: (busy.get(pool, 0), target) for pool, target in daemon.get("pools", {}).items()}


def _end_key(line: ResultLine) -> str:
    return f"{line.task_id} {line.timestamp}"


def _ended_row(key: str, line: ResultLine) -> Row:
    """`seconds`: when it ended, since 1970: a row is made once and shown for long."""
    try:
        ended = datetime.fromisoformat(line.timestamp).timestamp()
    except ValueError:
        ended = None
    return Row("ended", key, "", line.status.value, line.task_id, "", ended, line.preview)


def _doer(spec: TaskSpec | None) -> str:
    if spec is None:
        return ""
    return f"{spec.agent}:{spec.model}" if spec.model else spec.agent
