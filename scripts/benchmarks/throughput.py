"""No-op tasks a second against other queues, in turns, because a machine is never equally fast twice."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import peers
from benchmarks.ground import Ground
from benchmarks.report import Figure, NotMeasured, listed, median

_HOW = (
    "three workers each, a fresh start and six tasks of warm-up every round, then from the submission until every "
    "result is known. conductor: `conductor submit -` as a process, fsync on, /bin/sh -c true. RQ: enqueue_many, "
    "`rq worker` forking for every job, result kept by Redis. Celery: prefork, --concurrency 3 "
    "--max-tasks-per-child 1, Redis for broker and results. Both call `true` by subprocess. Redis: a Unix socket, "
    "appendonly no, save ''; nothing on disk. task-spooler: `tsp -S 3`, `tsp -n true` in a shell loop."
)


@dataclass
class Contender:
    name: str
    measure: peers.Round
    share: float
    """How many tasks of conductor's number it gets: slow ones fewer, so that a round takes seconds for each."""
    runs: list[peers.Run] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [run.rate for run in self.runs]

    def told(self) -> str:
        cpu = [run.cpu_ms for run in self.runs if run.cpu_ms is not None]
        used = f", {median(cpu):.1f} ms of CPU a task" if cpu else ""
        return f"{self.name}: median {median(self.rates):.1f} tasks/s ({listed(self.rates, '{:.1f}')}){used}"


def _contenders(ground: Ground, absent: dict[str, str]) -> list[Contender]:
    found = [Contender("conductor", peers.conductor, 1.0)]
    try:
        server = peers.RedisServer(ground)
    except NotMeasured as error:
        absent["RQ and Celery"] = str(error)
    else:
        found.append(Contender("RQ, true", peers.rq(server, "run_true"), 0.4))
        found.append(Contender("RQ, an empty function", peers.rq(server, "do_nothing"), 0.4))
        found.append(Contender("Celery", peers.celery(server), 0.05))
    found.append(Contender("tsp", peers.spooler, 1.0))
    found.append(Contender("tsp, queue filled before", peers.spooler_filled, 0.5))
    return found


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    absent: dict[str, str] = {}
    contenders = _contenders(ground, absent)
    for number in range(1, options.rounds + 1):
        for contender in list(contenders):
            count = max(12, int(options.tasks * contender.share))
            try:
                contender.runs.append(contender.measure(ground, count))
            except Exception as error:  # other people's programs break in their own ways: the rest goes on
                if contender.name == "conductor":
                    raise
                absent[contender.name] = f"{type(error).__name__}: {error}"
                contenders.remove(contender)
                continue
            said = f"bench: throughput, round {number}: {contender.name} {contender.rates[-1]:.1f} tasks/s"
            print(said, file=sys.stderr, flush=True)
    runs = {contender.name: contender.runs for contender in contenders}
    behind = [contender.told() for contender in contenders]
    behind += [f"{name}: not measured: {why}" for name, why in absent.items()]
    yield _against(runs, "RQ, true", "RQ's fork-per-job", 4.0, tuple(behind), _HOW)
    yield _against(runs, "RQ, an empty function", "RQ when it runs no program at all")
    yield _against(runs, "Celery", "Celery, one task a child", 30.0)
    yield _against(runs, "tsp", "task-spooler, submitting included")
    yield _against(runs, "tsp, queue filled before", "task-spooler, running only")


def _against(
    runs: dict[str, list[peers.Run]],
    name: str,
    title: str,
    factor: float | None = None,
    behind: tuple[str, ...] = (),
    how: str = "",
) -> Figure:
    what, must = f"no-op tasks: conductor against {title}", f"≥ {factor:g} ×" if factor else ""
    if name not in runs:
        return Figure(what, must, "not measured", None, behind, how)
    pairs = list(zip(runs["conductor"], runs[name], strict=True))
    ratios = [ours.rate / theirs.rate for ours, theirs in pairs]
    samples = {
        "conductor, tasks/s": [ours.rate for ours, _ in pairs],
        f"{name}, tasks/s": [theirs.rate for _, theirs in pairs],
        "ratio": ratios,
    }
    cpu = [theirs.cpu_ms / ours.cpu_ms for ours, theirs in pairs if theirs.cpu_ms and ours.cpu_ms]
    if cpu:
        behind = (*behind, f"by the CPU that a task uses, which others' load changes less: {median(cpu):.2f} ×")
        samples["ratio by CPU"] = cpu
    middle = median(ratios)
    measured = f"{middle:.2f} × (rounds: {listed(ratios, '{:.2f}')})"
    return Figure(what, must, measured, middle >= factor if factor else None, behind, how, samples)
