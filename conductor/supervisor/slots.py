"""The table of slots: applies the policy, and holds what is alive (pids, pidfds) apart from what is said of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from conductor.supervisor.policy import (
    BackingOff,
    Busy,
    GivenUp,
    Idle,
    Move,
    RestartPolicy,
    Slot,
    SlotEvent,
    SlotState,
    Starting,
    Vacant,
    next_move,
    pid_of,
    wakes_at,
)


class SlotTable:
    """Slots by number. A slot beyond its pool's target is not started again once its worker has gone."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._slots: dict[int, Slot] = {}
        self._targets: dict[str, int] = {}
        self._pidfds: dict[int, int] = {}
        self.changes = 0
        """How often any slot has changed: status.txt is old when this is not what it was."""

    def use_policy(self, policy: RestartPolicy) -> None:
        self._policy = policy

    def count(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(sorted(self._slots.values(), key=lambda slot: slot.number))

    def in_pool(self, pool: str) -> list[Slot]:
        return [slot for slot in self if slot.pool == pool]

    @property
    def targets(self) -> dict[str, int]:
        return dict(self._targets)

    def set_target(self, pool: str, count: int) -> None:
        """From now on the pool has `count` slots; given-up ones get another chance."""
        self._targets[pool] = count
        for slot in self.in_pool(pool):
            if isinstance(slot.state, GivenUp):
                self._slots[slot.number] = replace(slot, state=Vacant(), failures=0)
        for _ in range(count - len(self.in_pool(pool))):
            self._add(pool)

    def _add(self, pool: str) -> Slot:
        number = next(n for n in range(1, len(self._slots) + 2) if n not in self._slots)
        self._slots[number] = Slot(number, pool)
        return self._slots[number]

    def surplus(self) -> list[Slot]:
        """Slots beyond their pool's target: those without work first."""
        found = []
        for pool, target in self._targets.items():
            slots = sorted(self.in_pool(pool), key=lambda slot: (isinstance(slot.state, Busy), -slot.number))
            found.extend(slots[: max(0, len(slots) - target)])
        return found

    def let_go(self, slot: Slot) -> None:
        """One that is too much; one that is busy finishes first."""
        if isinstance(slot.state, Idle):
            self.send(slot, signal.SIGHUP)
        elif isinstance(slot.state, Vacant | BackingOff | GivenUp):
            self.drop(slot)

    def drop(self, slot: Slot) -> None:
        self._slots.pop(slot.number, None)

    def apply(self, number: int, event: SlotEvent, now: float) -> tuple[Move, ...]:
        """The moves that follow on `event`; nothing for a slot that is no more."""
        if number not in self._slots:
            return ()
        before = self._slots[number]
        after, moves = next_move(before, event, now, self._policy)
        self._slots[number] = after
        self.changes += after is not before
        if pid_of(before) != pid_of(after):
            self._close_pidfd(pid_of(before))
        if isinstance(after.state, Starting | Idle | Busy) and after.state.pid:
            self._open_pidfd(after.state.pid)
        return moves

    def adopt(self, pool: str, busy: Busy) -> Slot:
        """Counts a worker of an earlier supervisor into a vacant slot of its pool, or into one more."""
        vacant = (slot for slot in self.in_pool(pool) if isinstance(slot.state, Vacant))
        slot = replace(next(vacant, None) or self._add(pool), state=busy)
        self._slots[slot.number] = slot
        self._open_pidfd(busy.pid)
        return slot

    def get(self, number: int) -> Slot | None:
        return self._slots.get(number)

    def by_pid(self, pid: int) -> Slot | None:
        return next((slot for slot in self._slots.values() if pid_of(slot) == pid), None)

    def by_worker(self, worker_id: str) -> Slot | None:
        owners = (slot for slot in self._slots.values() if isinstance(slot.state, Idle | Busy))
        return next((slot for slot in owners if slot.state.worker_id == worker_id), None)  # type: ignore[union-attr]

    def pidfd(self, slot: Slot) -> int | None:
        return self._pidfds.get(pid_of(slot))

    def send(self, slot: Slot, number: int) -> None:
        """Signals the very process that the slot holds, never one that got its pid since."""
        pidfd = self.pidfd(slot)
        if pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)

    def wake(self, pool: str, most: int) -> None:
        """Tells up to `most` idle workers of the pool to look at the queue."""
        idle = [slot for slot in self.in_pool(pool) if isinstance(slot.state, Idle)]
        for slot in idle[:most]:
            self.send(slot, signal.SIGUSR1)

    def nudge(self, task_id: str) -> None:
        """Tells the worker of that task to look at its cancel mark."""
        for slot in self:
            if isinstance(slot.state, Busy) and slot.state.task_id == task_id:
                self.send(slot, signal.SIGUSR1)

    def signal_workers(self, number: int, *kinds: type[SlotState]) -> None:
        for slot in self:
            if isinstance(slot.state, kinds):
                self.send(slot, number)

    def busy_count(self) -> int:
        return sum(isinstance(slot.state, Busy) for slot in self)

    def workers_left(self) -> int:
        return sum(pid_of(slot) != 0 for slot in self)

    def wakes_at(self, slot: Slot) -> float | None:
        """When time alone will change the slot; None: never."""
        return wakes_at(slot, self._policy)

    def _open_pidfd(self, pid: int) -> None:
        if pid not in self._pidfds:
            with suppress(ProcessLookupError):
                self._pidfds[pid] = os.pidfd_open(pid)

    def _close_pidfd(self, pid: int) -> None:
        descriptor = self._pidfds.pop(pid, None)
        if descriptor is not None:
            os.close(descriptor)
