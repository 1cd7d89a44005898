"""Runs the chosen figures one after the other and prints them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks import (
    agents,
    claiming,
    dags,
    idling,
    latency,
    listing,
    memory,
    report,
    starting,
    submitting,
    throughput,
)
from benchmarks.ground import Ground, ground
from benchmarks.options import FIGURES, parse_options
from benchmarks.report import Figure, NotMeasured

_MEASURES: dict[str, Callable[[Ground, argparse.Namespace], Iterator[Figure]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "submit": submitting.measure_process,
    "batch": submitting.measure_batch,
    "claim": claiming.measure,
    "idle": idling.measure,
    "start": starting.measure,
    "agents": agents.measure,
    "dag": dags.measure,
    "list": listing.measure,
    "memory": memory.measure,
}


def main() -> int:
    options = parse_options(sys.argv[1:])
    facts = report.machine(options.dir)
    print(f"bench: {report.headline(facts)}", file=sys.stderr)
    figures: list[Figure] = []
    try:
        with ground(options.dir) as place:
            for name in FIGURES:
                if name in options.figures:
                    figures += _measured(name, place, options)
    except KeyboardInterrupt:
        print("bench: interrupted; everything it had started is gone", file=sys.stderr)
        return 130
    facts["load at end"] = report.load()
    if options.json:
        print(json.dumps({"machine": facts, "figures": [_plain(figure) for figure in figures]}, indent=1))
    else:
        print(f"\n{report.headline(facts)}\n\n{report.table(figures)}")
    return 1 if any(figure.must and not figure.reached for figure in figures) else 0


def _measured(name: str, place: Ground, options: argparse.Namespace) -> list[Figure]:
    """The figures of one measurement, told as soon as they are known."""
    began, load = time.monotonic(), report.load()
    print(f"bench: {name} ...", file=sys.stderr, flush=True)
    try:
        found = list(_MEASURES[name](place, options))
    except NotMeasured as error:
        found = [Figure(FIGURES[name], "measured at all", "not measured", None, (str(error),))]
    if not options.json:
        for figure in found:
            print("\n" + report.rendered(figure))
        took = time.monotonic() - began
        print(f"    ({name} took {took:.0f} s; load average {load} before, {report.load()} after)", flush=True)
    return found


def _plain(figure: Figure) -> dict[str, object]:
    return {**dataclasses.asdict(figure), "verdict": figure.verdict}


if __name__ == "__main__":
    sys.exit(main())
