"""Wiring: the only package that knows every room. What is heavy is imported where it is used."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from conductor import __version__
from conductor.domain.errors import DaemonNotRunning, LockTimeout, UsageError
from conductor.domain.home import Home
from conductor.domain.retry import RetryPolicy
from conductor.kit.lock import QuickLock, lock_holder
from conductor.queue.files import QueueFiles, Surroundings
from conductor.queue.layout import Layout, open_home
from conductor.settings.source import find_home

if TYPE_CHECKING:
    from conductor.limits.doorkeeper import Doors
    from conductor.ports import Agent, Doorkeeper
    from conductor.queue.accepting import Accepting
    from conductor.queue.directory import DirectoryQueue
    from conductor.settings.model import Settings

LOCK_DEADLINE_SECONDS = 30.0


def chance() -> float:
    """In [0, 1), from the kernel: forks share no state."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)


def quick_queue(
    layout: Layout, policy: RetryPolicy | None = None, doorkeeper: Doorkeeper | None = None
) -> DirectoryQueue:
    """A queue for the hot path: submit and workers."""
    return _queue(layout, QuickLock(layout.lock, LOCK_DEADLINE_SECONDS), policy, doorkeeper)


def patient_queue(
    layout: Layout, policy: RetryPolicy | None = None, doorkeeper: Doorkeeper | None = None
) -> DirectoryQueue:
    """A queue for everything else, on filelock's FileLock."""
    return _queue(layout, PatientLock(layout.lock), policy, doorkeeper)


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


def _queue(
    layout: Layout, lock: AbstractContextManager[Any], policy: RetryPolicy | None, doorkeeper: Doorkeeper | None
) -> DirectoryQueue:
    from conductor.queue.directory import DirectoryQueue

    return DirectoryQueue(layout, Surroundings(lock, time.time, chance, policy or RetryPolicy(), doorkeeper))


def open_layout(flag: str | None, environment: Mapping[str, str]) -> Layout:
    """The home of the flag, the environment or the default, made if absent. Raises HomeRefused."""
    return open_home(find_home(environment, flag))


def make_doors(home: Home, settings: Settings, agents: Mapping[str, Agent] | None = None) -> Doors:
    """The doorkeeper of a home, as the settings want it. `agents`: those that can be made, where they are known."""
    from conductor.agents.registry import installed_kinds
    from conductor.limits.doorkeeper import Doors

    agents = loadable_agents(settings, installed_kinds()) if agents is None else agents
    declared = {name: agent.abilities.memory_bytes for name, agent in agents.items()}
    return Doors(home.path, settings.agent_setups(), declared, (settings.limits.rules(), settings.budgets.rules()))


def loadable_agents(settings: Settings, kinds: Mapping[str, str]) -> dict[str, Agent]:
    """Every agent that can be made. One whose adapter is missing or broken fails its tasks with the reason."""
    from conductor.agents.registry import make_agent

    found = {}
    for name, setup in settings.agent_setups().items():
        with suppress(Exception):  # a plug-in may raise whatever it likes
            found[name] = make_agent(setup, kinds)
    return found


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
        raise UsageError(_refusal(home, request, str(answer["error"])))
    return answer


def _refusal(home: Home, request: Mapping[str, Any], told: str) -> str:
    """What the daemon told; of another version, which does not know the verb: which it is and what helps."""
    if not told.startswith("unknown verb") or request["verb"] == "status":
        return told
    version = ask_daemon(home, {"verb": "status"}).get("version", "?")
    return (
        f"conductord {version} on {home.path} does not know {request['verb']!r}, and this is conductor {__version__}: "
        "restart conductord with this version"
    )


def daemon_runs(home: Home) -> bool:
    """Whether a conductord listens on this home. Wakes nobody."""
    from conductor.kit.unixsocket import connect

    try:
        connect(home.control_socket, 1.0).close()
    except OSError:
        return False
    return True


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
