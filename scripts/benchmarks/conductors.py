"""conductord and its queue, as the figures use them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.ground import Ground, until
from benchmarks.report import NotMeasured
from conductor.app import ask_daemon, open_layout, quick_queue
from conductor.domain.errors import ConductorError
from conductor.domain.home import Home
from conductor.domain.task import TaskSpec
from conductor.kit.ids import stamped_id
from conductor.ports import TaskQueue


class Conductord:
    """One daemon on one home."""

    def __init__(self, ground: Ground, home: str, workers: int) -> None:
        self.home = Home(home)
        self.workers = workers
        self._ground = ground
        self._env = ground.environment(CONDUCTOR_HOME=home)
        argv = [f"{ground.bin}/conductord", "--workers", str(workers)]
        self._process = ground.start(argv, self._env, cwd=home)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_idle(self) -> None:
        """Until every worker is idle and nothing is queued."""
        until(self._is_idle, f"{self.workers} idle workers", every=0.01)

    def _is_idle(self) -> bool:
        if self._process.poll() is not None:
            raise NotMeasured(f"conductord ended: {self._ground.log_tail('conductord')}")
        try:
            status = ask_daemon(self.home, {"verb": "status"})
        except ConductorError:
            return False
        return [slot["state"] for slot in status["slots"]] == ["idle"] * self.workers

    def end(self) -> None:
        self._ground.end(self._process)


@contextmanager
def running(ground: Ground, home: str, workers: int) -> Iterator[Conductord]:
    """A daemon with all workers idle, ended afterwards."""
    daemon = Conductord(ground, home, workers)
    try:
        daemon.wait_until_idle()
        yield daemon
    finally:
        daemon.end()


def submit_lines(ground: Ground, home: str, lines: str, name: str = "lines") -> None:
    """`conductor submit --agent command -`, to its return."""
    path = f"{home}/{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(lines)
    with open(path, "rb") as file:
        argv = [f"{ground.bin}/conductor", "submit", "--agent", "command", "-"]
        printed = ground.run(argv, ground.environment(CONDUCTOR_HOME=home), stdin=file)
    ids, wanted = printed.count(b"\n"), lines.count("\n")
    if ids != wanted:
        raise NotMeasured(f"submit printed {ids} ids for {wanted} lines")


def count_results(home: Home, status: str = "SUCCESS") -> int:
    with open(home.results, "rb") as file:
        return file.read().count(f"|{status}|".encode())


@contextmanager
def without_fsync() -> Iterator[None]:
    """For setting up in this process: fsync does nothing."""
    real = os.fsync
    os.fsync = lambda descriptor: None  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = real


def new_specs(count: int, description: str, workspace: str) -> list[TaskSpec]:
    batch, now_ms = stamped_id("b", time.time()), int(time.time() * 1000)
    return [
        TaskSpec(f"{batch}-{n}", description, agent="command", workspace=workspace, submitted_ms=now_ms)
        for n in range(1, count + 1)
    ]


def filled_queue(path: str, count: int, description: str) -> TaskQueue:
    """The queue of a new home with `count` tasks in ready/, put there through its own doors and on disk on return."""
    queue = quick_queue(open_layout(path, {}))
    with without_fsync():
        specs = new_specs(count, description, path)
        queue.submit_many(specs, fresh={spec.id for spec in specs})
        while queue.tend("command").more:
            pass
    os.sync()
    found = queue.counts().ready
    if found != count:
        raise NotMeasured(f"the set-up left {found} tasks ready instead of {count}")
    return queue
