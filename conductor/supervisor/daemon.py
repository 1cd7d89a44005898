"""The daemon's loop: wait, hear, act, in named steps. Time is handed to each step."""

from __future__ import annotations

import selectors
import signal
import time
from typing import Any

from conductor.domain.errors import ConductorError, SettingsInvalid
from conductor.domain.exits import DAEMON_CONFIG_EXIT, DaemonExit
from conductor.domain.view import Tended
from conductor.kit.process import reap_children
from conductor.kit.sdnotify import SystemdNotifier
from conductor.kit.signals import SignalPipe
from conductor.ports import Log, TaskQueue
from conductor.supervisor.control import ControlServer
from conductor.supervisor.events import EventLog
from conductor.supervisor.fleet import Fleet
from conductor.supervisor.plan import InForce, SupervisorPlan
from conductor.supervisor.policy import Busy, GivenUp, Idle, Starting
from conductor.supervisor.reloading import tell_refusal, tell_renewal
from conductor.supervisor.services import Services
from conductor.supervisor.surroundings import Keys, Looker, StatusPage, Watch
from conductor.supervisor.telling import told_events
from conductor.supervisor.upkeep import Upkeep

WATCHED_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
_CLOCK_LIMIT = 3600.0
_STATUS_EVERY_SECONDS = 1.0
_EVERY_WORKER = 1_000_000
_LEAVE_WITHIN_SECONDS = 10.0


class Daemon:
    """One supervisor on one home. `run` returns the exit code."""

    def __init__(
        self,
        plan: SupervisorPlan,
        in_force: InForce,
        queue: TaskQueue,
        fleet: Fleet,
        services: Services,
        upkeep: Upkeep,
        events: EventLog,
        control: ControlServer,
        notifier: SystemdNotifier,
        log: Log,
        signals: SignalPipe,
        status: StatusPage,
    ) -> None:
        self._plan = plan
        self._in_force = in_force
        self._queue = queue
        self._fleet = fleet
        self._services = services
        self._upkeep = upkeep
        self._events = events
        self._control = control
        self._notifier = notifier
        self._log = log
        self._signals = signals
        self._status = status
        self._inbox: Watch | None = None
        self._terminal: Keys | None = None
        self._lookers: tuple[Looker, ...] = ()
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, object] = {}
        self._next_scan = 0.0
        self._next_status = 0.0
        self._status_not_before = 0.0
        self._shown_changes = -1
        self._next_ping = 0.0
        self._tended = Tended(more=True)
        self._tend_wanted = True
        self._wanted: dict[str, int] = {}
        self._stop_at: float | None = None
        self._kill_at: float | None = None
        self._leave_at = 0.0
        self._busy_signal: int | None = None
        self.mode = "running"

    def watch_also(self, inbox: Watch | None, terminal: Keys | None) -> None:
        self._inbox, self._terminal = inbox, terminal

    def look_after(self, *lookers: Looker) -> None:
        self._lookers = lookers

    @property
    def under_systemd(self) -> bool:
        return self._notifier.is_there

    # -- the loop

    def run(self) -> int:
        for source in (self._signals, self._control, self._inbox, self._terminal):
            if source is not None:
                self._watch(source.fileno())
        self._watch(self._fleet.report_fileno)
        self._services.end_left()
        code = None
        while code is None:
            self._wait()
            code = self.tick(time.monotonic())
        self._fleet.close()
        self._services.close()
        self._upkeep.close()
        self._status.write()
        return code

    def tick(self, now: float) -> int | None:
        """One pass; the exit code when it was the last."""
        self._obey_signals(now)
        self._hear_clients(now)
        self._hear_workers(now)
        self._obey_terminal(now)
        self._upkeep.look(now)
        self._tend(now)
        self._scan(now)
        self._fleet.keep_alive(now)
        self._services.keep_alive(now)
        self._wake_workers()
        self._tell_the_world(now)
        return self._finished(now)

    def _wait(self) -> None:
        """Until something happens, or time alone changes something."""
        self._watch_moving_descriptors()
        now = time.monotonic()
        times = [self._next_scan, self._next_status, self._stop_at, self._kill_at]
        times.extend((self._fleet.wakes_at(), self._services.wakes_at()))
        if self._notifier.watchdog_seconds:
            times.append(self._next_ping)
        if self.mode != "running":
            times.append(self._leave_at)
        soonest = min((at for at in times if at is not None), default=now)
        patience = 0.0 if self._tended.more or self._tend_wanted else max(0.005, soonest - now)
        if self._tended.next_due_ms:
            patience = min(patience, max(0.0, self._tended.next_due_ms / 1000 - time.time()))
        self._selector.select(min(patience, _CLOCK_LIMIT))

    def _watch_moving_descriptors(self) -> None:
        """A descriptor's number is used again soon: whose it is tells whether it is still the same."""
        wanted = {**self._fleet.watched(), **self._control.watched()}
        for descriptor, whose in self._watched.items():
            if wanted.get(descriptor) is not whose:
                self._unwatch(descriptor)
        for descriptor, whose in wanted.items():
            if self._watched.get(descriptor) is not whose:
                self._watch(descriptor)
        self._watched = wanted

    def _watch(self, descriptor: int) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ)

    def _unwatch(self, descriptor: int) -> None:
        try:
            self._selector.unregister(descriptor)
        except (KeyError, ValueError, OSError):
            pass  # closed already: the kernel forgot it

    # -- hearing

    def _obey_signals(self, now: float) -> None:
        arrived = self._signals.take()
        if signal.SIGCHLD in arrived:
            reap_children(lambda pid, wait_status: self._bury(pid, wait_status, now))
        if signal.SIGINT in arrived or (signal.SIGTERM in arrived and self.mode.startswith("stopping")):
            self.stop_at_once(now)
        elif signal.SIGTERM in arrived:
            self.stop(now)
        if signal.SIGHUP in arrived:
            self.reload(now)
        if signal.SIGUSR1 in arrived:
            self._status.write()

    def _bury(self, pid: int, wait_status: int, now: float) -> None:
        if not (self._upkeep.reaped(pid, wait_status) or self._services.reaped(pid, wait_status, now)):
            self._fleet.reaped(pid, wait_status, now)

    def _hear_clients(self, now: float) -> None:
        self._control.accept()
        self._control.serve()
        self._control.drop_the_slow()

    def _hear_workers(self, now: float) -> None:
        """After the doorbell was read: a worker that said READY before it looked is known to be idle by now."""
        before = self._fleet.exits
        self._fleet.hear_nurseries(now)
        for pool in self._fleet.hear_reports(now):
            self._wanted.setdefault(pool, 1)  # one has claimed: there may be more
        if self._fleet.has_adopted:
            self._fleet.notice_silent_exits(now)
        if self._fleet.exits != before and (self._events.follow_results() or self._queue.has_due()):
            self._tend_wanted = True

    def _obey_terminal(self, now: float) -> None:
        if self._inbox is not None and self._inbox.take():
            self._tend_wanted = True
        if self._terminal is None:
            return
        keys = self._terminal.take()
        if "q" in keys:
            self.drain(now)
        if "s" in keys:
            self._status.show()
        if self._terminal.is_gone:
            self._unwatch(self._terminal.fileno())
            self._terminal = None

    # -- acting

    def ring(self, request: dict[str, Any]) -> None:
        """The doorbell: something was submitted, cancelled, resumed or retried."""
        self._tend_wanted = True
        for pool in self._fleet.slots.targets:
            self._wanted[pool] = max(self._wanted.get(pool, 0), int(request.get("tasks", 1)))
        if "submitted" in request:
            self._events.emit("task_submitted", task=str(request["submitted"]))
        if "cancelled" in request:
            self._fleet.slots.nudge(str(request["cancelled"]))
        self._services.ring(request, time.monotonic())

    def tell(self, request: dict[str, Any]) -> int:
        """Writes what an orchestrator tells into events.jsonl; returns how many events. Raises ValueError."""
        told = told_events(request)
        for action, facts in told:
            self._events.emit(action, **facts)
        return len(told)

    def _tend(self, now: float) -> None:
        due = self._tended.next_due_ms and time.time() * 1000 >= self._tended.next_due_ms
        if not (self._tend_wanted or self._tended.more or due):
            return
        self._tend_wanted = False
        try:
            self._tended = self._queue.tend(self._plan.default_agent)
        except (OSError, ConductorError) as error:
            self._log.error("tend_failed", error=str(error))
            self._fleet.break_lock(error)
            self._tended = Tended()
            return
        if self._tended.failed:
            self._events.follow_results()
        if self._tended.accepted:
            self._events.emit("batch_unpacked", tasks=self._tended.accepted)
        for reason in self._tended.refused:
            self._log.warning("task_refused", reason=reason)
            self._events.emit("task_refused", reason=reason)
        if self._tended.accepted or self._tended.promoted:
            for pool in self._fleet.slots.targets:
                self._wanted[pool] = self._wanted.get(pool, 0) + self._tended.accepted + self._tended.promoted

    def _scan(self, now: float) -> None:
        """What is true is what a scan finds."""
        if now < self._next_scan and not self._fleet.recover_due:
            return
        self._next_scan = now + self._plan.poll_interval
        self._tend_wanted = True
        self._fleet.notice_silent_exits(now)
        self._reconcile(now)
        self._services.look(now)
        for looker in self._lookers if self.mode == "running" else ():
            looker.look(now)
        self._events.follow_results()
        for pool in self._fleet.slots.targets:
            self._wanted[pool] = _EVERY_WORKER  # one that does not answer must not keep the others asleep

    def _reconcile(self, now: float) -> None:
        """A disk or a lock that refuses is told, and asked again at the next scan."""
        try:
            self._fleet.reconcile(now)
        except (OSError, ConductorError) as error:
            self._log.error("scan_failed", error=str(error))
            self._fleet.break_lock(error)

    def _wake_workers(self) -> None:
        wanted, self._wanted = self._wanted, {}
        for pool, most in wanted.items():
            idle = any(isinstance(slot.state, Idle) for slot in self._fleet.slots.in_pool(pool))
            if idle and self._queue.has_ready(pool):
                self._fleet.slots.wake(pool, most)

    # -- telling

    def _tell_the_world(self, now: float) -> None:
        changes = self._fleet.slots.changes + self._services.changes
        if self._shown_changes != changes:
            self._next_status = min(self._next_status, self._status_not_before)
        if now >= self._next_status:
            self._shown_changes = changes
            self._status.write()
            self._notifier.status(
                f"{self.mode}, {self._fleet.slots.busy_count()} of {self._fleet.slots.count()} workers busy"
            )
            cost = time.monotonic() - now  # counting 100,000 tasks takes a while: then more seldom
            self._status_not_before = now + max(_STATUS_EVERY_SECONDS, 50 * cost)
            self._next_status = max(now + self._plan.poll_interval, self._status_not_before)
        if self._notifier.watchdog_seconds and now >= self._next_ping:
            self._next_ping = now + self._notifier.watchdog_seconds / 3
            self._notifier.alive()

    # -- ending

    def drain(self, now: float) -> None:
        """No new claims; quit when the last running task has ended, however long it takes."""
        self._begin_to_end("draining", now, self._plan.stop_timeout)

    def stop(self, now: float) -> None:
        """Drain, but stop what still runs after stop_timeout and give it back."""
        self._begin_to_end("stopping", now, self._plan.stop_timeout)
        self._stop_at = now + self._plan.stop_timeout

    def leave(self, now: float) -> None:
        """Quit now: running tasks go on, and the next conductord counts them in. Raises ValueError under systemd."""
        if self._notifier.is_there:
            raise ValueError("systemd ends all of a service with it: `conductor drain` waits for the running tasks")
        self._begin_to_end("leaving", now, self._plan.stop_timeout)

    def stop_at_once(self, now: float) -> None:
        self._begin_to_end("stopping at once", now, self._plan.grace)
        self._stop_at, self._leave_at = None, now + self._plan.grace + 5.0
        self._kill_at = now + self._plan.grace + 5.0
        self._busy_signal = signal.SIGQUIT

    def _begin_to_end(self, mode: str, now: float, services_within: float) -> None:
        self._log.info("daemon_ending", mode=mode, workers=self._fleet.slots.workers_left())
        self.mode = mode
        self._services.leave(services_within, now)
        self._fleet.starting_allowed = False
        self._leave_at = now + _LEAVE_WITHIN_SECONDS
        self._fleet.slots.signal_workers(signal.SIGHUP, Idle, Starting)
        self._notifier.stopping(mode)

    def _finished(self, now: float) -> int | None:
        if self._fleet.halted:
            self._log.error("daemon_halted", why=self._fleet.halted)
            return DAEMON_CONFIG_EXIT
        if self.mode == "running":
            return self._all_given_up()
        self._fleet.slots.signal_workers(signal.SIGHUP, Idle, Starting)
        if now >= self._leave_at:  # one that has nothing to finish and does not go is stopped or stuck
            self._leave_at = now + 5.0
            self._fleet.slots.signal_workers(signal.SIGKILL, Idle, Starting)
        if self._stop_at is not None and now >= self._stop_at:
            self._stop_at, self._kill_at = None, now + self._plan.grace + 15.0
            self._busy_signal = signal.SIGTERM
        if self._busy_signal is not None:  # at every pass: one may have claimed and not been heard before
            self._fleet.slots.signal_workers(self._busy_signal, Busy)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = now + 5.0
            self._fleet.slots.signal_workers(signal.SIGKILL, Busy)
        stays = self._fleet.slots.busy_count() if self.mode == "leaving" else 0
        if self._fleet.slots.workers_left() > stays or self._services.left():
            return None
        self._reconcile(now)
        self._events.follow_results()
        return 0

    def _all_given_up(self) -> int | None:
        slots = list(self._fleet.slots)
        if slots and all(isinstance(slot.state, GivenUp) for slot in slots):
            self._log.error("daemon_gave_up", why="every slot has spent its restart budget")
            return DaemonExit.ALL_GIVEN_UP
        return None

    def reload(self, now: float) -> dict[str, Any]:
        """Reads the settings anew; invalid ones change nothing. Returns `refused`, what is wrong with them, or what
        they `changed` and what only a restart would: `held`."""
        self._notifier.reloading()
        try:
            fresh = self._in_force.reload()
        except SettingsInvalid as error:
            answer = tell_refusal(error, self._log, self._events)
        else:
            self._renew(fresh.plan, now)
            answer = tell_renewal(fresh, self._log, self._events)
        self._notifier.ready("the settings in force stay" if answer["refused"] else "reloaded")
        return answer

    def _renew(self, plan: SupervisorPlan, now: float) -> None:
        self._plan = plan
        self._next_scan = now
        self._fleet.renew(plan, now)
        self._services.renew(plan.orchestrators, now)
        self._upkeep.renew(plan.upkeep)

    def scale(self, pool: str, count: int) -> None:
        """Until the next reload or restart. Raises ValueError for an unknown pool or a silly number."""
        if pool not in self._plan.pools:
            raise ValueError(f"no pool {pool!r}: there is {', '.join(self._plan.pools)}")
        if not 0 <= count <= 1000:
            raise ValueError(f"{count} workers is not between 0 and 1000")
        self._fleet.slots.set_target(pool, count)
        self._events.emit("pool_scaled", pool=pool, workers=count)
