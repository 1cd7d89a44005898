"""`conductor submit` as people call it: one task a process, and ten thousand through one."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.conductors import submit_lines
from benchmarks.ground import Ground
from benchmarks.report import Figure, NotMeasured, listed, median
from conductor.app import open_layout, patient_queue

_WARM_UP = 3
_MOST_RATIO = 2.0
_LINES = 10_000
_LEAST_RATE = 5000.0


def _milliseconds(argv: Sequence[str], env: dict[str, str], cwd: str) -> float:
    began = time.monotonic()
    nowhere = subprocess.DEVNULL
    ended = subprocess.run(argv, env=env, cwd=cwd, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False)
    took = (time.monotonic() - began) * 1000
    if ended.returncode != 0:
        raise NotMeasured(f"{' '.join(argv)} ended with {ended.returncode}")
    return took


def measure_process(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    home = ground.folder("submit")
    env = ground.environment(CONDUCTOR_HOME=home)
    commands = {
        "conductor submit": [f"{ground.bin}/conductor", "submit", "--agent", "command", "true"],
        "import click": [sys.executable, "-c", "import click"],
        "python": [sys.executable, "-c", "pass"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_WARM_UP + options.pairs):
        for name, argv in commands.items():
            taken[name].append(_milliseconds(argv, env, home))
    taken = {name: times[_WARM_UP:] for name, times in taken.items()}
    ratios = [ours / theirs for ours, theirs in zip(taken["conductor submit"], taken["import click"], strict=True)]
    least = min(taken["conductor submit"]) / min(taken["import click"])
    behind = tuple(f"{name}: median {median(times):.1f} ms, least {min(times):.1f} ms" for name, times in taken.items())
    yield Figure(
        "`conductor submit` as a whole process, against `import click`",
        f"≤ {_MOST_RATIO:g} ×",
        f"{median(ratios):.2f} × (least against least: {least:.2f} ×)",
        median(ratios) <= _MOST_RATIO,
        (*behind, f"the middle half of the ratios: {_middle_half(ratios)}"),
        f"{options.pairs} pairs in turn with the same interpreter, no daemon, fsync included; the median of the ratios",
        {**taken, "ratio": ratios},
    )


def _middle_half(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 4]:.2f} to {ordered[len(ordered) * 3 // 4]:.2f}"


def measure_batch(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    rates = []
    lines = "".join(f"echo task number {number} of this batch\n" for number in range(_LINES))
    for _ in range(options.rounds):
        home = ground.folder("batch")
        patient_queue(open_layout(home, {}))
        began = time.monotonic()
        submit_lines(ground, home, lines)
        rates.append(_LINES / (time.monotonic() - began))
        accepted = patient_queue(open_layout(home, {})).counts().pending
        if accepted != _LINES:
            raise NotMeasured(f"{accepted} tasks were accepted instead of {_LINES}")
    yield Figure(
        f"`submit -` with {_LINES:,} lines",
        f"≥ {_LEAST_RATE:,.0f} tasks/s",
        f"{median(rates):,.0f} tasks/s",
        median(rates) >= _LEAST_RATE,
        (f"runs: {listed(rates, '{:,.0f}')} tasks/s",),
        "the whole process, from its start to its exit: interpreter, reading, one synced batch file, ids printed; "
        "no daemon; every line counted in the queue afterwards",
        {"tasks/s": rates},
    )
