"""A daemon that starts on a long queue after a crash: how soon does work go on?"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from benchmarks.conductors import Conductord, filled_queue
from benchmarks.ground import Ground, until
from benchmarks.latency import Bell
from benchmarks.report import Figure, NotMeasured, listed, median
from conductor.domain.worker_id import ProcessIdentity, worker_id
from conductor.kit.process import boot_id, is_alive, owner_lives
from conductor.ports import TaskQueue

_PENDING, _STALE = 100_000, 50
_MOST_SECONDS = 2.0


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    bell = Bell(ground.folder("bell"))
    home = ground.folder("start")
    queue = filled_queue(home, _PENDING, bell.command)
    times = []
    for _ in range(options.rounds):
        _leave_stale_claims(queue)
        began = time.monotonic()
        daemon = Conductord(ground, home, 3)
        times.append(bell.wait() - began)
        _check_recovered(queue)
        daemon.end()
        bell.empty()
    yield Figure(
        f"start with {_PENDING:,} pending and {_STALE} stale claims, to the first task",
        f"≤ {_MOST_SECONDS:g} s",
        f"{median(times):.2f} s",
        median(times) <= _MOST_SECONDS,
        (f"runs: {listed(times, '{:.2f}')} s",),
        "from the exec of conductord to the first byte that a newly claimed task's shell writes, 3 workers; the stale "
        "claims are those of processes that are gone, made anew for each run; caches warm",
        {"seconds": times},
    )


def _leave_stale_claims(queue: TaskQueue) -> None:
    """Fifty claims of workers that do not exist: pid 2 is the kernel's, started at another time."""
    for number in range(1, _STALE + 1):
        gone = ProcessIdentity(2, 999_999_000 + number, boot_id())
        assert not is_alive(gone)
        if queue.claim("default", worker_id(f"w{number}", gone)) is None:
            raise NotMeasured("the queue ran empty")


def _check_recovered(queue: TaskQueue) -> None:
    """All stale claims are settled, so the start did its whole work."""

    until(lambda: all(owner_lives(worker) for _, _, worker in queue.owned()), "the recovery of the stale claims")
