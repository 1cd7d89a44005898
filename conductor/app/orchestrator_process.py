"""Wiring of an orchestrator: one process for one project."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from conductor.app import loadable_agents, make_doors, open_layout, quick_queue, ring_doorbell
from conductor.app.orchestration import most_in_progress
from conductor.domain.errors import ConductorError, NoRoom, StoreRefused
from conductor.domain.exits import WorkerExit
from conductor.domain.home import Home
from conductor.domain.run import Activity, Delegation, Project, Run, StepState
from conductor.domain.service import ServiceFolder
from conductor.domain.task import DEFAULT_POOL

if TYPE_CHECKING:
    from conductor.kit.signals import SignalPipe
    from conductor.orchestrator.orchestrator import Orchestrator
    from conductor.orchestrator.rules import Rules, Tools
    from conductor.ports import Log
    from conductor.ports.orchestration import Paths, Repository, Store
    from conductor.projects.kept_process import KeptProcess
    from conductor.queue.layout import Layout
    from conductor.settings.model import Settings

_TELL_SECONDS = 5.0
_MOST_ANSWER = 4_194_304


class OneOrchestrator:
    """`with OneOrchestrator(home, project) as one`: `one.is_ours` while no other process drives the project."""

    def __init__(self, home: Home, project: str) -> None:
        from filelock import FileLock

        folder = ServiceFolder(home.project(project))
        os.makedirs(folder.path, mode=0o700, exist_ok=True)
        self._lock = FileLock(folder.lock, timeout=0, mode=0o600, fallback_to_soft=False, preserve_lock_file=True)
        self.is_ours = False

    def __enter__(self) -> OneOrchestrator:
        from filelock import Timeout

        try:
            self._lock.acquire()
            self.is_ours = True
        except Timeout:
            self.is_ours = False
        return self

    def __exit__(self, *error: object) -> None:
        if self.is_ours:
            self._lock.release()


def run_orchestrator(home_path: str, project: str) -> int:
    """The orchestrator process, whole; its settings stand on standard input.

    The exit code, of `WorkerExit`: 0 when there is nothing (more) to do here, CANNOT_RECORD when disk or store refuse,
    CANNOT_START when it can't work with these settings."""
    from conductor.app.handing_on import handed_settings
    from conductor.kit.jsonlog import JsonLog
    from conductor.kit.process import make_unreadable, set_process_name
    from conductor.kit.signals import SignalPipe
    from conductor.orchestrator.orchestrator import WATCHED_SIGNALS
    from conductor.settings.model import load_settings

    make_unreadable()
    set_process_name("orchestrator")
    log = JsonLog(_masker().mask, process="orchestrator", project=project)
    try:
        layout = open_layout(home_path, os.environ)
        settings = handed_settings() or load_settings(layout.home, os.environ)
        with OneOrchestrator(layout.home, project) as one:
            if not one.is_ours:
                log.warning("orchestrator_there_already", lock=ServiceFolder(layout.home.project(project)).lock)
                return 0
            from conductor.app.stores import open_store

            store = open_store(layout.home, settings)
            signals = SignalPipe(WATCHED_SIGNALS)
            return make_orchestrator(layout, settings, project, store, signals).run()
    except (StoreRefused, NoRoom, OSError) as error:  # begun anew from what is written, once the disk takes it
        log.error("orchestrator_cannot_record", error=str(error))
        return WorkerExit.CANNOT_RECORD
    except ConductorError as error:
        log.error("orchestrator_cannot_work", error=str(error))
        return WorkerExit.CANNOT_START


def make_orchestrator(
    layout: Layout, settings: Settings, project: str, store: Store, signals: SignalPipe | None = None
) -> Orchestrator:
    """Everything put together. Raises ConductorError."""
    from conductor.domain.worker_id import worker_id
    from conductor.kit.process import own_identity
    from conductor.orchestrator.orchestrator import Orchestrator

    owner = os.environ.get("CONDUCTOR_WORKER_ID") or worker_id("o", own_identity())
    tools = make_tools(layout, settings, project, store, owner)
    return Orchestrator(tools, rules_of(settings, project), owner, signals)


def rules_of(settings: Settings, project: str) -> Rules:
    from conductor.orchestrator.rules import Rules

    chosen = settings.orchestration_of(project)
    return Rules(
        wip=most_in_progress(settings, project),
        bounces=chosen.bounces,
        check=chosen.check,
        check_timeout_seconds=chosen.check_timeout,
        planner=chosen.planner or _default_planner(settings),
        resolver=chosen.resolver or "",
        reviewer=chosen.reviewer or "",
        allow_commands=chosen.allow_commands,
        push=chosen.push,
        pull_request=chosen.pull_request,
        remote=chosen.remote,
        route_depth=settings.orchestrator.route_depth,
        beat_seconds=settings.orchestrator.heartbeat.every,
    )


def _default_planner(settings: Settings) -> tuple[str, ...]:
    """The default agent, where it is one that answers: a home that `conductor init` made can plan."""
    from conductor.agents.access import abilities_of
    from conductor.agents.registry import installed_kinds
    from conductor.app.setups import chosen_setups

    kinds = installed_kinds()
    setup = chosen_setups(settings, kinds).get(settings.agent)
    return (settings.agent,) if setup is not None and abilities_of(setup, kinds).prompted else ()


def make_tools(layout: Layout, settings: Settings, name: str, store: Store, owner: str) -> Tools:
    from conductor.agents.access import abilities_of
    from conductor.agents.registry import installed_kinds
    from conductor.app.orchestrator_texts import make_texts
    from conductor.app.routing import make_router, memory_of
    from conductor.app.setups import chosen_setups
    from conductor.domain.worker_id import worker_id
    from conductor.kit.jsonlog import JsonLog
    from conductor.kit.process import own_identity
    from conductor.orchestrator.results_feed import FileResultsFeed
    from conductor.orchestrator.rules import Tools
    from conductor.projects.check_runner import ProcessCheckRunner
    from conductor.projects.checks import find_check
    from conductor.projects.publishing import Publisher

    home, environment = layout.home, dict(os.environ)
    log = JsonLog(_masker().mask, process="orchestrator", project=name)
    folder = ServiceFolder(home.project(name))
    os.makedirs(folder.doorbell, mode=0o700, exist_ok=True)
    project = store.project(name)
    kinds = installed_kinds()
    doors = make_doors(home, settings, loadable_agents(settings, kinds))
    setups = chosen_setups(settings, kinds)
    prompted = {agent for agent, setup in setups.items() if abilities_of(setup, kinds).prompted}
    chosen = settings.orchestration_of(name)
    return Tools(
        project=name,
        folder=folder.path,
        store=store,
        queue=quick_queue(layout),
        router=make_router(home, settings, environment, memory_of(store)),
        checks=ProcessCheckRunner(_kept(f"{owner}c"), environment, settings.environment),
        publisher=Publisher(_kept(f"{owner}p"), environment, settings.environment),
        feed=FileResultsFeed(home.results, folder.doorbell),
        teller=_teller(home),
        log=log,
        clock=time.time,
        repository=_repository(project, folder.path, settings) if project else None,
        texts=make_texts(layout.home, settings, name, sorted(prompted & set(settings.agents))),
        ring=lambda task_id: _ring(home, submitted=task_id),
        nudge=lambda task_id: _ring(home, cancelled=task_id),
        caller=worker_id("cli", own_identity()),
        pool_of=lambda agent: _pool_of(settings, agent),
        planned_agents=sorted(prompted & set(settings.agents)),
        is_prompted=prompted.__contains__,
        held_up=doors.why,
        answer=lambda task_id: _answer(home, task_id),
        find_check=lambda path: find_check(path, chosen.check).command,
        mirror=_FolderMirror(project, log) if project else _NoMirror(),
        write_back=_write_back(log),
    )


def _kept(token: str) -> KeptProcess:
    """`token` is in the environment of all that it starts: conductord finds by ours what we leave, it by its own what
    its keeper left."""
    from conductor.domain.masking import secret_values
    from conductor.projects.kept_process import KeptProcess

    return KeptProcess(token, tuple(secret_values(os.environ)))


def _repository(project: Project, folder: str, settings: Settings) -> Repository:
    from conductor.projects.repository import GitRepository

    chosen = settings.orchestration_of(project.name)
    return GitRepository(
        project.name,
        project.workspace,
        folder,
        guard_checkout=chosen.guard_checkout,
        undeclared_files=chosen.undeclared_files,
        environment=dict(os.environ),
    )


def _masker() -> Any:
    from conductor.domain.masking import Masker, secret_values

    return Masker(secret_values(os.environ))


def _ring(home: Home, **facts: Any) -> None:
    ring_doorbell(home, tasks=1, **facts)


def _teller(home: Home) -> Callable[[Collection[Activity]], bool]:
    from conductor.app import ask_daemon
    from conductor.orchestrator.telling import batches

    def tell(activity: Collection[Activity]) -> bool:
        try:
            for batch in batches(activity):
                ask_daemon(home, {"verb": "tell", "events": batch}, timeout_seconds=_TELL_SECONDS)
        except ConductorError:
            return False  # nobody there, or an older one: told again later
        return True

    return tell


def _pool_of(settings: Settings, agent: str) -> str:
    one = settings.agents.get(agent)
    return (one.pool if one is not None else None) or DEFAULT_POOL


def _answer(home: Home, task_id: str) -> str:
    """RESULT.txt of the latest attempt; empty where there is none."""
    from conductor.kit.durable import read_bytes

    try:
        return read_bytes(f"{home.task(task_id)}/latest/RESULT.txt", _MOST_ANSWER).decode("utf-8", "replace")
    except OSError:
        return ""


class _NoMirror:
    """Of a run without a project: its folder is the user's."""

    def note(self, activity: Sequence[Activity]) -> None: ...

    def show(self, run: Run, steps: Sequence[StepState], rounds: Sequence[Delegation], paths: Paths) -> None: ...

    def finish(self, run: Run, steps: Sequence[StepState], rounds: Sequence[Delegation], paths: Paths) -> None: ...


class _FolderMirror:
    """The files in `.conductor/` of the project's folder."""

    def __init__(self, project: Project, log: Log) -> None:
        from conductor.store.mirror import Mirror

        self._project = project
        self._log = log
        self._mirror = Mirror(project.workspace)

    def note(self, activity: Sequence[Activity]) -> None:
        self._mirror.note(activity)

    def show(self, run: Run, steps: Sequence[StepState], rounds: Sequence[Delegation], paths: Paths) -> None:
        self._mirror.begin(self._project, run, steps, rounds, paths)

    def finish(self, run: Run, steps: Sequence[StepState], rounds: Sequence[Delegation], paths: Paths) -> None:
        self._mirror.wait()
        trouble = self._mirror.write(self._project, run, steps, rounds, paths)
        if trouble:
            self._log.warning("mirror_not_written", folder=self._project.workspace, error=trouble)


def _write_back(log: Log) -> Callable[[Run, Sequence[StepState]], None]:
    """Task Master's file is told at the end of a run, when a checkout that it lies in is no longer waited for."""
    from conductor.orchestrator.plans.taskmaster import TaskMasterFile, taskmaster_status

    def write(run: Run, states: Sequence[StepState]) -> None:
        if not run.write_back:
            return
        file = TaskMasterFile(run.write_back, run.tag)
        for state in states:
            try:
                file.set_status(state.step.id, taskmaster_status(state.status), now=time.time())
            except (ConductorError, OSError) as error:
                log.warning("status_not_written_back", step=state.step.id, error=str(error))

    return write
