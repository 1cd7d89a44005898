"""The command `conductor` in a process of its own: forked, not exec'd, so that hundreds of calls take seconds.

What a user gives and sees is real: arguments, environment, working directory, standard streams, exit code. What only
a fresh interpreter shows (imports, start-up) is tested in test_front_door.py with real ones.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from conductor.cli.main import COMMANDS, cli, main
from conductor.domain.home import Home
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.task import Claim
from conductor.domain.view import TaskView
from conductor.queue.directory import DirectoryQueue
from tests.support import clean_environment, eventually, queue_of

WORKER = "w1-4711-1a2b3c-0123abcd"
_LOADED_LATE = (
    "filelock", "psutil", "rich.console", "rich.live", "rich.table", "yaml", "conductor.queue.directory",
    "conductor.app.orchestration", "conductor.settings.model", "conductor.store.sqlite", "conductor.orchestrator.plans",
    "conductor.cli.watching", "conductor.cli.run_follower", "conductor.cli.graph_view",
)  # fmt: skip


def load_commands() -> None:
    """So that each forked command finds loaded what it would load by itself."""
    for name in COMMANDS:
        cli.get_command(click.Context(cli), name)
    for module in _LOADED_LATE:
        import_module(module)


load_commands()


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def ids(self) -> list[str]:
        """Standard output as `submit` promises it: task ids, one a line, nothing else."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Running:
    """A command that was started and goes on."""

    def __init__(self, pid: int, folder: Path, number: int) -> None:
        self.pid = pid
        self._out, self._err = folder / f"{number}.out", folder / f"{number}.err"
        self._code: int | None = None

    def out(self) -> str:
        return self._out.read_bytes().decode()

    def has_ended(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def answer(self) -> Answer:
        """Once it has ended by itself."""
        eventually(self.has_ended, what="the command's end")
        assert self._code is not None
        return Answer(self._code, self.out(), self._err.read_bytes().decode())

    def end(self) -> None:
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            eventually(self.has_ended, what="the killed command's end")


class Shell:
    """Somebody's shell: calls `conductor` on one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.cwd = os.path.dirname(home.path)
        self.env = clean_environment(home)
        self._folder = Path(self.cwd, "streams")
        self._folder.mkdir()
        self._calls = 0

    def __call__(self, *arguments: str, stdin: str | bytes = "", **env: str) -> Answer:
        return self.start(*arguments, stdin=stdin, **env).answer()

    def start(self, *arguments: str, stdin: str | bytes = "", **env: str) -> Running:
        self._calls += 1
        given = self._folder / f"{self._calls}.in"
        given.write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
        streams = [given, self._folder / f"{self._calls}.out", self._folder / f"{self._calls}.err"]
        for path in streams[1:]:
            path.touch()
        pid = os.fork()
        if pid == 0:
            _be_conductor(["conductor", *arguments], {**self.env, **env}, self.cwd, streams)
        return Running(pid, self._folder, self._calls)

    def ok(self, *arguments: str, stdin: str | bytes = "", **env: str) -> Answer:
        answer = self(*arguments, stdin=stdin, **env)
        assert answer.code == 0, answer
        return answer

    def submit(self, *arguments: str) -> str:
        """The id of one new task."""
        (task_id,) = self.ok("submit", "--agent", "command", *arguments).ids
        return task_id

    def task(self, task_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("show", "--json", task_id).json
        return found

    # -- what a worker would do

    @property
    def queue(self) -> DirectoryQueue:
        return queue_of(self.home)

    def unpack(self) -> None:
        """The daemon's housekeeping, without the daemon."""
        while self.queue.tend("").more:
            pass

    def views(self) -> dict[str, TaskView]:
        return {view.spec.id: view for view in self.queue.tasks()}  # type: ignore[union-attr]

    def claim(self, pool: str = "default", worker: str = WORKER) -> Claim:
        claim = self.queue.claim(pool, worker)
        assert claim is not None, "nothing to claim"
        return claim

    def run_next(self, outcome: Outcome = Outcome.SUCCESS, text: str = "fine\n", **facts: Any) -> str:
        """Runs the next task as a worker would record it; returns its id."""
        claim = self.claim()
        self.record(claim, outcome, text, **facts)
        return claim.spec.id

    def record(self, claim: Claim, outcome: Outcome, text: str, **facts: Any) -> None:
        for name in ("agent.log", "RESULT.txt", "SUMMARY.txt"):
            Path(claim.directory, name).write_text(text, encoding="utf-8")
        now = time.time()
        preview = text.strip().rpartition("\n")[2]
        reason = "" if outcome is Outcome.SUCCESS else "exit 3"
        self.queue.finish(claim, TaskResult(outcome, reason, preview, now - 1.5, now, **facts))


def _be_conductor(arguments: list[str], env: dict[str, str], cwd: str, streams: list[Path]) -> NoReturn:
    code = 99
    try:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        for number, (path, flags) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
            os.dup2(os.open(path, flags | os.O_APPEND), number)
        sys.stdin = os.fdopen(0, encoding="utf-8")
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        sys.argv = arguments
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
