"""`conductor taskmaster`: changes in Task Master's tasks.json, with everybody else kept out meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from conductor.orchestrator.plans.taskmaster import TaskMasterFile

_FILE = ".taskmaster/tasks/tasks.json"
_STATUSES = ("pending", "in-progress", "done", "review", "deferred", "cancelled", "blocked")


@click.group()
@click.option("--file", "path", default=_FILE, show_default=True, type=click.Path(dir_okay=False), help="The file.")
@click.option("--tag", default="", help="Which tag; `master`, or the only one there is.")
@click.pass_context
def taskmaster(context: click.Context, path: str, tag: str) -> None:
    """Changes Task Master's tasks.json; what it does not know in there stays as it is.

    \b
    conductor taskmaster add "A search box" --after 3
    conductor taskmaster status 3.1 done
    conductor taskmaster note 3.1 "The index is rebuilt at start."
    conductor run .taskmaster/tasks/tasks.json --write-back      what became of each, written there at the end
    """
    from conductor.orchestrator.plans.taskmaster import TaskMasterFile

    context.obj = TaskMasterFile(path, tag)


@taskmaster.command()
@click.argument("title")
@click.option("--description", default="")
@click.option("--after", multiple=True, metavar="ID", help="It depends on this one; may be given again.")
@click.option("--priority", type=click.Choice(["critical", "high", "medium", "low"]), default="medium")
@click.pass_obj
def add(file: TaskMasterFile, title: str, description: str, after: tuple[str, ...], priority: str) -> None:
    """Adds a pending task and prints its id."""
    click.echo(file.add_task(title, now=time.time(), description=description, depends_on=after, priority=priority))


@taskmaster.command()
@click.argument("task_id", metavar="ID")
@click.argument("status", type=click.Choice(_STATUSES))
@click.pass_obj
def status(file: TaskMasterFile, task_id: str, status: str) -> None:
    """Sets the status of a task, or of a sub-task as 3.1."""
    file.set_status(task_id, status, now=time.time())


@taskmaster.command()
@click.argument("task_id", metavar="ID")
@click.argument("text")
@click.pass_obj
def note(file: TaskMasterFile, task_id: str, text: str) -> None:
    """Adds to the details of a sub-task what was learned, with the time."""
    file.update_subtask(task_id, text, now=time.time())
