"""What a claim costs when the queue is long, against when it is short."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.conductors import filled_queue, new_specs, without_fsync
from benchmarks.ground import Ground
from benchmarks.report import Figure, NotMeasured, median
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity
from conductor.ports import TaskQueue

_LONG, _SHORT = 200_000, 100
_WARM_UP = 10
_MOST_RATIO = 1.5


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    began = time.monotonic()
    queues = {}
    for count in (_LONG, _SHORT):
        path = ground.folder(f"claim-{count}")
        queues[count] = (filled_queue(path, count, "true"), path)
    set_up = time.monotonic() - began
    real: dict[int, list[float]] = {count: [] for count in queues}
    bare: dict[int, list[float]] = {count: [] for count in queues}
    for number in range(_WARM_UP + options.samples):
        for count in sorted(queues, reverse=number % 2 == 0):  # each goes first as often as the other
            queue, path = queues[count]
            real[count].append(_one_claim(queue, path, synced=True))
            bare[count].append(_one_claim(queue, path, synced=False))
    left = {count: queue.counts().ready for count, (queue, _) in queues.items()}
    if left != {_LONG: _LONG, _SHORT: _SHORT}:
        raise NotMeasured(f"the queues did not keep their length: {left}")
    long, short, long_bare, short_bare = (
        median(values[_WARM_UP:]) for values in (real[_LONG], real[_SHORT], bare[_LONG], bare[_SHORT])
    )
    yield Figure(
        f"a claim with {_LONG:,} pending against one with {_SHORT}",
        f"≤ {_MOST_RATIO:g} ×",
        f"{long / short:.2f} ×",
        long / short <= _MOST_RATIO,
        (
            f"as workers do it: median {long:.3f} ms against {short:.3f} ms",
            f"fsync switched off: {long_bare:.3f} ms against {short_bare:.3f} ms, {long_bare / short_bare:.2f} ×",
        ),
        f"{options.samples} claims each in turn, from one process; after each the task is finished and a new one "
        f"submitted, so that both queues keep their length. Filling them took {set_up:.0f} s, with fsync off.",
        {f"{count} pending, ms": values[_WARM_UP:] for count, values in real.items()},
    )


def _one_claim(queue: TaskQueue, path: str, *, synced: bool) -> float:
    """Milliseconds of one claim; the queue is as long afterwards as before."""
    me = worker_id("w1", own_identity())
    with ExitStack() as stack:
        if not synced:
            stack.enter_context(without_fsync())
        began = time.perf_counter()
        claim = queue.claim("default", me)
        took = (time.perf_counter() - began) * 1000
    if claim is None:
        raise NotMeasured("the queue ran empty")
    now = time.time()
    queue.finish(claim, TaskResult(Outcome.SUCCESS, "", "", now, now, exit_code=0))
    queue.submit(new_specs(1, "true", path)[0], fresh=True)
    return took
