"""`conductor taskmaster`: changes in Task Master's tasks.json, safe beside others that write it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from conductor.domain.errors import UsageError

if TYPE_CHECKING:
    from conductor.orchestrator.plans.taskmaster import TaskMasterFile

DEFAULT_FILE = ".taskmaster/tasks/tasks.json"

_file = click.option("--file", "path", metavar="FILE", default=DEFAULT_FILE, help=f"Default {DEFAULT_FILE}.")
_tag = click.option("--tag", default="", help="Default: master, or the only one there is.")


@click.group()
def taskmaster() -> None:
    """Changes tasks of Task Master (tasks.json).

    Each change is made with Task Master's own processes kept out, and leaves every other field as it is.
    `conductor run FILE` runs what is left to do; with --write-back the file is told at the end what became of each.

    \b
    conductor taskmaster add "Parse dates" --after 3
    conductor taskmaster set-status done 3 4.1
    """


@taskmaster.command()
@click.argument("title")
@click.option("--description", default="", help="What is to be done.")
@click.option("--after", metavar="ID", multiple=True, help="A task or sub-task that it waits for; may stand often.")
@click.option("--priority", default="medium", help="critical, high, medium or low.")
@_file
@_tag
def add(title: str, description: str, after: tuple[str, ...], priority: str, path: str, tag: str) -> None:
    """Adds a pending task and prints its id.

    \b
    conductor taskmaster add "Parse dates" --after 3 --priority high
    """
    number = _open(path, tag).add_task(
        title, now=time.time(), description=description, depends_on=after, priority=priority
    )
    click.echo(number)


@taskmaster.command("set-status")
@click.argument("status")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@_file
@_tag
def set_status(status: str, ids: tuple[str, ...], path: str, tag: str) -> None:
    """Sets the status of tasks (3) and sub-tasks (3.1).

    STATUS is pending, in-progress, done, review, deferred, cancelled or blocked. A task that is done has no sub-task
    that is not.

    \b
    conductor taskmaster set-status in-progress 3 3.1
    """
    for task_id in ids:
        _open(path, tag).set_status(task_id, status, now=time.time())


@taskmaster.command("update-subtask")
@click.argument("subtask_id", metavar="ID")
@click.argument("text")
@_file
@_tag
def update_subtask(subtask_id: str, text: str, path: str, tag: str) -> None:
    """Adds TEXT, with the time, to the details of a sub-task (3.1).

    \b
    conductor taskmaster update-subtask 3.1 "waits for the new API"
    """
    _open(path, tag).update_subtask(subtask_id, text, now=time.time())


def _open(path: str, tag: str) -> TaskMasterFile:
    from conductor.orchestrator.plans.taskmaster import TaskMasterFile

    if not os.path.isfile(path):
        raise UsageError(f"there is no file {path}: name Task Master's tasks.json with --file")
    return TaskMasterFile(path, tag)
