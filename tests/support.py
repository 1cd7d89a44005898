"""What tests with real processes share: waiting for a condition, a scrubbed environment, the CLI, a real conductord."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from conductor.app import ask_daemon, quick_queue, ring_doorbell
from conductor.domain.errors import DaemonNotRunning
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, parse_result
from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec
from conductor.domain.view import Ended, TaskView, view_id
from conductor.kit.ids import stamped_id
from conductor.kit.process import identity_of, kill_with_variable, pids_with_variable
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import open_home

T = TypeVar("T")
PATIENCE = 30.0
POLL_SECONDS = 0.01
REPOSITORY = Path(__file__).resolve().parent.parent

FAST_SETTINGS: dict[str, Any] = {
    "agent": "command",
    "workers": 3,
    "poll_interval": "200ms",
    "stop_timeout": "20s",
    "grace": "2s",
    "timeout": "60s",
    "retry": {"first_wait": "20ms", "longest_wait": "100ms"},
    "restart": {"first_delay": "50ms", "longest_delay": "200ms"},
}
"""conductor.yaml of a daemon under test: everything happens soon, nothing is cut short by accident."""


def eventually(condition: Callable[[], T], within: float = PATIENCE, what: str = "") -> T:
    """The first true value of `condition()`, which is asked again and again; fails when there is none in time."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:g} s: {what or 'the awaited condition'}")
        time.sleep(POLL_SECONDS)
    return value


def stays(condition: Callable[[], bool], for_seconds: float = 0.5) -> bool:
    """Whether `condition()` is true all the time: for what must not happen. Two rounds of a fast daemon's scan."""
    deadline = time.monotonic() + for_seconds
    while holds := condition():
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    return holds


# -- environment and command line


def clean_environment(home: Home, **more: str) -> dict[str, str]:
    """What started programs see: nothing of the tester's own environment, a private home."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": os.path.dirname(home.path),
        "LANG": "C.UTF-8",
        "CONDUCTOR_HOME": home.path,
        "CONDUCTOR_SYSTEM_CONFIG": "/dev/null",
        **more,
    }


def run_cli(
    home: Home, *arguments: str, stdin: str = "", env: dict[str, str] | None = None, cwd: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`conductor <arguments>` as a real process, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "conductor", *arguments],
        input=stdin,
        env=clean_environment(home, **(env or {})),
        cwd=cwd or os.path.dirname(home.path),
        capture_output=True,
        text=True,
        timeout=60,
    )


def write_settings(home: Home, **changes: Any) -> None:
    """conductor.yaml with the fast settings and `changes` (JSON is YAML), replaced by rename."""
    settings = {**FAST_SETTINGS, **changes}
    temporary = f"{home.settings_file}.new"
    Path(temporary).write_text(json.dumps(settings), encoding="utf-8")
    os.rename(temporary, home.settings_file)


# -- the queue, as a program that uses conductor as a library sees it


def queue_of(home: Home) -> DirectoryQueue:
    return quick_queue(open_home(home))


def submit(home: Home, description: str, task_id: str = "", *, ring: bool = True, **options: Any) -> str:
    """Accepts one task for the agent `command`; returns its id. Without `ring` the daemon is not told."""
    spec = TaskSpec(
        id=task_id or stamped_id("t", time.time()), description=description, **{"agent": "command", **options}
    )
    queue_of(home).submit(spec, fresh=not task_id)
    if ring:
        ring_doorbell(home, tasks=1, submitted=spec.id)
    return spec.id


def unfinished(home: Home) -> dict[str, TaskView]:
    """Every task that has not ended, by id."""
    return {view_id(view): view for view in queue_of(home).tasks() if not isinstance(view, Ended)}


def result_lines(home: Home, task_id: str = "") -> list[ResultLine]:
    """results.txt, read; of one task or of all."""
    text = Path(home.results).read_text(encoding="utf-8")
    lines = [parse_result(line) for line in text.split("\n")[:-1]]
    return [line for line in lines if not task_id or line.task_id == task_id]


def statuses(home: Home, task_id: str) -> list[str]:
    """The third fields of the task's lines, oldest first."""
    return [line.status.value for line in result_lines(home, task_id)]


def final_line(home: Home, task_id: str) -> ResultLine | None:
    lines = [line for line in result_lines(home, task_id) if line.status is not Status.RETRY]
    assert len(lines) <= 1, f"{task_id} ended twice: {lines}"
    return lines[0] if lines else None


def wait_for_end(home: Home, task_id: str) -> ResultLine:
    return eventually(lambda: final_line(home, task_id), what=f"the end of {task_id}")


def record_of(home: Home, task_id: str, attempt: int = 1) -> dict[str, Any]:
    """result.json of one attempt."""
    found: dict[str, Any] = json.loads(Path(home.attempt(task_id, attempt), "result.json").read_bytes())
    return found


def said(home: Home, task_id: str, attempt: int = 1) -> str:
    """agent.log of one attempt, empty while there is none."""
    path = Path(home.attempt(task_id, attempt), "agent.log")
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


# -- processes


def processes_of(home: Home) -> list[int]:
    """Living processes that were started with this home in their environment."""
    return [pid for pid in pids_with_variable("CONDUCTOR_HOME", [home.path]) if identity_of(pid)]


def command_name(pid: int) -> str:
    """What `ps` shows: `conductor-nurse`, `conductor-work`, `sh`; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def named_processes(home: Home, name: str) -> list[int]:
    return [pid for pid in processes_of(home) if command_name(pid) == name]


def end_processes_of(home: Home) -> list[int]:
    """Kills what is left of a home and returns what there was: for the end of a test only."""
    left = processes_of(home)
    kill_with_variable("CONDUCTOR_HOME", [home.path], spare=frozenset({os.getpid()}))
    return left


class Gate:
    """A task that runs until the test lets it go: `command` is its description."""

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self._entered = folder / f"{name}.entered"
        self._opened = folder / f"{name}.open"
        self.command = (
            f"echo $CONDUCTOR_ATTEMPT >>{self._entered}; "
            f"while [ ! -e {self._opened} ]; do sleep 0.02; done; echo let through"
        )

    def attempts(self) -> list[int]:
        """The numbers of the attempts that came this far, in order."""
        return [int(line) for line in self._entered.read_text().split()] if self._entered.exists() else []

    def wait_for(self, attempt: int = 1) -> None:
        """Until that attempt runs."""
        eventually(lambda: attempt in self.attempts(), what=f"attempt {attempt} at {self._entered.name}")

    def open(self) -> None:
        self._opened.touch()


class Conductord:
    """A real conductord on a private home; may be started again after it ended."""

    def __init__(self, home: Home, env: dict[str, str] | None = None, log: str = "") -> None:
        self.home = home
        self._environment = clean_environment(home, **(env or {}))
        self._log = Path(log or f"{home.path}.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "conductord was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self, *arguments: str, prefix: tuple[str, ...] = ()) -> Conductord:
        """Starts it, by way of the program in `prefix` if there is one, and returns at once."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "conductor.cli.daemon", *arguments],
                env=self._environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def start(self, *arguments: str) -> Conductord:
        """Starts it and waits until it answers and all of its workers are idle or busy."""
        self.launch(*arguments)
        self.wait_until_settled()
        return self

    def wait_until_settled(self) -> None:
        def settled() -> bool:
            assert self.is_running, f"conductord ended with {self.process.returncode}:\n{self.log_text()}"
            found = self.status()
            slots = found["slots"] if found else []
            return bool(found) and all(slot["state"] in ("idle", "busy") for slot in slots)

        eventually(settled, what="conductord up, every slot idle or busy")

    def status(self) -> dict[str, Any]:
        """What it says of itself; empty while it does not answer."""
        try:
            found = ask_daemon(self.home, {"verb": "status"})
        except DaemonNotRunning:
            return {}
        return found if found["pid"] == self.pid else {}

    def slots(self, *states: str) -> list[dict[str, Any]]:
        """Slots in one of `states`, or all."""
        return [slot for slot in self.status().get("slots", []) if not states or slot["state"] in states]

    def ask(self, verb: str, **facts: Any) -> dict[str, Any]:
        return ask_daemon(self.home, {"verb": verb, **facts})

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(within)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: nothing of its own is done any more."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def log_text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.is_file() else ""

    def log_lines(self, action: str) -> list[dict[str, Any]]:
        """Its own, its nurseries' and its workers' log lines with that action."""
        whole = self.log_text().rpartition("\n")[0]
        lines = (json.loads(line) for line in whole.splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("action") == action]

    def nurseries(self) -> list[int]:
        return named_processes(self.home, "conductor-nurse")

    def close(self) -> None:
        """Ends it, whatever state it is in."""
        if not self.is_running:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"conductord did not end on SIGINT:\n{self.log_text()[-4000:]}")


def check_nothing_left(homes: Iterable[Home]) -> None:
    """Fails when a process of one of these homes outlived its daemon."""
    for home in homes:
        deadline = time.monotonic() + 5.0  # idle workers and nurseries leave a moment after their supervisor
        while processes_of(home) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        left = {pid: _command_line(pid) for pid in processes_of(home)}
        end_processes_of(home)
        assert not left, f"processes left over on {home.path}: {left}"


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
