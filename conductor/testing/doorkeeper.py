"""A doorkeeper for tests: the agents that are closed are named, and nothing else is looked at."""

from __future__ import annotations

from dataclasses import replace

from conductor.domain.agent_events import Limit
from conductor.domain.task import TaskSpec, parse_fallback


class NamedDoors:
    """Tasks of agents in `closed` wait, unless a fallback of theirs is open. `free` agents have no lane at all."""

    def __init__(self, *closed: str, free: tuple[str, ...] = ("command",)) -> None:
        self.closed = set(closed)
        self.running: dict[str, str] = {}
        """Worker id to agent."""
        self.parked: list[tuple[str, Limit]] = []
        self._free = free

    def lane(self, spec: TaskSpec) -> str:
        names = [spec.agent, *(parse_fallback(entry)[0] for entry in spec.fallback)]
        return "" if all(name in self._free for name in names) else "+".join(names)

    def is_open(self, lane: str) -> bool:
        return any(name not in self.closed for name in lane.split("+"))

    def admit(self, spec: TaskSpec, worker_id: str) -> TaskSpec | None:
        for entry in (f"{spec.agent}:{spec.model}", *spec.fallback):
            agent, model = parse_fallback(entry)
            if agent not in self.closed:
                self.running[worker_id] = agent
                return replace(spec, agent=agent, model=model)
        return None

    def release(self, worker_id: str) -> None:
        self.running.pop(worker_id, None)

    def park(self, agent: str, limit: Limit) -> float:
        self.closed.add(agent)
        self.parked.append((agent, limit))
        return limit.resets_at or 0.0

    def learn(self, agent: str, *, succeeded: bool, peak_bytes: int | None, version: str = "") -> None:
        """Nothing is kept."""

    def why(self, spec: TaskSpec) -> str:
        lane = self.lane(spec)
        return "" if not lane or self.is_open(lane) else f"{lane} is closed"
