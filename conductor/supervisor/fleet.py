"""Slots, nurseries and what passes between them: the part of the supervisor that knows about processes."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from conductor.domain.errors import LockTimeout
from conductor.domain.exits import WorkerExit
from conductor.domain.view import Recovered, Running
from conductor.domain.wire import Born, Busy, Died, Message, Note, NurseryUp, Ready
from conductor.domain.worker_id import parse_worker_id, slot_of
from conductor.kit.process import owner_lives, stat_fields
from conductor.ports import EventSink, Log, TaskQueue
from conductor.supervisor import policy
from conductor.supervisor.nurseries import NurseryCommand, NurseryLink
from conductor.supervisor.orphans import Leftovers
from conductor.supervisor.plan import SupervisorPlan
from conductor.supervisor.reports import Reports
from conductor.supervisor.slots import SlotTable
from conductor.supervisor.successors import Successors

_NURSERY_START_SECONDS = 30.0


class Fleet:
    """Keeps as many workers alive as the plan says; every change of a slot goes through the policy."""

    def __init__(
        self,
        plan: SupervisorPlan,
        queue: TaskQueue,
        command: NurseryCommand,
        leftovers: Leftovers,
        log: Log,
        events: EventSink,
    ) -> None:
        self._plan = plan
        self._queue = queue
        self._command = command
        self._leftovers = leftovers
        self._log = log
        self._events = events
        self._reports = Reports()
        self._early: list[Ready | Busy] = []
        self._nurseries: dict[str, NurseryLink] = {}
        self._leaving: dict[int, NurseryLink] = {}
        self.successors = Successors(self._nursery, self._leave)
        self._nursery_failures: dict[str, int] = {}
        self._nursery_since: dict[str, float] = {}
        self._nursery_rests_until: dict[str, float] = {}
        self._commands: set[bytes] = set()
        self._adopted: set[int] = set()
        self._presumed_busy: dict[str, int] = {}
        """Workers of ours whose claim was seen before they told of it, and their slots."""
        self._recover_due = True
        self.slots = SlotTable(plan.restart)
        self.starting_allowed = True
        self.halted = ""
        self.exits = 0
        for pool, pool_plan in plan.pools.items():
            self.slots.set_target(pool, pool_plan.workers)

    # -- what the loop watches

    @property
    def has_adopted(self) -> bool:
        return bool(self._adopted)

    @property
    def report_fileno(self) -> int:
        return self._reports.read_fd

    # -- what happened

    def hear_reports(self, now: float) -> list[str]:
        """Takes what workers said; returns the pools in which one has claimed."""
        fresh = list(self._reports.fresh())
        early, self._early = self._early, []
        for message in (*early, *(one for one in fresh if isinstance(one, Ready | Busy))):
            self._hear_worker(message, now)
        for note in (one for one in fresh if isinstance(one, Note)):
            self._events.emit(note.action, **{**note.facts, "task": note.task_id, "attempt": note.attempt})
        return [self._tell_started(message) for message in fresh if isinstance(message, Busy)]

    def _hear_worker(self, message: Ready | Busy, now: float) -> None:
        identity = parse_worker_id(message.worker_id)
        slot = self.slots.by_pid(identity.pid) if identity else None
        if slot is None:
            if owner_lives(message.worker_id):  # its birth is told through another pipe: it wakes us when it comes
                self._early.append(message)
        elif isinstance(message, Ready):
            self._nursery_failures[slot.pool] = 0
            self._act(slot.number, policy.WorkerReady(message.worker_id), now)
        else:
            self._presumed_busy.pop(message.worker_id, None)
            event = policy.WorkerBusy(message.worker_id, message.task_id, message.attempt, message.limit_seconds)
            self._act(slot.number, event, now)

    def _tell_started(self, message: Busy) -> str:
        """Also for a task so short that its worker has gone before it was heard; returns the pool."""
        slot = self.slots.get(slot_of(message.worker_id) or 0)
        pool = slot.pool if slot else ""
        facts = {"task": message.task_id, "attempt": message.attempt, "worker": message.worker_id}
        self._events.emit("task_started", **facts, pool=pool)
        return pool

    def hear_nurseries(self, now: float) -> None:
        for pool, link in list(self._nurseries.items()):
            messages = link.receive()
            for message in messages or []:
                self._hear_nursery(link, message, now)
            if messages is None:
                self._nursery_gone(pool, now)
        for risen in self.successors.hear():
            self._succeed(risen, now)

    def _hear_nursery(self, link: NurseryLink, message: Message, now: float) -> None:
        match message:
            case NurseryUp():
                self._is_up(link)
            case Born(slot, pid):
                self._act(slot, policy.WorkerBorn(pid), now)
            case Died(pid, wait_status):
                self._worker_gone(pid, os.waitstatus_to_exitcode(wait_status), now)

    def _is_up(self, link: NurseryLink) -> None:
        link.is_up = True
        with suppress(OSError):
            with open(f"/proc/{link.pid}/cmdline", "rb") as file:
                self._commands.add(file.read())

    def reaped(self, pid: int, wait_status: int, now: float) -> None:
        """Told of each child of ours that has ended: a nursery, or a worker whose nursery died before it."""
        self.successors.reaped(pid)
        links = {link.pid: link for link in (*self._nurseries.values(), *self._leaving.values())}
        if pid in links:
            links[pid].reaped(wait_status)
            self._nursery_exit(links[pid], os.waitstatus_to_exitcode(wait_status), now)
            self._leaving.pop(pid, None)
        else:
            self._worker_gone(pid, os.waitstatus_to_exitcode(wait_status), now)

    def _worker_gone(self, pid: int, code: int, now: float) -> None:
        slot = self.slots.by_pid(pid)
        if slot is None:
            return
        self.exits += 1
        self._adopted.discard(pid)
        self._act(slot.number, policy.WorkerExited(code if code >= 0 else None), now)
        if code not in (0, 10, 11):
            self._log.warning("worker_exited", slot=slot.number, pid=pid, code=code)

    def _nursery_exit(self, link: NurseryLink, code: int, now: float) -> None:
        if code == WorkerExit.CANNOT_START and not link.on_trial:  # also where its end of file came first
            self.halted = f"the nursery of pool {link.pool} cannot start: see its log line above"
        if self._nurseries.get(link.pool) is link:
            for message in link.receive() or []:  # its last words
                self._hear_nursery(link, message, now)
            self._nursery_gone(link.pool, now)

    def _nursery_gone(self, pool: str, now: float) -> None:
        """Its idle workers leave by themselves, busy ones finish and become our children."""
        link = self._let_nursery_go(pool)
        failures = self._nursery_failures.get(pool, 0) + 1  # until one of its workers is ready
        self._nursery_failures[pool] = failures
        if failures >= self._plan.restart.budget:
            self.halted = f"the nursery of pool {pool} did not start {failures} times in a row"
        at_once = link.is_up and failures == 1
        self._nursery_rests_until[pool] = now + (0.0 if at_once else self._plan.restart.delay(failures))
        self._log.warning("nursery_gone", pool=pool, pid=link.pid, was_up=link.is_up)
        self._forget_unborn(pool, now)

    def _let_nursery_go(self, pool: str) -> NurseryLink:
        """And no signal: how it ends by itself tells whether another would start."""
        link = self._nurseries.pop(pool)
        self._leave(link)
        return link

    def _leave(self, link: NurseryLink) -> None:
        self._leaving[link.pid] = link
        link.close()

    def _forget_unborn(self, pool: str, now: float) -> None:
        """Those that the old nursery was asked for: the next one is asked again."""
        for slot in self.slots.in_pool(pool):
            if isinstance(slot.state, policy.Starting) and not slot.state.pid:
                self._act(slot.number, policy.WorkerExited(11), now)

    # -- what is done

    def keep_alive(self, now: float) -> None:
        """Starts what is missing, lets go what is too much, breaks what hangs."""
        for pool in self._plan.pools:
            if self.starting_allowed and pool not in self._nurseries and self.slots.targets.get(pool):
                self._start_nursery(pool, now)
        for slot in self.slots.surplus():
            self.slots.let_go(slot)
        for slot in self.slots:
            if self.starting_allowed or isinstance(slot.state, policy.Busy | policy.Starting):
                if pid_free(slot) and not self._can_start(slot.pool):
                    continue
                self._act(slot.number, policy.TimePassed(), now)
        self._break_stuck_nurseries(now)

    def _start_nursery(self, pool: str, now: float) -> None:
        if now < self._nursery_rests_until.get(pool, 0.0):
            return
        try:
            self._nurseries[pool] = self._nursery(pool, self._plan.pools[pool].nursery_config)
        except OSError as error:  # no process or descriptor to be had: the machine is full, not we broken
            self._nursery_rests_until[pool] = now + self._plan.restart.longest_delay
            self._log.error("nursery_not_started", pool=pool, error=str(error))
            return
        self._nursery_since[pool] = now
        self._log.info("nursery_started", pool=pool, pid=self._nurseries[pool].pid)

    def _nursery(self, pool: str, config: str) -> NurseryLink:
        return NurseryLink(pool, self._command, config, self._reports.write_fd)

    def _break_stuck_nurseries(self, now: float) -> None:
        self.successors.break_stuck(now)
        for pool, link in self._nurseries.items():
            unborn = [
                slot.state.since
                for slot in self.slots.in_pool(pool)
                if isinstance(slot.state, policy.Starting) and not slot.state.pid
            ]
            since = min(unborn, default=now) if link.is_up else self._nursery_since[pool]
            if now - since > _NURSERY_START_SECONDS:
                self._log.warning("nursery_stuck", pool=pool, pid=link.pid)
                link.kill()

    def _act(self, number: int, event: policy.SlotEvent, now: float) -> None:
        for move in self.slots.apply(number, event, now):
            slot = self.slots.get(number)
            assert slot is not None  # apply() returned moves for it
            match move:
                case policy.Start():
                    if slot.pool in self._nurseries:
                        self._nurseries[slot.pool].fork(number)
                case policy.Kill(pid, why):
                    self._log.warning("worker_killed", slot=number, pid=pid, why=why)
                    self.slots.send(slot, signal.SIGKILL)
                case policy.Recover(worker_id):
                    self._recover_due = True
                    self._leftovers.end([worker_id])
                case policy.Halt(why):
                    self.halted = why
        slot = self.slots.get(number)
        if slot is not None and isinstance(slot.state, policy.GivenUp):
            self._log.error("slot_given_up", slot=number, pool=slot.pool, why=slot.state.why)

    def break_lock(self, error: Exception) -> None:
        """Kills the worker that kept the queue lock until others gave up: it is stopped or stuck; recovery follows."""
        slot = self.slots.by_pid(error.holder) if isinstance(error, LockTimeout) and error.holder else None
        if slot is not None:
            self._log.error("worker_killed", slot=slot.number, pid=policy.pid_of(slot), why="it held the queue lock")
            self.slots.send(slot, signal.SIGKILL)

    def wakes_at(self) -> float | None:
        """When time alone will have something done here; a slot that can't be started now waits for its nursery."""
        times = [self.slots.wakes_at(slot) for slot in self.slots if not pid_free(slot) or self._can_start(slot.pool)]
        if self.starting_allowed:
            missing = self._plan.pools.keys() - self._nurseries.keys()
            times.extend(self._nursery_rests_until.get(pool) for pool in missing if self.slots.targets.get(pool))
        return min((at for at in times if at is not None), default=None)

    def _can_start(self, pool: str) -> bool:
        link = self._nurseries.get(pool)
        return self.starting_allowed and link is not None and link.is_up

    # -- what the files say

    def reconcile(self, now: float) -> list[Recovered]:
        """Finishes for dead workers, ends what they left, counts living strangers into the slots."""
        owned = self._queue.owned()
        dead = {worker for _, _, worker in owned if not owner_lives(worker)}
        if dead:
            killed = self._leftovers.end(dead)
            self._log.info("leftovers_ended", workers=len(dead), processes=killed)
        self._adopt([claim for claim in owned if claim[2] not in dead], now)
        self._leftovers.end_ownerless_groups()
        strays = self._leftovers.end_strays(self._known_pids(), frozenset(self._commands))
        if strays:
            self._log.warning("strays_ended", pids=strays)
        if not dead and not self._recover_due:
            return []
        self._recover_due = False
        recovered = self._queue.recover(owner_lives)
        for one in recovered:
            facts = {"task": one.task_id, "attempt": one.attempt, "worker": one.worker_id, "status": one.status.value}
            self._log.warning("attempt_recovered", **facts, was_recorded=one.was_recorded)
        return recovered

    @property
    def recover_due(self) -> bool:
        return self._recover_due

    def _adopt(self, living: list[tuple[str, int, str]], now: float) -> None:
        for worker in self._presumed_busy.keys() - {worker for _, _, worker in living}:
            self._act(self._presumed_busy.pop(worker), policy.ClaimWithdrawn(worker), now)
        for task_id, attempt, worker in living:
            identity = parse_worker_id(worker)
            slot = self.slots.by_pid(identity.pid) if identity else None
            if identity is None or not worker.startswith("w") or (slot and isinstance(slot.state, policy.Busy)):
                continue
            view = self._queue.find(task_id)
            if not isinstance(view, Running) or view.worker_id != worker:
                continue
            limit = view.spec.timeout_seconds or self._plan.timeout
            left = max(0.0, view.since + limit - time.time()) + self._plan.grace + 60.0
            if slot is not None:  # ours, and what it said of its claim was lost, or it waits to be let in
                self._presumed_busy[worker] = slot.number
                self._act(slot.number, policy.WorkerBusy(worker, task_id, attempt, left), now)
            elif not self._is_being_born(identity.pid):
                busy = policy.Busy(now, identity.pid, worker, task_id, attempt, now + left)
                slot = self.slots.adopt(view.spec.pool, busy)
                self._adopted.add(identity.pid)
                self._log.info("worker_adopted", slot=slot.number, pid=identity.pid, task=task_id, attempt=attempt)
                self._events.emit("task_adopted", task=task_id, attempt=attempt, worker=worker)

    def _is_being_born(self, pid: int) -> bool:
        """Whether its birth is still to be told by a nursery of ours."""
        fields = stat_fields(pid)
        return fields is not None and int(fields[1]) in {link.pid for link in self._nurseries.values()}

    def notice_silent_exits(self, now: float) -> None:
        """Workers of an earlier supervisor are not our children: only their identity tells that they ended. A nursery
        that was killed may have reaped a worker and told nobody."""
        for slot in self.slots:
            if isinstance(slot.state, policy.Starting) and slot.state.pid and stat_fields(slot.state.pid) is None:
                self._act(slot.number, policy.WorkerExited(None), now)
            if isinstance(slot.state, policy.Busy | policy.Idle) and not owner_lives(slot.state.worker_id):
                self._recover_due = True
                self._adopted.discard(slot.state.pid)
                self._act(slot.number, policy.WorkerExited(0), now)
                self.exits += 1

    def watched(self) -> dict[int, object]:
        """Descriptors that the loop waits for, each with whose it is: nurseries, and the workers of an earlier
        supervisor, on which no nursery of ours reports."""
        links = (*self._nurseries.values(), *self.successors.links())
        found: dict[int, object] = {link.fileno(): link for link in links}
        for slot in self.slots if self._adopted else ():
            descriptor = self.slots.pidfd(slot) if policy.pid_of(slot) in self._adopted else None
            if descriptor is not None:
                found[descriptor] = policy.pid_of(slot)
        return found

    def _known_pids(self) -> frozenset[int]:
        links = (*self._nurseries.values(), *self._leaving.values(), *self.successors.links())
        return frozenset({link.pid for link in links} | {policy.pid_of(slot) for slot in self.slots})

    def renew(self, plan: SupervisorPlan, now: float) -> None:
        """Takes a new plan: new nurseries with the new settings; workers of the old ones finish their task."""
        changed = [
            pool for pool in self._nurseries if not self._plan.pools[pool].has_same_nursery(plan.pools.get(pool))
        ]
        for pool in {*self.slots.targets} - {*plan.pools}:
            self.slots.set_target(pool, 0)
        self._plan = plan
        self._leftovers.look_in(plan.cgroup)
        self.slots.use_policy(plan.restart)
        for pool, pool_plan in plan.pools.items():
            self.slots.set_target(pool, pool_plan.workers)
        self.successors.drop()  # they were told what no longer holds
        for pool in changed:
            self._let_nursery_go(pool)
            self._forget_unborn(pool, now)

    def replace_nurseries(self, now: float) -> None:
        """Each by one of what is installed now, as soon as that is up."""
        pools = (pool for pool in self._nurseries if pool in self._plan.pools)
        self.successors.begin({pool: self._plan.pools[pool].nursery_config for pool in pools}, now)

    def _succeed(self, link: NurseryLink, now: float) -> None:
        if link.pool in self._nurseries:
            self._let_nursery_go(link.pool)
            self._forget_unborn(link.pool, now)
        self._nurseries[link.pool] = link
        self._is_up(link)
        self._log.info("nursery_replaced", pool=link.pool, pid=link.pid)

    def close(self) -> None:
        """Lets the nurseries go; workers that still run finish their task by themselves."""
        self.successors.drop()
        for link in self._nurseries.values():
            link.close()


def pid_free(slot: policy.Slot) -> bool:
    return isinstance(slot.state, policy.Vacant | policy.BackingOff)
