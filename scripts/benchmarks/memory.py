"""Whether conductord and its nursery grow with the number of tasks that went through them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from benchmarks.conductors import count_results, running, submit_lines
from benchmarks.ground import Ground, until
from benchmarks.report import Figure, NotMeasured, listed
from conductor.kit.process import children_of

_WORKERS = 3
_PIECES = 20
_MOST_PERCENT = 5.0


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    """After a first piece, in which everything that is loaded once is loaded, memory is read after each piece."""
    home = ground.folder("memory")
    piece = max(1, options.memory_tasks // _PIECES)
    found: dict[str, list[float]] = {"conductord": [], "nursery": []}
    with running(ground, home, _WORKERS) as daemon:
        nurseries = children_of(daemon.pid)
        for number in range(1, _PIECES + 2):
            submit_lines(ground, home, "true\n" * piece, f"lines-{number}")
            until(lambda wanted=number * piece: count_results(daemon.home) >= wanted, "the tasks", 3600.0, 0.25)
            daemon.wait_until_idle()
            if children_of(daemon.pid) != nurseries:
                raise NotMeasured("the nursery was replaced meanwhile")
            found["conductord"].append(_resident_mib(daemon.pid))
            found["nursery"].append(_resident_mib(nurseries[0]))
    for who, sizes in found.items():
        first, rest = sizes[0], sizes[1:]
        worst = max((abs(size - first) / first * 100 for size in rest), default=0.0)
        yield Figure(
            f"memory of {who} over {piece * _PIECES:,} tasks",
            f"± {_MOST_PERCENT:g} %",
            f"{worst:.1f} % ({first:.1f} to {sizes[-1]:.1f} MiB)",
            worst <= _MOST_PERCENT,
            (f"after each {piece:,} tasks: {listed(sizes, '{:.1f}')} MiB",),
            f"resident memory (VmRSS), {_WORKERS} workers, no-op tasks; against that after the first {piece:,} tasks",
            {"MiB": sizes},
        )


def _resident_mib(pid: int) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise NotMeasured(f"/proc/{pid}/status has no VmRSS")
