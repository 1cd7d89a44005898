"""Orchestrators: one process for each project that has work for it, kept alive beside the workers.

They end with this daemon (their runs go on from store and queue), so none is ever found running by the next one:
what a killed daemon left is ended by the tokens that lie in the projects' folders.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from conductor.domain.home import Home
from conductor.domain.lines import format_timestamp
from conductor.domain.service import ServiceFolder, is_service_token, service_token
from conductor.domain.task import ID_PATTERN
from conductor.domain.worker_id import OWNER_VARIABLE
from conductor.kit.durable import read_bytes, replace_file
from conductor.kit.process import kill_tree, own_identity, owner_lives
from conductor.ports import EventSink, Log
from conductor.supervisor import service_policy as policy
from conductor.supervisor.orphans import Leftovers
from conductor.supervisor.plan import OrchestratorPlan
from conductor.supervisor.policy import BackingOff, GivenUp, Vacant
from conductor.supervisor.service_policy import Service, ServicePolicy

_LONGEST_LOG = 10 * (1 << 20)
_LONGEST_TOKEN = 128
_GONE_WITHIN_SECONDS = 5.0
_REPLACED_WITHIN_SECONDS = 30.0


class Process:
    """What is alive of a service: held by its pidfd, so that no signal ever reaches a stranger."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log_path: str, settings: str = ""
    ) -> None:
        """`settings`: what it reads on its standard input. Raises OSError."""
        self.settings = settings
        with _open_log(log_path) as log, _readable(settings) as given:
            self._process = subprocess.Popen(
                command, env=environment, stdin=given, stdout=log, stderr=log, start_new_session=True
            )
        self._pidfd = os.pidfd_open(self.pid)  # it can't be gone: only we reap it

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
            signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)  # a stopped one would not hear it

    def end_tree(self) -> None:
        kill_tree(self.pid, self._pidfd)

    def reaped(self, code: int) -> None:
        """Tells Popen what another waitpid has collected."""
        self._process.returncode = code
        os.close(self._pidfd)

    def bury(self) -> None:
        """After its end was brought about, where nobody else reaps any more."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GONE_WITHIN_SECONDS)
        os.close(self._pidfd)


class Services:
    """Keeps one orchestrator for each project whose folder holds `wanted`; every change goes through the policy."""

    def __init__(
        self,
        home: Home,
        plan: OrchestratorPlan,
        environment: Mapping[str, str],
        leftovers: Leftovers,
        log: Log,
        events: EventSink,
    ) -> None:
        self._home = home
        self._plan = plan
        self._environment = environment
        self._leftovers = leftovers
        self._log = log
        self._events = events
        self._services: dict[str, Service] = {}
        self._processes: dict[str, Process] = {}
        self._tokens: dict[str, str] = {}
        self._beats: dict[str, tuple[int, int]] = {}
        self._started = 0
        self.starting_allowed = True
        self.changes = 0
        """How often any service has changed: status.txt is old when this is not what it was."""

    # -- what happened

    def end_left(self) -> None:
        """Ends what the services of a killed daemon left running."""
        folders = {project: self._folder(project) for project in self._projects()}
        tokens = {project: _token_in(folder.service) for project, folder in folders.items()}
        dead = {project: token for project, token in tokens.items() if token and not owner_lives(token)}
        if not dead:
            return
        killed = self._leftovers.end(dead.values())
        for project in dead:
            _remove(folders[project].service)
        self._log.info("orchestrators_left_ended", projects=sorted(dead), processes=killed)

    def look(self, now: float) -> None:
        """At every project's folder. What is true is what a scan finds."""
        for project in {*self._projects(), *self._services}:
            self._look_at(project, now)

    def ring(self, request: Mapping[str, Any], now: float) -> None:
        """A ring that names a project asks for its orchestrator, given up or not. One that tells of tasks is none of
        ours: those are many."""
        project = request.get("project")
        if isinstance(project, str) and ID_PATTERN.fullmatch(project):
            self._look_at(project, now)
            self._apply(project, policy.Asked(), now)
        elif not request.keys() & {"tasks", "submitted", "cancelled"}:
            self.look(now)

    def _look_at(self, project: str, now: float) -> None:
        folder = self._folder(project)
        wanted, has_beaten = os.path.exists(folder.wanted), False
        if not wanted and project not in self._services:
            return
        if project in self._processes:
            beat = _signature(folder.heartbeat)
            has_beaten, self._beats[project] = beat != self._beats[project], beat
        self._apply(project, policy.Seen(wanted, has_beaten), now)

    def reaped(self, pid: int, wait_status: int, now: float) -> bool:
        """Told of every child of ours that has ended; whether it was a service."""
        project = next((name for name, process in self._processes.items() if process.pid == pid), None)
        if project is None:
            return False
        code = os.waitstatus_to_exitcode(wait_status)
        self._processes.pop(project).reaped(code)
        self._leftovers.spared.discard(pid)
        self._clear(project)
        self._tell_of_end(project, pid, code, now)
        self._apply(project, policy.Exited(code, os.path.exists(self._folder(project).wanted)), now)
        return True

    # -- what is done

    def keep_alive(self, now: float) -> None:
        for service in list(self._services.values()):
            if self.starting_allowed or service.pid:
                self._apply(service.project, policy.TimePassed(), now)

    def renew(self, plan: OrchestratorPlan, now: float) -> None:
        """After a reload: those that were given up get another chance, and those whose settings changed are replaced.
        They go on from what is written."""
        self._plan = plan
        for project in list(self._services):
            self._apply(project, policy.Asked(), now)
        for project, process in list(self._processes.items()):
            if self.starting_allowed and process.settings != plan.settings(project):
                self._log.info("orchestrator_replaced", project=project, pid=process.pid, why="settings changed")
                self._apply(project, policy.ToldToLeave(_REPLACED_WITHIN_SECONDS), now)

    def leave(self, within_seconds: float, now: float) -> None:
        """Tells every one to leave, and starts none any more; who is still there then is killed."""
        self.starting_allowed = False
        self.replace_all(within_seconds, now)

    def replace_all(self, within_seconds: float, now: float) -> None:
        """Each leaves and comes again as a new process, which goes on with its runs: after an upgrade."""
        for project in list(self._processes):
            self._apply(project, policy.ToldToLeave(within_seconds), now)

    def left(self) -> int:
        return len(self._processes)

    def close(self) -> None:
        """Ends whatever is left, at once."""
        for process in self._processes.values():
            process.end_tree()
        for project, process in self._processes.items():
            process.bury()
            self._clear(project)
        self._processes.clear()

    def wakes_at(self) -> float | None:
        """When time alone will have something done here."""
        living = (service for service in self._services.values() if self.starting_allowed or service.pid)
        return min((at for one in living if (at := policy.wakes_at(one)) is not None), default=None)

    def _apply(self, project: str, event: policy.ServiceEvent, now: float) -> None:
        before = self._services.get(project, Service(project))
        rules = ServicePolicy(self._plan.restart, self._plan.stale)
        after, moves = policy.next_step(before, event, now, rules)
        self._services[project] = after
        if type(after.state) is not type(before.state):
            self.changes += 1
            self._tell_of_change(after)
        for move in moves:
            self._make(project, move, now)
        if self._services[project].is_forgotten:
            del self._services[project]

    def _make(self, project: str, move: policy.ServiceMove, now: float) -> None:
        match move:
            case policy.Start():
                self._apply(project, self._start(project), now)
            case policy.Tell():
                self._processes[project].tell()
            case policy.EndTree(why):
                self._log.error("orchestrator_killed", project=project, pid=self._processes[project].pid, why=why)
                self._processes[project].end_tree()

    def _start(self, project: str) -> policy.Started | policy.NotStarted:
        """Its token is on disk before anything carries it."""
        folder = self._folder(project)
        self._started += 1
        token = service_token(self._started, own_identity())
        self._beats[project] = _signature(folder.heartbeat)
        self._tokens[project] = token
        try:
            replace_file(folder.service, token.encode() + b"\n")
            environment = {**self._environment, OWNER_VARIABLE: token}
            given = self._plan.settings(project)
            process = Process(self._plan.command(project), environment, folder.log, given)
        except OSError as error:
            self._log.error("orchestrator_not_started", project=project, error=str(error))
            self._clear(project)
            return policy.NotStarted(f"it could not be started: {error}")
        self._processes[project] = process
        self._leftovers.spared.add(process.pid)
        self._log.info("orchestrator_started", project=project, pid=process.pid)
        self._events.emit("orchestrator_started", project=project, pid=process.pid)
        return policy.Started(process.pid)

    def _clear(self, project: str) -> None:
        """Ends what an ended one left: checks, git. Then nothing needs its token any more."""
        killed = self._leftovers.end([self._tokens.pop(project)])
        if killed:
            self._log.warning("orchestrator_leftovers_ended", project=project, processes=killed)
        _remove(self._folder(project).service)

    def _tell_of_change(self, service: Service) -> None:
        match service.state:
            case GivenUp(why=why):
                self._log.error("orchestrator_gave_up", project=service.project, why=why)
                self._events.emit("orchestrator_gave_up", project=service.project, why=why)
            case policy.Ending(pid=pid, why=why) if why:
                self._events.emit("orchestrator_stale", project=service.project, pid=pid, why=why)

    def _tell_of_end(self, project: str, pid: int, code: int, now: float) -> None:
        state = self._services[project].state
        since = state.since if isinstance(state, policy.Starting | policy.Running | policy.Ending) else now
        facts = {"project": project, "pid": pid, "code": code, "seconds": round(now - since, 1)}
        (self._log.warning if code else self._log.info)("orchestrator_ended", **facts)
        self._events.emit("orchestrator_ended", **facts)

    # -- what the folders say

    def _folder(self, project: str) -> ServiceFolder:
        return ServiceFolder(self._home.project(project))

    def _projects(self) -> Iterable[str]:
        try:
            with os.scandir(self._home.projects) as entries:
                return [
                    one.name for one in entries if ID_PATTERN.fullmatch(one.name) and one.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return []  # none yet, or the disk refuses: the next scan looks again

    def status(self, now: float, clock: Callable[[], float] = time.time) -> list[dict[str, Any]]:
        """One JSON-able value for each, by project."""
        return [_status(service, now, clock()) for _, service in sorted(self._services.items())]


def _status(service: Service, now: float, wall: float) -> dict[str, Any]:
    facts: dict[str, Any] = {"project": service.project}
    match service.state:
        case Vacant():
            return {**facts, "state": "vacant"}
        case BackingOff(until=until, why=why):
            return {**facts, "state": "backing off", "why": why, "again_in_seconds": round(max(0.0, until - now), 1)}
        case GivenUp(since=since, why=why):
            return {**facts, "state": "given up", "why": why, "for_seconds": round(now - since, 1)}
        case policy.Starting() | policy.Running() | policy.Ending() as living:
            state = type(living).__name__.lower()
            seconds = now - living.since
            facts |= {"state": state, "pid": living.pid, "since": format_timestamp(wall - seconds)}
            return {**facts, "for_seconds": round(seconds, 1)}


def _token_in(path: str) -> str:
    """The token that lies there; empty: none, or what is no token of ours."""
    try:
        text = read_bytes(path, _LONGEST_TOKEN).decode("ascii", "replace").strip()
    except OSError:
        return ""
    return text if is_service_token(text) else ""


def _signature(path: str) -> tuple[int, int]:
    """Another one when the file was replaced or written."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _readable(text: str) -> BinaryIO:
    """A file without a name: what it holds is nobody else's."""
    file = os.fdopen(os.memfd_create("settings", os.MFD_CLOEXEC), "r+b")
    file.write(text.encode())
    file.seek(0)
    return file


def _open_log(path: str) -> BinaryIO:
    """To append; a long one becomes `<path>.1` first."""
    how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(FileNotFoundError):
        if os.lstat(path).st_size > _LONGEST_LOG:
            os.rename(path, f"{path}.1")
    return os.fdopen(os.open(path, how, 0o600), "ab")
