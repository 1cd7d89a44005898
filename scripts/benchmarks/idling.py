"""What fifty workers cost while nothing is to be done."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence

from benchmarks.conductors import running
from benchmarks.ground import Ground
from benchmarks.report import Figure, NotMeasured
from conductor.kit.process import children_of, stat_fields

_WORKERS = 50
_SETTLE_SECONDS = 5.0
_MOST_PERCENT = 0.5
_MOST_MIB = 4.0


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    home = ground.folder("idle")
    with running(ground, home, _WORKERS) as daemon:
        time.sleep(_SETTLE_SECONDS)  # the start is not the idling
        processes = _processes(daemon.pid)
        before, began = _cpu_seconds(daemon.pid), time.monotonic()
        time.sleep(options.idle_seconds)
        after, took = _cpu_seconds(daemon.pid), time.monotonic() - began
        memory = {role: [_pss_mib(pid) for pid in pids] for role, pids in _processes(daemon.pid).items()}
        replaced = len(set(_processes(daemon.pid)["worker"]) - set(processes["worker"]))
    percent = {role: 100 * (after[role] - before[role]) / took for role in before}
    whole = sum(percent.values())
    yield Figure(
        f"idle daemon with {_WORKERS} workers: CPU",
        f"≤ {_MOST_PERCENT:g} % of a core",
        f"{whole:.2f} %",
        whole <= _MOST_PERCENT,
        (
            ", ".join(f"{role} {share:.2f} %" for role, share in percent.items())
            + f"; {replaced} workers replaced meanwhile",
        ),
        f"user and system time of all of them over {took:.0f} s, dead ones included (/proc/<pid>/stat). "
        "Workers are replaced every 300 s; --idle-seconds 330 has that in it.",
        {"percent": [whole]},
    )
    workers = memory["worker"]
    mean = sum(workers) / len(workers)
    yield Figure(
        f"idle daemon with {_WORKERS} workers: memory a worker",
        f"≤ {_MOST_MIB:g} MiB PSS",
        f"{mean:.2f} MiB",
        mean <= _MOST_MIB,
        (
            f"workers: least {min(workers):.2f}, most {max(workers):.2f} MiB",
            f"beside them: the nursery {sum(memory['nursery']):.1f} MiB, the daemon {sum(memory['daemon']):.1f} MiB",
        ),
        "Pss in /proc/<pid>/smaps_rollup, the mean over the workers",
        {"MiB": workers},
    )


def _processes(daemon: int) -> dict[str, list[int]]:
    """Who is who: the daemon's child is the nursery, its children are the workers."""
    nurseries = children_of(daemon)
    workers = [pid for nursery in nurseries for pid in children_of(nursery)]
    if len(workers) != _WORKERS or len(nurseries) != 1:
        raise NotMeasured(f"{len(workers)} workers and {len(nurseries)} nurseries instead of {_WORKERS} and 1")
    return {"daemon": [daemon], "nursery": nurseries, "worker": workers}


def _cpu_seconds(daemon: int) -> dict[str, float]:
    """By role. What a process's ended children used counts with the workers."""
    found = {}
    reaped = 0
    for role, pids in _processes(daemon).items():
        fields = [_stat(pid) for pid in pids]
        found[role] = sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")
        if role != "worker":
            reaped += sum(int(one[13]) + int(one[14]) for one in fields)
    found["worker"] += reaped / os.sysconf("SC_CLK_TCK")
    return found


def _stat(pid: int) -> Sequence[str]:
    fields = stat_fields(pid)
    if fields is None:
        raise NotMeasured(f"process {pid} ended while it was looked at")
    return fields


def _pss_mib(pid: int) -> float:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    raise NotMeasured(f"/proc/{pid}/smaps_rollup has no Pss")
