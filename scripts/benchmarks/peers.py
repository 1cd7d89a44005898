"""The other queues: each runs the same no-op with three workers, configured as lean as its own manual allows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from benchmarks import peer_jobs
from benchmarks.conductors import count_results, running, submit_lines
from benchmarks.ground import Ground, need, until
from benchmarks.report import NotMeasured

WORKERS = 3
_WARM_UP = 6
_LOOK_EVERY = 0.01
_JOBS = os.path.dirname(peer_jobs.__file__)


@dataclass(frozen=True)
class Run:
    """What running `count` tasks took."""

    rate: float
    cpu_ms: float | None
    """Of all processes of the system, a task; None where they can't all be seen."""


Round = Callable[[Ground, int], Run]
"""Starts the system, warms it up, runs so many tasks, ends it."""


class Meter:
    """Runs from its making to `read`."""

    def __init__(self, ground: Ground, *, sees_all: bool = True) -> None:
        self._ground = ground
        self._sees_all = sees_all
        self._cpu = ground.cpu_seconds()
        self._began = time.monotonic()

    def read(self, count: int) -> Run:
        rate = count / (time.monotonic() - self._began)
        cpu_ms = (self._ground.cpu_seconds() - self._cpu) / count * 1000
        return Run(rate, cpu_ms if self._sees_all else None)


def conductor(ground: Ground, count: int) -> Run:
    """From the start of `conductor submit -` until every line is in results.txt."""
    home = ground.folder("throughput")
    with running(ground, home, WORKERS) as daemon:
        submit_lines(ground, home, "true\n" * _WARM_UP, "warm-up")
        until(lambda: count_results(daemon.home) == _WARM_UP, "the warm-up")
        daemon.wait_until_idle()
        meter = Meter(ground)
        submit_lines(ground, home, "true\n" * count)
        until(lambda: count_results(daemon.home) == _WARM_UP + count, f"{count} results", every=_LOOK_EVERY)
        return meter.read(count)


class RedisServer:
    """A private Redis on a socket in the temporary folder, keeping nothing on disk; emptied for each round."""

    def __init__(self, ground: Ground) -> None:
        for library in ("redis", "rq", "celery"):
            if find_spec(library) is None:
                raise NotMeasured(f"the Python library {library} is not installed")
        import redis

        folder = ground.folder("redis")
        self.socket = f"{folder}/redis.sock"
        self.process = ground.start(
            [need("redis-server"), "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700",
             "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", folder],
            ground.environment(),
        )  # fmt: skip
        self.client: Any = redis.Redis(unix_socket_path=self.socket)
        until(self._answers, "redis-server", within=10)

    def _answers(self) -> bool:
        import redis

        with suppress(redis.exceptions.ConnectionError):
            return bool(self.client.ping())
        return False


def rq(server: RedisServer, job: str) -> Round:
    """RQ's fork-per-job: three `rq worker` processes."""

    def one_round(ground: Ground, count: int) -> Run:
        from rq import Queue

        server.client.flushall()
        argv = [f"{ground.bin}/rq", "worker", "--url", f"unix://{server.socket}", "--path", _JOBS, "--quiet",
                "--disable-job-desc-logging", "bench"]  # fmt: skip
        workers = [ground.start(argv, ground.environment(PYTHONPATH=_JOBS)) for _ in range(WORKERS)]
        try:
            until(lambda: server.client.scard("rq:workers") == WORKERS, "three rq workers")
            queue = Queue("bench", connection=server.client)

            def submit_and_wait(number: int, before: int) -> None:
                queue.enqueue_many([Queue.prepare_data(f"rq_noop.{job}") for _ in range(number)])
                finished = queue.finished_job_registry.key
                until(lambda: server.client.zcard(finished) == before + number, f"{number} RQ jobs", every=_LOOK_EVERY)

            submit_and_wait(_WARM_UP, 0)
            meter = Meter(ground)
            submit_and_wait(count, _WARM_UP)
            return meter.read(count)
        finally:
            for worker in workers:
                ground.end(worker)

    return one_round


def celery(server: RedisServer) -> Round:
    """Celery's prefork pool with one task a child."""

    def one_round(ground: Ground, count: int) -> Run:
        server.client.flushall()
        os.environ["BENCH_BROKER"] = os.environ["BENCH_BACKEND"] = f"redis+socket://{server.socket}"
        from benchmarks.peer_jobs.celery_noop import run_true

        address = f"redis+socket://{server.socket}"
        env = ground.environment(PYTHONPATH=_JOBS, BENCH_BROKER=address, BENCH_BACKEND=address)
        argv = [f"{ground.bin}/celery", "--app", "celery_noop", "worker", "--pool", "prefork", "--concurrency",
                str(WORKERS), "--max-tasks-per-child", "1", "--loglevel", "ERROR", "--without-gossip",
                "--without-mingle", "--without-heartbeat"]  # fmt: skip
        worker = ground.start(argv, env)
        try:

            def submit_and_wait(number: int) -> list[Any]:
                results = [run_true.apply_async() for _ in range(number)]
                keys = [f"celery-task-meta-{result.id}" for result in results]
                until(lambda: server.client.exists(*keys) == number, f"{number} Celery tasks", every=_LOOK_EVERY)
                return results

            submit_and_wait(_WARM_UP)
            meter = Meter(ground)
            results = submit_and_wait(count)
            found = meter.read(count)
            if len({result.get() for result in results}) != count:
                raise NotMeasured("some Celery tasks shared a process")
            return found
        finally:
            ground.end(worker)

    return one_round


def _spooler(ground: Ground) -> tuple[str, dict[str, str]]:
    folder = ground.folder("tsp")
    return need("tsp"), ground.environment(TS_SOCKET=f"{folder}/socket", TS_MAXFINISHED="4", TMPDIR=folder)


def _spool(ground: Ground, env: dict[str, str], count: int) -> None:
    """`tsp -n true` so many times: task-spooler has no way to take many at once."""
    loop = f"n=0; while [ $n -lt {count} ]; do tsp -n true; n=$((n + 1)); done"
    ground.run(["/bin/sh", "-c", loop], env)


def _spooled(ground: Ground, tsp: str, env: dict[str, str]) -> bool:
    states = ground.run([tsp, "-l"], env).decode()
    return "running" not in states and "queued" not in states and "allocating" not in states


def spooler(ground: Ground, count: int) -> Run:
    """task-spooler from the first submission to the last end, as a shell loop uses it."""
    tsp, env = _spooler(ground)
    ground.run([tsp, "-S", str(WORKERS)], env)
    try:
        meter = Meter(ground, sees_all=False)
        _spool(ground, env, count)
        until(lambda: _spooled(ground, tsp, env), "task-spooler", every=_LOOK_EVERY)
        return meter.read(count)
    finally:
        ground.run([tsp, "-K"], env)


def spooler_filled(ground: Ground, count: int) -> Run:
    """task-spooler on a queue that is full already: running only, without submitting."""
    tsp, env = _spooler(ground)
    gate = f"{ground.folder('gate')}/gate"
    os.mkfifo(gate, 0o600)
    try:
        ground.run([tsp, "-S", "1"], env)
        ground.run([tsp, "-n", "/bin/sh", "-c", f"read line < {gate}"], env)
        _spool(ground, env, count)
        ground.run([tsp, "-S", str(WORKERS)], env)
        meter = Meter(ground, sees_all=False)
        with open(gate, "w") as writer:
            writer.write("go\n")
        until(lambda: _spooled(ground, tsp, env), "task-spooler", every=_LOOK_EVERY)
        return meter.read(count)
    finally:
        ground.run([tsp, "-K"], env)
