"""`conductor why`: what a task waits for."""

from __future__ import annotations

import os
import time

import click

from conductor.app import daemon_runs, make_doors, open_layout, patient_queue
from conductor.domain.durations import format_duration
from conductor.domain.errors import NoSuchTask
from conductor.domain.home import Home
from conductor.domain.task import TaskSpec
from conductor.domain.view import Ended, Queued, Running, TaskView, Waiting
from conductor.queue.directory import DirectoryQueue
from conductor.settings.model import Settings, load_settings


@click.command()
@click.argument("task_id")
@click.pass_obj
def why(home_flag: str | None, task_id: str) -> None:
    """Says why a task does not run now: a limit, memory, a budget, a time, its pool, or those before it.

    \b
    conductor why t-20261121-101530-abcdefgh
    """
    layout = open_layout(home_flag, os.environ)
    queue = patient_queue(layout)
    view = queue.find(task_id)
    if view is None:
        raise NoSuchTask(task_id)
    settings = load_settings(layout.home, os.environ)
    for reason in _reasons(view, queue, layout.home, settings) or ["nothing holds it up: it is about to start"]:
        click.echo(reason)


def _reasons(view: TaskView, queue: DirectoryQueue, home: Home, settings: Settings) -> list[str]:
    match view:
        case Running(spec=spec, worker_id=worker):
            return [f"it runs: worker {worker}, `conductor logs -f {spec.id}` shows what it says"]
        case Ended(task_id=task_id, status=status):
            return [f"it has ended as {status.value}: `conductor show {task_id}` tells how"]
        case Waiting(spec=spec, awaits=awaits) if awaits:
            told = f"it waits for task {awaits} to end well: `conductor why {awaits}` tells what holds that up"
            return [told, *_obstacles(spec, queue, home, settings)]
        case Waiting(spec=spec, due_ms=due_ms):
            left = max(0.0, due_ms / 1000 - time.time())
            return [
                f"it waits for its time: {format_duration(left)} from now",
                *_obstacles(spec, queue, home, settings),
            ]
        case Queued(spec=spec):
            return [*_obstacles(spec, queue, home, settings), *_those_before(spec, queue)]
    raise AssertionError(view)


def _obstacles(spec: TaskSpec, queue: DirectoryQueue, home: Home, settings: Settings) -> list[str]:
    """What would hold it up if it were the first of its pool."""
    found = []
    if not daemon_runs(home):
        found.append("no conductord runs on this home: start one with `conductord`")
    if queue.paused():
        found.append("the queue is paused: `conductor resume`")
    if full := queue.full():
        found.append(f"nothing is claimed, {full}: `conductor clean` makes room, then it goes on by itself")
    pools = settings.all_pools()
    if spec.pool not in pools:
        found.append(f"there is no pool {spec.pool!r}: add it to {home.settings_file}, then `conductor reload`")
    elif not pools[spec.pool].workers:
        found.append(f"pool {spec.pool} has no workers: `conductor scale {spec.pool}=1`")
    closed = make_doors(home, settings).why(spec)
    return [*found, closed] if closed else found


def _those_before(spec: TaskSpec, queue: DirectoryQueue) -> list[str]:
    """How many of its pool are claimed first."""
    before = 0
    for view in queue.tasks():
        if isinstance(view, Queued) and view.spec.pool == spec.pool:
            if view.spec.id == spec.id:
                break
            before += 1
    return [f"{before} of pool {spec.pool} come before it: `conductor list` shows them"] if before else []
