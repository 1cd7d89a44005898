"""`conductor cancel` and `conductor retry`."""

from __future__ import annotations

import os
import time

import click

from conductor.app import open_layout, patient_queue, ring_doorbell
from conductor.domain.exits import CliExit
from conductor.domain.view import Ended
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity

_PATIENCE_SECONDS = 15.0


@click.command()
@click.argument("task_ids", nargs=-1, required=True)
@click.pass_obj
def cancel(home_flag: str | None, task_ids: tuple[str, ...]) -> int:
    """Cancels tasks for good. One that runs is stopped, with everything it started; one that has ended stays ended."""
    layout = open_layout(home_flag, os.environ)
    queue = patient_queue(layout)
    for task_id in task_ids:
        answer = queue.cancel(task_id, worker_id("cli", own_identity()))
        if answer == "stopping":
            ring_doorbell(layout.home, cancelled=task_id)
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while not isinstance(queue.find(task_id), Ended) and time.monotonic() < deadline:
                time.sleep(0.05)
            answer = "cancelled" if isinstance(queue.find(task_id), Ended) else "being stopped"
        click.echo(f"{task_id} {'had ended before' if answer == 'ended' else answer}", err=True)
    return CliExit.WELL


@click.command()
@click.argument("task_ids", nargs=-1, required=True)
@click.pass_obj
def retry(home_flag: str | None, task_ids: tuple[str, ...]) -> int:
    """Runs tasks again that ended without success; their counts start anew, attempt numbers go on."""
    layout = open_layout(home_flag, os.environ)
    queue = patient_queue(layout)
    for task_id in task_ids:
        queue.retry(task_id)
    if not ring_doorbell(layout.home, tasks=len(task_ids)):
        click.echo("conductor: queued; no conductord runs on this home", err=True)
    return CliExit.WELL
