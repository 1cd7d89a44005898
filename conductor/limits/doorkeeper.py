"""Which tasks may start now: parked providers, most agents at once, memory, budgets of projects and days.

One object per process, made before workers are forked. A task whose agent has neither a provider nor a memory need
costs a look into a dict: no file, no lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from conductor.domain.agent_events import Limit
from conductor.domain.agent_setup import AgentSetup
from conductor.domain.budget import Budget
from conductor.domain.errors import LockTimeout
from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.domain.task import TaskSpec, parse_fallback
from conductor.kit.process import owner_lives
from conductor.limits.experience import Experiences, needed_bytes
from conductor.limits.files import FolderLock
from conductor.limits.ledger import DayLedger
from conductor.limits.memory import AvailableMemory
from conductor.limits.parking import Parked, Parking, describe
from conductor.limits.running import Entry, Running, still_to_take
from conductor.ports import Log

_GIB = 1 << 30
_LONGEST_NAMES = 120


@dataclass(frozen=True)
class World:
    """What the doorkeeper needs of the world: the clock (seconds since 1970), who lives, memory left (bytes)."""

    clock: Callable[[], float] = time.time
    owner_lives: Callable[[str], bool] = owner_lives
    available: Callable[[], int | None] = field(default_factory=AvailableMemory)
    log: Log | None = None


@dataclass(frozen=True, slots=True)
class Want:
    """An agent that may take a task, and what it takes to let it in."""

    agent: str
    model: str
    """Empty: as the task says."""
    setup: AgentSetup | None
    """None: it needs nothing."""


class Doors:
    """Implements the port `Doorkeeper` on the files of one home.

    `is_open`, `admit` and `why` raise OSError where these can't be read; `admit` also (and LockTimeout) where it can't
    be written down that an agent runs: it must not start then. The others never raise.
    """

    def __init__(
        self,
        home: str,
        setups: Mapping[str, AgentSetup],
        declared: Mapping[str, int],
        rules: tuple[LimitRules, BudgetRules],
        world: World | None = None,
    ) -> None:
        """`declared`: bytes that each agent's adapter says it takes, by the agent's name."""
        self._world = world or World()
        self._limits, self._budgets = rules
        self._declared = {name: _declared(setup, declared.get(name, 0)) for name, setup in setups.items()}
        self._setups = {name: setup for name, setup in setups.items() if setup.provider or self._declared[name]}
        self._lock = FolderLock(f"{home}/limits")
        self._parking = Parking(home, self._limits, self._world.clock, self._world.log)
        self._running = Running(home, self._world.owner_lives, self._world.log)
        self._experiences = Experiences(home, self._world.log)
        self._ledger = DayLedger(home, self._budgets, self._world.clock, self._world.log)
        self._free: set[str] = set()

    # -- the port

    def lane(self, spec: TaskSpec) -> str:
        """Agents joined by `+`, with `,project` behind where that project has a budget: what holds one project up must
        not hold up the others. It is a folder's name, so fallbacks that would make it too long are left out."""
        if spec.agent not in self._setups:
            return ""
        names = ""
        for agent in dict.fromkeys(want.agent for want in self._wants(spec)):
            if len(names) + len(agent) > _LONGEST_NAMES:
                break
            names += f"+{agent}"
        return names[1:] if self._budgets.of_project(spec.project) == Budget() else f"{names[1:]},{spec.project}"

    def is_open(self, lane: str) -> bool:
        names, _, project = lane.partition(",")
        return not self._closed(names.split("+"), project) if lane else True

    def admit(self, spec: TaskSpec, worker_id: str) -> TaskSpec | None:
        """The first of its agents whose provider is not parked takes it: a fallback does not stand in for one that is
        only busy or short of memory, since that passes in minutes and the task's own agent was chosen for a reason."""
        if spec.agent not in self._setups:
            self._free.add(worker_id)
            return spec
        if self._ledger.used_up(spec.project):
            return None
        want = self._unparked(self._wants(spec))
        if want is None:
            return None
        taken = spec if want.agent == spec.agent and not want.model else _moved(spec, want)
        if want.setup is None:
            self._free.add(worker_id)
            return taken
        return taken if self._enter(want.setup, spec.id, worker_id) else None

    def release(self, worker_id: str) -> None:
        if worker_id in self._free:
            self._free.discard(worker_id)
        else:
            self._running.leave(worker_id)

    def park(self, agent: str, limit: Limit) -> float:
        return self._parking.limit_met(self._key(agent), agent, limit)

    def learn(self, agent: str, *, succeeded: bool, peak_bytes: int | None, version: str = "") -> None:
        if agent not in self._setups:
            return
        try:
            if succeeded:
                self._parking.succeeded(self._key(agent))
            with self._lock:
                known = self._experiences.of(agent)
                self._experiences.keep(agent, known.after(succeeded=succeeded, peak_bytes=peak_bytes, version=version))
        except (OSError, LockTimeout) as error:
            if self._world.log is not None:
                self._world.log.warning("nothing_learned", agent=agent, error=str(error))

    def why(self, spec: TaskSpec) -> str:
        if spec.agent not in self._setups:
            return ""
        return self._closed([want.agent for want in self._wants(spec)], spec.project)

    # -- for people

    def need(self, agent: str) -> int:
        """Bytes that one run of it is known to take."""
        return needed_bytes(self._declared.get(agent, 0), self._experiences.of(agent).peaks)

    def running(self) -> list[Entry]:
        return self._running.entries()

    def parked(self) -> list[Parked]:
        return self._parking.all()

    # -- inside

    def _wants(self, spec: TaskSpec) -> list[Want]:
        entries = [(spec.agent, ""), *map(parse_fallback, spec.fallback)]
        return [Want(agent, model, self._setups.get(agent)) for agent, model in entries]

    def _key(self, agent: str) -> tuple[str, str]:
        setup = self._setups.get(agent)
        return setup.lane if setup else (agent, "default")

    def _unparked(self, wants: Sequence[Want]) -> Want | None:
        for want in wants:
            if want.setup is None or self._parking.holding(want.setup.lane) is None:
                return want
        return None

    def _closed(self, agents: Sequence[str], project: str) -> str:
        """Why a task of these agents, in their order, can't start now, for a person; empty: it can."""
        reason = self._ledger.used_up(project)
        if reason:
            return reason
        want = self._unparked([Want(agent, "", self._setups.get(agent)) for agent in agents])
        if want is not None:
            return self._full(want.setup, self._running.entries()) if want.setup else ""
        parked = (self._parking.holding(self._key(agent)) for agent in agents)
        now, longest = self._world.clock(), self._limits.longest_park
        reasons = [describe(one, now, longest) for one in parked if one is not None]
        return "; ".join(dict.fromkeys(reasons))

    def _enter(self, setup: AgentSetup, task: str, worker_id: str) -> bool:
        """Checks and enters in one step: two that ask at once see each other."""
        with self._lock:
            if self._full(setup, self._running.entries(sweep=True)):
                return False
            entry = Entry(setup.name, *setup.lane, self.need(setup.name), self._world.clock(), task)
            self._running.enter(worker_id, entry)
        return True

    def _full(self, setup: AgentSetup, entries: Sequence[Entry]) -> str:
        """Why one more of this agent can't run beside `entries`; empty: it can."""
        most = setup.provider.concurrency if setup.provider else None
        if most is not None:
            count = sum(entry.key == setup.lane for entry in entries)
            if count >= most:
                return f"{count} of {most} agents of {setup.lane[0]} run"
        need = self.need(setup.name)
        if not need or not any(entry.memory for entry in entries):  # a small machine runs one at a time
            return ""
        available = self._world.available()
        if available is None:
            return ""
        free = available - self._limits.memory_floor - still_to_take(entries, self._world.clock())
        if free >= need:
            return ""
        return f"{setup.name} takes {need / _GIB:.1f} GiB and {max(0, free) / _GIB:.1f} GiB is free above the floor"


def _declared(setup: AgentSetup, by_adapter: int) -> int:
    return by_adapter if setup.memory_bytes is None else setup.memory_bytes


def _moved(spec: TaskSpec, want: Want) -> TaskSpec:
    """The task for a fallback: its model is the entry's, else the agent's own, since another agent's means nothing
    to it."""
    return replace(spec, agent=want.agent, model=want.model)
