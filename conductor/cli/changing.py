"""`conductor cancel` and `conductor retry`."""

from __future__ import annotations

import os
import time

import click

from conductor.app import open_layout, patient_queue, ring_doorbell
from conductor.cli.main import exit_code_of
from conductor.cli.progress import Progress
from conductor.domain.errors import ConductorError, NoSuchTask, UsageError
from conductor.domain.exits import CliExit
from conductor.domain.view import Ended
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity
from conductor.queue.directory import DirectoryQueue

_PATIENCE_SECONDS = 15.0


@click.command()
@click.argument("task_ids", nargs=-1, required=True)
@click.pass_obj
def cancel(home_flag: str | None, task_ids: tuple[str, ...]) -> int:
    """Cancels tasks for good. One that runs is stopped, with everything it started; one that has ended stays ended.

    \b
    conductor cancel t-20261121-101530-abcdefgh
    conductor list --state ready --all --json |
      jq -r '.[].task' | xargs conductor cancel
    """
    layout = open_layout(home_flag, os.environ)
    queue, caller = patient_queue(layout), worker_id("cli", own_identity())
    answers, code = dict[str, str](), CliExit.WELL
    for task_id in task_ids:
        try:
            answers[task_id] = queue.cancel(task_id, caller)
        except NoSuchTask as error:
            code = _told(error)
        if answers.get(task_id) == "stopping":
            ring_doorbell(layout.home, cancelled=task_id)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for task_id, answer in answers.items():
        if answer == "stopping":
            with Progress() as progress:
                answer = _when_stopped(queue, task_id, deadline, progress)
        click.echo(f"{task_id} {'had ended before' if answer == 'ended' else answer}", err=True)
    return code


def _when_stopped(queue: DirectoryQueue, task_id: str, deadline: float, progress: Progress) -> str:
    while not isinstance(queue.find(task_id), Ended):
        if time.monotonic() >= deadline:
            return "being stopped"
        progress.tell(f"{task_id} is being stopped, with all that it started")
        time.sleep(0.05)
    return "cancelled"


def _told(error: ConductorError) -> CliExit:
    """Says what is wrong with one of several tasks; the others get what they were to get."""
    click.echo(f"conductor: {error}", err=True)
    return exit_code_of(error)


@click.command()
@click.argument("task_ids", nargs=-1, required=True)
@click.pass_obj
def retry(home_flag: str | None, task_ids: tuple[str, ...]) -> int:
    """Runs tasks again that ended without success; their counts start anew, attempt numbers go on.

    \b
    conductor retry t-20261121-101530-abcdefgh
    conductor list --state dead --all --json |
      jq -r '.[].task' | xargs conductor retry
    """
    layout = open_layout(home_flag, os.environ)
    queue, queued, code = patient_queue(layout), 0, CliExit.WELL
    for task_id in task_ids:
        try:
            queue.retry(task_id)
            queued += 1
        except (NoSuchTask, UsageError) as error:
            code = _told(error)
    if queued and not ring_doorbell(layout.home, tasks=queued):
        click.echo("conductor: queued; no conductord runs on this home", err=True)
    return code
