"""What becomes of a slot: pure. `next_move(slot, event, now)` gives the new slot and what is to be done.

Vacant ─▶ Starting ─▶ Idle ─▶ Busy ─▶ Vacant ...        a worker that ran its task, idled out or was killed: start anew
             │                  │
             ▼                  ▼
         BackingOff ─▶ ...  GivenUp                     a start that never reached READY spends the restart budget
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from conductor.domain.exits import WorkerExit


@dataclass(frozen=True, slots=True)
class Vacant:
    """Nobody here; a worker is to be started."""


@dataclass(frozen=True, slots=True)
class Starting:
    """A worker was asked for and is not ready yet."""

    since: float
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Idle:
    """A worker waits for a task."""

    since: float
    pid: int
    worker_id: str


@dataclass(frozen=True, slots=True)
class Busy:
    """A worker runs a task."""

    since: float
    pid: int
    worker_id: str
    task_id: str
    attempt: int
    kill_at: float | None
    """When a worker that does not end its task by itself must be broken; None: never."""


@dataclass(frozen=True, slots=True)
class BackingOff:
    """Starts came to nothing: the next one follows after a wait."""

    since: float
    until: float
    why: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The restart budget is spent: `conductor reload` gives another chance, once the cause is mended."""

    since: float
    why: str


SlotState = Vacant | Starting | Idle | Busy | BackingOff | GivenUp


@dataclass(frozen=True, slots=True)
class Slot:
    """The supervisor's place for one worker. `failures` counts starts in a row that came to nothing."""

    number: int
    pool: str
    state: SlotState = Vacant()
    failures: int = 0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Seconds, and how many starts in a row may fail before a slot is given up."""

    budget: int = 5
    first_delay: float = 1.0
    longest_delay: float = 60.0
    start_timeout: float = 30.0
    idle_timeout: float = 360.0
    """An idle worker leaves by itself before this; one that does not is stopped or stuck."""

    def delay(self, failures: int) -> float:
        return min(self.first_delay * 2.0 ** min(failures - 1, 30), self.longest_delay)


# -- what can happen


@dataclass(frozen=True, slots=True)
class TimePassed:
    pass


@dataclass(frozen=True, slots=True)
class WorkerBorn:
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerReady:
    worker_id: str


@dataclass(frozen=True, slots=True)
class WorkerBusy:
    worker_id: str
    task_id: str
    attempt: int
    limit_seconds: float


@dataclass(frozen=True, slots=True)
class ClaimWithdrawn:
    """What was taken for its task, from the files alone, may not start yet and lies in its lane again."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """`code` is None when a signal ended it, or nobody could tell."""

    code: int | None


SlotEvent = TimePassed | WorkerBorn | WorkerReady | WorkerBusy | ClaimWithdrawn | WorkerExited


# -- what is to be done


@dataclass(frozen=True, slots=True)
class Start:
    """Have the nursery fork a worker for this slot."""


@dataclass(frozen=True, slots=True)
class Kill:
    pid: int
    why: str


@dataclass(frozen=True, slots=True)
class Recover:
    """Finish for a worker that did not do it itself, and end what it left running."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class Halt:
    """No restart will help: end the daemon with the code for it."""

    why: str


Move = Start | Kill | Recover | Halt

_ENDED_WELL = frozenset({WorkerExit.DONE, WorkerExit.IDLE, WorkerExit.RETIRED, WorkerExit.GAVE_BACK, WorkerExit.FENCED})
_RECORD_AGAIN_SECONDS = 5.0


def next_move(slot: Slot, event: SlotEvent, now: float, policy: RestartPolicy) -> tuple[Slot, tuple[Move, ...]]:
    """The slot after `event` and what is to be done about it. `now` is any clock's seconds, the same for all."""
    match event:
        case TimePassed():
            return _as_time_passes(slot, now, policy)
        case WorkerBorn(pid):
            if isinstance(slot.state, Starting):
                return replace(slot, state=replace(slot.state, pid=pid)), ()
            return slot, ()
        case WorkerReady(worker_id):
            if isinstance(slot.state, Starting) and slot.state.pid:
                return replace(slot, state=Idle(now, slot.state.pid, worker_id), failures=0), ()
            return slot, ()
        case WorkerBusy():
            return _gets_busy(slot, event, now), ()
        case ClaimWithdrawn(worker_id):
            if isinstance(slot.state, Busy) and slot.state.worker_id == worker_id:
                return replace(slot, state=Idle(now, slot.state.pid, worker_id)), ()
            return slot, ()
        case WorkerExited(code):
            return _after_exit(slot, code, now, policy)
    assert_never(event)


def _as_time_passes(slot: Slot, now: float, policy: RestartPolicy) -> tuple[Slot, tuple[Move, ...]]:
    match slot.state:
        case Vacant():
            return replace(slot, state=Starting(now)), (Start(),)
        case BackingOff(until=until) if now >= until:
            return replace(slot, state=Starting(now)), (Start(),)
        case Starting(since=since, pid=pid) if now - since > policy.start_timeout:
            moves = (Kill(pid, "it was not ready in time"),) if pid else ()  # unborn: its nursery is stuck, not it
            return replace(slot, state=Starting(now, pid) if pid else slot.state), moves
        case Idle(since=since, pid=pid) if now - since > policy.idle_timeout:
            return replace(slot, state=replace(slot.state, since=now)), (Kill(pid, "it was idle for too long"),)
        case Busy(pid=pid, kill_at=kill_at) if kill_at is not None and now >= kill_at:
            return replace(slot, state=replace(slot.state, kill_at=None)), (
                Kill(pid, "it did not end its task in time"),
            )
    return slot, ()


def _gets_busy(slot: Slot, event: WorkerBusy, now: float) -> Slot:
    if not isinstance(slot.state, Starting | Idle) or not slot.state.pid:
        return slot
    kill_at = now + event.limit_seconds if event.limit_seconds else None
    busy = Busy(now, slot.state.pid, event.worker_id, event.task_id, event.attempt, kill_at)
    return replace(slot, state=busy, failures=0)


def _after_exit(slot: Slot, code: int | None, now: float, policy: RestartPolicy) -> tuple[Slot, tuple[Move, ...]]:
    recover = (Recover(slot.state.worker_id),) if isinstance(slot.state, Idle | Busy) else ()
    if code == WorkerExit.CANNOT_START:
        return replace(slot, state=Vacant()), (*recover, Halt("a worker cannot start: see its log line above"))
    if not isinstance(slot.state, Starting | Idle | Busy):
        return slot, ()  # told twice
    if code in _ENDED_WELL:
        return replace(slot, state=Vacant(), failures=0), ()
    if code == WorkerExit.CANNOT_RECORD:
        return replace(slot, state=BackingOff(now, now + _RECORD_AGAIN_SECONDS, "could not record a result")), recover
    if isinstance(slot.state, Starting):
        return _spend_budget(slot, code, now, policy), ()
    if code is None:
        return replace(slot, state=Vacant()), recover
    return replace(slot, state=BackingOff(now, now + policy.delay(1), f"a worker broke (exit {code})")), recover


def _spend_budget(slot: Slot, code: int | None, now: float, policy: RestartPolicy) -> Slot:
    failures = slot.failures + 1
    how = "killed" if code is None else f"exit {code}"
    why = f"{failures} starts in a row failed ({how})" if failures > 1 else f"a start failed ({how})"
    if failures >= policy.budget:
        return replace(slot, state=GivenUp(now, why), failures=failures)
    return replace(slot, state=BackingOff(now, now + policy.delay(failures), why), failures=failures)


def wakes_at(slot: Slot, policy: RestartPolicy) -> float | None:
    """When time alone will change this slot; None: never."""
    match slot.state:
        case Vacant():
            return 0.0
        case BackingOff(until=until):
            return until
        case Starting(since=since, pid=pid):
            return since + policy.start_timeout if pid else None
        case Idle(since=since):
            return since + policy.idle_timeout
        case Busy(kill_at=kill_at):
            return kill_at
    return None


def pid_of(slot: Slot) -> int:
    """The worker's process id, 0 where there is none."""
    return slot.state.pid if isinstance(slot.state, Starting | Idle | Busy) else 0
