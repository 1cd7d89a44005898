"""The page of `runs show`. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from conductor.cli.graph_view import merge_queue_told
from conductor.cli.run_story import ending, kept, notes, told
from conductor.cli.run_tables import steps_table
from conductor.cli.snapshot import Snapshot
from conductor.cli.wording import money, one_line
from conductor.domain.durations import format_duration
from conductor.domain.run import Delegation, RunStatus


def page(snapshot: Snapshot, last_rounds: Mapping[str, Delegation], wip: int) -> Iterator[str]:
    """`last_rounds`: by step id; `wip`: the most steps in progress at once."""
    run = snapshot.run
    yield from _facts(snapshot)
    yield ""
    yield from steps_table(snapshot, snapshot.steps, wip=wip) or ["no steps yet"]
    yield ""
    yield from merge_queue_told(snapshot)
    yield from notes(snapshot)
    yield from map(told, snapshot.activity)
    if run.is_over:
        yield ending(snapshot)
        yield from kept(snapshot, last_rounds)


def _facts(snapshot: Snapshot) -> Iterator[str]:
    run = snapshot.run
    facts = {
        "run": run.id,
        "title": one_line(run.title),
        "request": one_line(run.request) if run.request != run.title else "",
        "status": run.status.value.replace("_", " ") + (f": {one_line(run.reason)}" if run.reason else ""),
        "project": run.project if run.isolated else "",
        "workspace": run.workspace,
        "autonomy": run.autonomy.value,
        "branch": "" if run.status is RunStatus.COMPLETED or not run.branch else f"{run.branch}, lands on {run.target}",
        "check": one_line(run.check),
        "planner": one_line(run.planner),
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started or run.created)),
        "took" if run.is_over else "for": format_duration(snapshot.elapsed_seconds),
        "cost": money(snapshot.usd) if snapshot.usd else "",
        "tokens": f"{snapshot.tokens:,}" if snapshot.tokens else "",
    }
    for name, value in facts.items():
        if value:
            yield f"{name:<10}{value}"
