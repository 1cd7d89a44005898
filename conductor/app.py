"""Wiring: the only file that knows every room. What is heavy is imported where it is used."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from conductor.domain.errors import ConductorError, DaemonNotRunning, LockTimeout, UsageError
from conductor.domain.home import Home
from conductor.domain.retry import RetryPolicy
from conductor.kit.lock import QuickLock, lock_holder
from conductor.queue.files import QueueFiles, Surroundings
from conductor.queue.layout import Layout, open_home
from conductor.settings.source import find_home

if TYPE_CHECKING:
    from conductor.limits.doorkeeper import Doors
    from conductor.ports import AgentRegistry, Log
    from conductor.queue.accepting import Accepting
    from conductor.queue.directory import DirectoryQueue
    from conductor.settings.model import Settings
    from conductor.supervisor.plan import SupervisorPlan
    from conductor.worker.config import WorkerConfig

LOCK_DEADLINE_SECONDS = 30.0


def chance() -> float:
    """In [0, 1), from the kernel: forks share no state."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)


def quick_queue(layout: Layout, policy: RetryPolicy | None = None) -> DirectoryQueue:
    """A queue for the hot path: submit and workers."""
    return _queue(layout, QuickLock(layout.lock, LOCK_DEADLINE_SECONDS), policy)


def patient_queue(layout: Layout, policy: RetryPolicy | None = None) -> DirectoryQueue:
    """A queue for everything else, on filelock's FileLock."""
    return _queue(layout, PatientLock(layout.lock), policy)


def accepting_queue(layout: Layout) -> Accepting:
    """Only what `submit` needs."""
    from conductor.queue.accepting import Accepting

    return Accepting(QueueFiles(layout, Surroundings(QuickLock(layout.lock, LOCK_DEADLINE_SECONDS), time.time, chance)))


class PatientLock:
    """filelock's FileLock; where it times out, the error names who holds it."""

    def __init__(self, path: str) -> None:
        from filelock import FileLock

        self._path = path
        self._lock = FileLock(
            path,
            timeout=LOCK_DEADLINE_SECONDS,
            poll_interval=0.002,
            mode=0o600,
            fallback_to_soft=False,
            preserve_lock_file=True,
        )

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except TimeoutError:
            raise LockTimeout(self._path, LOCK_DEADLINE_SECONDS, lock_holder(self._path)) from None

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def _queue(layout: Layout, lock: AbstractContextManager[Any], policy: RetryPolicy | None) -> DirectoryQueue:
    from conductor.queue.directory import DirectoryQueue

    return DirectoryQueue(layout, Surroundings(lock, time.time, chance, policy or RetryPolicy()))


def open_layout(flag: str | None, environment: Mapping[str, str]) -> Layout:
    """The home of the flag, the environment or the default, made if absent. Raises HomeRefused."""
    return open_home(find_home(environment, flag))


def make_doors(home: Home, settings: Settings, declared: Mapping[str, int] | None = None) -> Doors:
    """The doorkeeper of a home, as the settings want it. `declared`: bytes that each agent's adapter says it takes."""
    from conductor.limits.doorkeeper import Doors

    rules = (settings.limits.rules(), settings.budgets.rules())
    return Doors(home.path, settings.agent_setups(), declared or {}, rules)


# -- nursery


def nursery_command(control_fd: int, report_fd: int) -> list[str]:
    """-P: what lies in the current directory is not imported. It ends by os._exit: no thread and no exit handler that
    a preloaded module left can hold it."""
    code = f"import os; from conductor.app import run_nursery; os._exit(run_nursery({control_fd}, {report_fd}))"
    return [sys.executable, "-P", "-c", code]


def run_nursery(control_fd: int, report_fd: int) -> int:
    """The nursery process: reads its settings from the first line on its socket, then forks until told to end."""
    from importlib import import_module

    from conductor.agents.registry import registry
    from conductor.domain.exits import WorkerExit
    from conductor.domain.masking import Masker, secret_values
    from conductor.kit.jsonlog import JsonLog
    from conductor.worker.config import WorkerConfig
    from conductor.worker.life import WorkerTools
    from conductor.worker.nursery import Nursery, adopt_descriptors

    control = adopt_descriptors(control_fd, report_fd)
    log = JsonLog(Masker(secret_values(os.environ)).mask, process="nursery")
    try:
        config = WorkerConfig.from_json(_first_line(control.fileno()))
        log = log.bind(pool=config.pool)
        agents = registry(config.agents, config.kinds)
        for module in (*config.preload, "conductor.agents.command"):
            import_module(module)
    except Exception as error:  # whatever a preloaded module does as it is imported, another try would do again
        log.error("nursery_cannot_start", error=f"{type(error).__name__}: {error}")
        return int(WorkerExit.CANNOT_START)
    try:
        rehearse(config, agents, log)
    except (OSError, ConductorError) as error:
        log.warning("rehearsal_left_out", error=str(error), costs="only speed")
    layout = Layout(Home(config.home))
    tools = WorkerTools(config, quick_queue(layout, config.retry), agents, dict(os.environ), log)
    return Nursery(control, report_fd, tools).run()


def rehearse(config: WorkerConfig, agents: AgentRegistry, log: Log) -> None:
    """Runs a few no-op tasks on a throw-away home in memory before the first fork.

    Python specialises code as it runs; done here once, each worker finds it done, and copies fewer pages for it
    (a third less CPU a task, measured). Without a RAM disk it is left out: it only costs speed.
    """
    from dataclasses import replace

    from conductor.domain.task import TaskSpec
    from conductor.worker.life import WorkerTools
    from conductor.worker.rehearsal import ATTEMPTS, perform, scratch_folder

    with scratch_folder() as scratch:
        if not scratch:
            return
        layout = open_home(Home(f"{scratch}/home"))
        queue = quick_queue(layout, config.retry)
        for number in range(ATTEMPTS):
            queue.submit(TaskSpec(f"r-{number}", "true", agent="command", pool=config.pool, workspace=scratch))
        stage = replace(config, home=layout.home.path, max_idle_seconds=0.001)
        perform(WorkerTools(stage, queue, agents, dict(os.environ), log))


def _first_line(descriptor: int) -> str:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            raise ValueError("the supervisor left before it sent the settings")
        line += byte
    return line.decode()


# -- daemon


def retry_policy(settings: Settings) -> RetryPolicy:
    waits = settings.retry
    return RetryPolicy(settings.retries, waits.max_lost, waits.first_wait, waits.longest_wait)


def make_plan(home: Home, settings: Settings, kinds: Mapping[str, str]) -> SupervisorPlan:
    """What the supervisor and the nurseries are told, from checked settings."""
    from conductor.kit.cgroup import delegated_cgroup
    from conductor.supervisor.plan import PoolPlan, SupervisorPlan
    from conductor.supervisor.policy import RestartPolicy
    from conductor.worker.config import WorkerConfig

    retry = retry_policy(settings)
    restart = settings.restart
    setups = settings.agent_setups()
    cgroup = delegated_cgroup() if settings.cgroup == "auto" else settings.cgroup.removeprefix("off")
    pools = {
        name: PoolPlan(
            pool.workers,
            WorkerConfig(
                home=home.path,
                pool=name,
                kinds=dict(kinds),
                agents={name: setup.to_dict() for name, setup in setups.items()},
                preload=pool.preload,
                max_idle_seconds=settings.max_idle_time,
                timeout_seconds=settings.timeout,
                stall_seconds=settings.stall_timeout,
                grace_seconds=settings.grace,
                log_bytes=settings.log_cap,
                cgroup=cgroup,
                env_pass=(*settings.environment, "OPENCLAW_BIN", "DISCORD_CHANNEL"),
                retry=retry,
            ).to_json(),
        )
        for name, pool in settings.all_pools().items()
    }
    return SupervisorPlan(
        pools=pools,
        default_agent=settings.agent,
        poll_interval=settings.poll_interval,
        stop_timeout=settings.stop_timeout,
        grace=settings.grace,
        timeout=settings.timeout,
        restart=RestartPolicy(
            restart.budget,
            restart.first_delay,
            restart.longest_delay,
            restart.start_timeout,
            idle_timeout=settings.max_idle_time + 60.0,
        ),
        cgroup=cgroup,
    )


def run_daemon(home_flag: str | None, flags: Mapping[str, Any], *, use_terminal: bool) -> int:
    """conductord, whole. Raises ConductorError when it can't start."""
    from conductor.supervisor.boot import Boot

    layout = open_layout(home_flag, os.environ)
    boot = Boot(layout.home, os.environ, flags)
    with boot.only_daemon():
        settings = boot.load_settings()
        from conductor.agents.registry import installed_kinds

        for name, value in (("OPENCLAW_BIN", settings.openclaw_bin), ("DISCORD_CHANNEL", settings.discord_channel)):
            if value:
                os.environ[name] = value  # agents get them from us
        kinds = installed_kinds()
        queue = patient_queue(layout, retry_policy(settings))

        def reload() -> SupervisorPlan:
            fresh = boot.load_settings()
            queue.use_policy(retry_policy(fresh))
            return make_plan(layout.home, fresh, kinds)

        return boot.run(
            plan=make_plan(layout.home, settings, kinds),
            reload=reload,
            queue=queue,
            inbox=layout.inbox,
            nursery_command=nursery_command,
            use_terminal=use_terminal,
        )


# -- talking to the daemon


def ask_daemon(home: Home, request: dict[str, Any], *, timeout_seconds: float = 10.0) -> dict[str, Any]:
    """The daemon's answer. Raises DaemonNotRunning, and UsageError when it can't do that."""
    import json

    from conductor.kit.unixsocket import connect

    try:
        with connect(home.control_socket, timeout_seconds) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise DaemonNotRunning(f"no conductord runs on {home.path}: start one with `conductord`") from None
    except OSError as error:
        raise DaemonNotRunning(f"conductord on {home.path} does not answer: {error}") from error
    if not line:
        raise DaemonNotRunning(f"conductord on {home.path} closed the connection")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise UsageError(str(answer["error"]))
    return answer


def ring_doorbell(home: Home, **facts: Any) -> bool:
    """Tells a running daemon to look at the queue now; False when there is none. Only a hint."""
    import json

    from conductor.kit.unixsocket import connect

    try:
        with connect(home.control_socket, 1.0) as connection:
            connection.sendall(json.dumps({"verb": "ring", **facts}).encode() + b"\n")
        return True
    except OSError:
        return False
