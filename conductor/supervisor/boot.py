"""Bringing the daemon up and down: one per home, its log, its parts put together."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

import structlog
from filelock import FileLock, Timeout

from conductor import __version__
from conductor.domain.errors import ConductorError
from conductor.domain.exposure import Finding
from conductor.domain.home import Home
from conductor.domain.lines import format_timestamp
from conductor.domain.masking import Masker, secret_values
from conductor.domain.view import Counts
from conductor.domain.worker_id import OWNER_VARIABLE
from conductor.kit.durable import read_bytes, replace_file, write_all
from conductor.kit.installation import installation
from conductor.kit.process import become_subreaper
from conductor.kit.sdnotify import SystemdNotifier
from conductor.kit.signals import SignalPipe
from conductor.ports import Log, TaskQueue
from conductor.settings.model import Loaded, load_layers
from conductor.supervisor.control import ControlServer
from conductor.supervisor.daemon import WATCHED_SIGNALS, Daemon
from conductor.supervisor.events import EventLog
from conductor.supervisor.fleet import Fleet
from conductor.supervisor.inbox_watch import InboxWatch
from conductor.supervisor.nurseries import NurseryCommand
from conductor.supervisor.orphans import Leftovers
from conductor.supervisor.plan import InForce, SupervisorPlan
from conductor.supervisor.services import Services
from conductor.supervisor.status_page import counts_status, environment_status, render_page, slot_status
from conductor.supervisor.terminal import Terminal, is_at_hand
from conductor.supervisor.upgrading import Upgrade
from conductor.supervisor.upkeep import RotateResults, Upkeep


class Boot:
    """What is needed before there is a daemon."""

    def __init__(self, home: Home, environment: MutableMapping[str, str], flags: Mapping[str, Any]) -> None:
        self._home = home
        self._environment = environment
        self._given = dict(environment)
        self._flags = flags
        self._notifier = SystemdNotifier(environment)
        self._masker = Masker(secret_values(environment))
        self._own = installation()

    def load_settings(self) -> Loaded:
        """By the variables that we were started with: what we pass on to agents is none of theirs."""
        return load_layers(self._home, self._given, self._flags)

    @contextmanager
    def only_daemon(self) -> Iterator[None]:
        """Holds the home while the daemon lives. Raises ConductorError, naming who holds it already."""
        path = self._home.daemon_lock
        lock = FileLock(path, timeout=0, mode=0o600, fallback_to_soft=False, preserve_lock_file=True)
        try:
            lock.acquire()
        except Timeout:
            pid = read_bytes(f"{path}.pid").decode().strip() if os.path.exists(f"{path}.pid") else "unknown"
            raise ConductorError(f"conductord already runs on {self._home.path}, pid {pid}") from None
        try:
            with suppress(OSError):  # a full disk: it only tells others who holds the home
                replace_file(f"{path}.pid", f"{os.getpid()}\n".encode())
            yield
        finally:
            lock.release()

    def run(
        self,
        *,
        plan: SupervisorPlan,
        in_force: InForce,
        queue: TaskQueue,
        rotate_results: RotateResults,
        inbox: str,
        nursery_command: NurseryCommand,
        audit: Callable[[], Iterable[Finding]],
        use_terminal: bool,
    ) -> int:
        """Puts the daemon together, runs it, takes it apart."""
        log = configure_log(self._masker.mask, on_terminal=sys.stderr.isatty())
        signals = SignalPipe(WATCHED_SIGNALS)
        become_subreaper()
        events = EventLog(self._home.events, self._home.results, time.time, self._masker.mask)
        events.follow_results()
        leftovers = Leftovers(OWNER_VARIABLE, plan.cgroup)
        fleet = Fleet(plan, queue, nursery_command, leftovers, log, events)
        services = Services(self._home, plan.orchestrators, self._environment, leftovers, log, events)
        upkeep = Upkeep(self._home, plan.upkeep, queue, rotate_results, events, log, leftovers.spared)
        upgrade = Upgrade(self._own, installation, plan.poll_interval, fleet, services, log, events)
        status = DaemonStatus(self._home, queue, fleet, services, events, in_force, upgrade)
        control = ControlServer(self._home.control_socket, lambda request, peer: answer(request, daemon, status))
        daemon = Daemon(
            plan, in_force, queue, fleet, services, upkeep, events, control, self._notifier, log, signals, status
        )
        status.daemon = daemon
        watch = self._watch_inbox(inbox, log)
        terminal = Terminal() if use_terminal and is_at_hand() else None
        daemon.watch_also(watch, terminal)
        daemon.look_after(upgrade)
        try:
            self._announce(log, events, plan, queue)
            tell_unsafe(audit, log, events)
            return daemon.run()
        finally:
            events.emit("daemon_stopped", mode=daemon.mode)
            log.info("daemon_stopped", mode=daemon.mode)
            control.close()
            if terminal is not None:
                terminal.close()
            if watch is not None:
                watch.close()
            events.close()

    def _watch_inbox(self, inbox: str, log: Log) -> InboxWatch | None:
        try:
            return InboxWatch(inbox)
        except OSError as error:  # inotify's limits are small and shared; the scan finds what no event told
            log.warning("inbox_not_watched", error=str(error), instead="inbox/ is looked at every poll_interval")
            return None

    def _announce(self, log: Log, events: EventLog, plan: SupervisorPlan, queue: TaskQueue) -> None:
        pools = {name: pool.workers for name, pool in plan.pools.items()}
        facts = {"pid": os.getpid(), "version": __version__, "home": self._home.path, "pools": pools}
        events.emit("daemon_started", **facts, paused=queue.paused())
        log.info("daemon_started", **facts, paused=queue.paused())
        for warning in plan.warnings:
            log.warning("key_at_fault", why=warning)
        self._notifier.ready(f"{sum(pools.values())} workers on {self._home.path}")


def tell_unsafe(audit: Callable[[], Iterable[Finding]], log: Log, events: EventLog) -> None:
    """What is unsafe is told at every start, and keeps nobody from working."""
    try:
        for found in audit():
            facts = {"kind": found.kind, "where": found.where, "what": found.what, "remedy": found.remedy}
            (log.warning if found.grave else log.info)("unsafe_found", **facts)
            events.emit("unsafe_found", **facts, grave=found.grave)
    except Exception as error:  # it reads files of strangers: whatever is in them, the daemon starts
        log.error("audit_failed", error=f"{type(error).__name__}: {error}")


class DaemonStatus:
    """What the daemon says of itself when asked, and writes into status.txt."""

    daemon: Daemon

    def __init__(
        self,
        home: Home,
        queue: TaskQueue,
        fleet: Fleet,
        services: Services,
        events: EventLog,
        in_force: InForce,
        upgrade: Upgrade,
    ) -> None:
        self._home = home
        self._in_force = in_force
        self._upgrade = upgrade
        self._queue = queue
        self._fleet = fleet
        self._services = services
        self._events = events
        self._started = format_timestamp(time.time())

    def take(self) -> dict[str, Any]:
        now = time.monotonic()
        mode = self.daemon.mode
        return {
            "version": __version__,
            "pid": os.getpid(),
            "home": self._home.path,
            "started": self._started,
            "time": format_timestamp(time.time()),
            "mode": "paused" if mode == "running" and self._queue.paused() else mode,
            "pools": self._fleet.slots.targets,
            "slots": [slot_status(slot, now) for slot in self._fleet.slots],
            "orchestrators": self._services.status(now),
            "queue": counts_status(self._count()),
            "finished": dict(self._events.finished),
            "limits": self._in_force.limits(),
            "full": self._queue.full(),
            "upgrade": self._upgrade.status(),
            "under_systemd": self.daemon.under_systemd,
        }

    def settings(self) -> list[dict[str, Any]]:
        """Those in force, each with where it came from."""
        return self._in_force.rows()

    def write(self) -> None:
        try:
            replace_file(self._home.status_page, render_page(self.take()).encode())
        except OSError as error:
            structlog.get_logger().warning("status_not_written", error=str(error))

    def show(self) -> None:
        """The same page on the terminal."""
        StandardError().write("\n" + render_page(self.take()))

    def _count(self) -> Counts:
        try:
            return self._queue.counts()
        except OSError:
            return Counts()  # a folder vanished while it was counted: the next page is right again


def answer(request: dict[str, Any], daemon: Daemon, status: DaemonStatus) -> dict[str, Any] | None:
    """What control.sock answers. Raises ValueError for what it does not know."""
    now = time.monotonic()
    match request.get("verb"):
        case "ring":
            daemon.ring(request)
            return None
        case "status":
            return status.take()
        case "environment":
            return {"environment": environment_status(os.environ)}
        case "scale":
            daemon.scale(str(request["pool"]), int(request["workers"]))
        case "drain":
            daemon.drain(now)
        case "leave":
            daemon.leave(now)
        case "stop":
            (daemon.stop_at_once if request.get("now") else daemon.stop)(now)
        case "reload":
            return {**daemon.reload(now), "pid": os.getpid()}
        case "settings":
            return {"settings": status.settings(), "pid": os.getpid()}
        case "tell":
            return {"ok": True, "told": daemon.tell(request)}
        case verb:
            raise ValueError(f"unknown verb {verb!r}")
    return {"ok": True, "pid": os.getpid(), "mode": daemon.mode}


class StandardError:
    """Where the log goes, a line in one write. What can't be written is dropped: a screen that is gone or full, or a
    full disk, must not stop the work."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            write_all(2, text.encode("utf-8", "replace"))

    def flush(self) -> None:
        pass  # nothing is held back


def configure_log(mask: Callable[[str], str], *, on_terminal: bool) -> Log:
    """structlog on standard error: JSON lines in the form that workers write, or colours on a terminal."""

    def masked(logger: object, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: mask(value) if isinstance(value, str) else value for key, value in event.items()}

    order = structlog.processors.EventRenamer("action")
    last: list[Any] = [order, structlog.processors.JSONRenderer(default=str)]
    if on_terminal:
        last = [structlog.dev.ConsoleRenderer()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            masked,
            *last,
        ],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, StandardError())),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    return log
