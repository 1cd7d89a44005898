"""What becomes of a service: pure. `next_step(service, event, now, policy)` gives the new one and what is to be done.

Vacant ─▶ Starting ─▶ Running ─▶ Vacant                  it ended well and nothing is wanted any more: forgotten
             │  │         │
             │  └─▶ Ending ◀─┘                           told to leave, or silent for too long and killed
             ▼            │
         BackingOff ◀─────┘ ─▶ Starting ...  GivenUp     an end that nobody wanted spends the restart budget
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import assert_never

from conductor.domain.exits import WorkerExit
from conductor.supervisor.policy import BackingOff, GivenUp, RestartPolicy, Vacant

_KILL_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Starting:
    """It has given no sign of life yet. `since` is when its process began."""

    since: float
    pid: int


@dataclass(frozen=True, slots=True)
class Running:
    since: float
    pid: int
    beat: float
    """When its heartbeat was last seen to have changed."""


@dataclass(frozen=True, slots=True)
class Ending:
    since: float
    pid: int
    kill_at: float
    why: str = ""
    """Why it was killed; empty: it was told to leave."""


ServiceState = Vacant | Starting | Running | Ending | BackingOff | GivenUp


@dataclass(frozen=True, slots=True)
class Service:
    """The process of one project. `failures` counts ends in a row that nobody wanted."""

    project: str
    wanted: bool = False
    state: ServiceState = Vacant()
    failures: int = 0

    @property
    def pid(self) -> int:
        """0 where there is no process."""
        return self.state.pid if isinstance(self.state, Starting | Running | Ending) else 0

    @property
    def is_forgotten(self) -> bool:
        return not self.wanted and isinstance(self.state, Vacant)


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """Seconds. Of `restart`, the budget and the delays hold."""

    restart: RestartPolicy
    stale: float
    steady: float = 60.0
    """Whoever lived for so long before it broke is started as if nothing had been before."""


# -- what can happen


@dataclass(frozen=True, slots=True)
class TimePassed:
    pass


@dataclass(frozen=True, slots=True)
class Seen:
    """Its folder was looked at: whether it is wanted, and its heartbeat not what it was."""

    wanted: bool
    has_beaten: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A person wants it to be tried again."""


@dataclass(frozen=True, slots=True)
class Started:
    pid: int


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The machine refused a process: it is full, the service is not broken."""

    why: str


@dataclass(frozen=True, slots=True)
class Exited:
    code: int
    """Below 0: the signal that killed it."""
    wanted: bool
    """Whether there is still work for it."""


@dataclass(frozen=True, slots=True)
class ToldToLeave:
    within_seconds: float


ServiceEvent = TimePassed | Seen | Asked | Started | NotStarted | Exited | ToldToLeave


# -- what is to be done


@dataclass(frozen=True, slots=True)
class Start:
    pass


@dataclass(frozen=True, slots=True)
class Tell:
    """To leave, by SIGTERM."""


@dataclass(frozen=True, slots=True)
class EndTree:
    """The process, all below it and all that it left elsewhere."""

    why: str


ServiceMove = Start | Tell | EndTree


# -- the policy


def next_step(
    service: Service, event: ServiceEvent, now: float, policy: ServicePolicy
) -> tuple[Service, tuple[ServiceMove, ...]]:
    match event:
        case TimePassed():
            return _as_time_passes(service, now)
        case Seen():
            return _seen(service, event, now, policy)
        case Asked():
            again = isinstance(service.state, BackingOff | GivenUp)
            return (replace(service, state=Vacant(), failures=0) if again else service), ()
        case Started(pid):
            return replace(service, state=Starting(now, pid)), ()
        case NotStarted(why):
            return replace(service, state=BackingOff(now, now + policy.restart.longest_delay, why)), ()
        case ToldToLeave(within):
            return _leaves(service, now, within)
        case Exited(code, wanted):
            ended = replace(service, wanted=wanted)
            return (_after_exit(ended, code, now, policy) if service.pid else service), ()
    assert_never(event)


def _as_time_passes(service: Service, now: float) -> tuple[Service, tuple[ServiceMove, ...]]:
    match service.state:
        case Vacant() if service.wanted:
            return service, (Start(),)
        case BackingOff(until=until) if now >= until:
            return service, (Start(),)
        case Ending(kill_at=kill_at, why=why) as ending if now >= kill_at:
            again = replace(ending, kill_at=now + _KILL_AGAIN_SECONDS)
            return replace(service, state=again), (EndTree(why or "it did not leave in time"),)
    return service, ()


def _seen(service: Service, seen: Seen, now: float, policy: ServicePolicy) -> tuple[Service, tuple[ServiceMove, ...]]:
    service = service if service.wanted == seen.wanted else replace(service, wanted=seen.wanted)
    match service.state:
        case Starting(since, pid) | Running(since, pid) if seen.has_beaten:
            return replace(service, state=Running(since, pid, now)), ()
        case Starting(since, pid) if now - since > policy.stale:
            return _breaks(service, Ending(since, pid, now, "it never gave a sign of life"), now, policy)
        case Running(since, pid, beat) if now - beat > policy.stale:
            return _breaks(service, Ending(since, pid, now, f"it was silent for {now - beat:.0f} s"), now, policy)
        case BackingOff() | GivenUp() if not seen.wanted:
            return replace(service, state=Vacant(), failures=0), ()
    return service, ()


def _breaks(
    service: Service, ending: Ending, now: float, policy: ServicePolicy
) -> tuple[Service, tuple[ServiceMove, ...]]:
    """Killed now; what it costs is counted now too, while it is known how long it lived."""
    failures = _failures_with(service, policy)
    later = replace(ending, kill_at=now + _KILL_AGAIN_SECONDS)
    return replace(service, state=later, failures=failures), (EndTree(ending.why),)


def _leaves(service: Service, now: float, within: float) -> tuple[Service, tuple[ServiceMove, ...]]:
    match service.state:
        case Starting(since, pid) | Running(since, pid):
            return replace(service, state=Ending(since, pid, now + within)), (Tell(),)
        case Ending(kill_at=kill_at) as ending if now + within < kill_at:
            return replace(service, state=replace(ending, kill_at=now + within)), (Tell(),)
    return service, ()


def _after_exit(service: Service, code: int, now: float, policy: ServicePolicy) -> Service:
    if not service.wanted or (isinstance(service.state, Ending) and not service.state.why):
        return replace(service, state=Vacant(), failures=0)
    if isinstance(service.state, Ending):
        return _spend_budget(service, service.failures, service.state.why, now, policy)
    if code == WorkerExit.CANNOT_START:
        return replace(service, state=GivenUp(now, f"it can't start (exit {code})"))
    if code == WorkerExit.CANNOT_RECORD:  # the disk or the store refuses: nothing is broken that a start could spend
        return replace(service, state=BackingOff(now, now + policy.restart.longest_delay, "the disk refused"))
    failures = _failures_with(service, policy)
    if code == 0 and failures == 1:  # work came while it left
        return replace(service, state=Vacant(), failures=failures)
    return _spend_budget(service, failures, _how_it_ended(code), now, policy)


def _failures_with(service: Service, policy: ServicePolicy) -> int:
    """How many ends in a row nobody wanted, when it ends now."""
    state = service.state
    was_steady = isinstance(state, Running) and state.beat - state.since >= policy.steady
    return 1 if was_steady else service.failures + 1


def _spend_budget(service: Service, failures: int, how: str, now: float, policy: ServicePolicy) -> Service:
    why = f"{how}, {failures} times in a row" if failures > 1 else how
    if failures >= policy.restart.budget:
        return replace(service, state=GivenUp(now, why), failures=failures)
    state = BackingOff(now, now + policy.restart.delay(failures), why)
    return replace(service, state=state, failures=failures)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended though it was wanted (exit {code})"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"it was killed ({name})"


def wakes_at(service: Service) -> float | None:
    """When time alone will change this service; None: never. That one is silent shows when its folder is looked at."""
    match service.state:
        case Vacant() if service.wanted:
            return 0.0
        case BackingOff(until=until):
            return until
        case Ending(kill_at=kill_at):
            return kill_at
    return None
