"""`conductor why`: what a task, a step or a run waits for."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from conductor.app import ask_daemon, make_doors, open_layout, patient_queue
from conductor.app.stores import nothing_kept
from conductor.cli.task_reasons import Around, reasons
from conductor.domain.errors import ConductorError, NoSuchRun, NoSuchTask
from conductor.domain.task import TaskSpec
from conductor.domain.view import Queued
from conductor.queue.directory import DirectoryQueue
from conductor.settings.model import load_settings

if TYPE_CHECKING:
    from conductor.cli.watching import Desk
    from conductor.queue.layout import Layout
    from conductor.settings.model import Settings

_RUN = "r-"
_PATIENCE_SECONDS = 5.0


@click.command()
@click.argument("task_id", metavar="TASK|RUN")
@click.argument("step_id", metavar="[STEP]", required=False)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def why(home_flag: str | None, task_id: str, step_id: str | None, as_json: bool) -> None:
    """Says why a task, a step of a run or a run does not go on now: a pause, a limit, memory, a budget, its time,
    those that it waits for, its pool, or those before it.

    \b
    conductor why t-20261121-101530-abcdefgh
    conductor why r-k3f9q2ab                  it, and its steps that aren't over
    conductor why r-k3f9q2ab parser           one step
    """
    layout = open_layout(home_flag, os.environ)
    settings = load_settings(layout.home, os.environ)
    found = _of_step(layout, settings, task_id, step_id) if step_id else _of(layout, settings, task_id)
    if as_json:
        click.echo(json.dumps({"id": task_id, "step": step_id or "", "reasons": found}, indent=1))
    else:
        click.echo("\n".join(found))


def _of(layout: Layout, settings: Settings, task_id: str) -> list[str]:
    queue = patient_queue(layout)
    view = queue.find(task_id)
    told = reasons(view, _around(layout, settings, queue)) if view is not None else []
    return [*told, *_what_runs_say(layout, settings, task_id, known=view is not None)]


def _of_step(layout: Layout, settings: Settings, run_id: str, step_id: str) -> list[str]:
    from conductor.cli.run_reasons import why_step

    with _desk(layout, settings) as desk:
        return list(why_step(desk, run_id, step_id))


def _what_runs_say(layout: Layout, settings: Settings, task_id: str, *, known: bool) -> list[str]:
    """Of a task of a run, of one that is not handed out yet, or of a run. Raises NoSuchTask where nobody has it."""
    if nothing_kept(layout.home, settings) or (known and not task_id.startswith(_RUN)):
        if known:
            return []
        raise NoSuchTask(task_id)
    from conductor.cli.run_reasons import of_task, why_run

    with _desk(layout, settings) as desk:
        said = of_task(desk, task_id)
        if said or known:
            return said
        try:
            return list(why_run(desk, task_id))
        except NoSuchRun:
            raise NoSuchTask(task_id) from None


@contextmanager
def _desk(layout: Layout, settings: Settings) -> Iterator[Desk]:
    from conductor.app.stores import open_store
    from conductor.cli.watching import Desk

    store = open_store(layout.home, settings)
    try:
        yield Desk(layout, settings, store)
    finally:
        store.close()


def _around(layout: Layout, settings: Settings, queue: DirectoryQueue) -> Around:
    try:
        status = ask_daemon(layout.home, {"verb": "status"}, timeout_seconds=_PATIENCE_SECONDS)
    except ConductorError:
        status = {}
    return Around(
        now=time.time(),
        settings_file=layout.home.settings_file,
        pools={name: pool.workers for name, pool in settings.all_pools().items()},
        status=status,
        paused=queue.paused(),
        full=queue.full(),
        closed=make_doors(layout.home, settings).why,
        find=queue.find,
        before=lambda spec: _before(queue, spec),
    )


def _before(queue: DirectoryQueue, spec: TaskSpec) -> int:
    """How many of its pool are claimed first."""
    before = 0
    for view in queue.tasks():
        if isinstance(view, Queued) and view.spec.pool == spec.pool:
            if view.spec.id == spec.id:
                break
            before += 1
    return before
