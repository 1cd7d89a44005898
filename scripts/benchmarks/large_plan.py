"""A large plan from its file to its first wave in the queue, in a process of its own; prints a JSON line."""

from __future__ import annotations

import json
import resource
import sys
import time

from conductor.app import open_layout
from conductor.app.orchestration import RunOptions, start_run
from conductor.app.orchestrator_process import make_orchestrator
from conductor.app.stores import open_store
from conductor.orchestrator.plans import read_plan
from conductor.settings.model import load_settings


def main() -> None:
    home, path = sys.argv[1:]
    layout = open_layout(home, {})
    settings = load_settings(layout.home, {})
    open_store(layout.home, settings).close()
    parts, began = {}, time.perf_counter()
    plan = read_plan(path)
    parts["read and validate"] = time.perf_counter() - began
    run = start_run(layout, settings, plan=plan, request="", project="", options=RunOptions(workspace=home))
    parts["order and store"] = time.perf_counter() - began - sum(parts.values())
    orchestrator = make_orchestrator(layout, settings, run.project, open_store(layout.home, settings))
    orchestrator.tick(time.monotonic())
    parts["emit"] = time.perf_counter() - began - sum(parts.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.perf_counter() - began, "peak_mib": peak, "parts": parts}))


if __name__ == "__main__":
    main()
