"""The options with which runs are started, the same for `run` and `build`, and what happens once one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from conductor.cli.types import DURATION
from conductor.domain.exits import CliExit
from conductor.domain.run import RunAutonomy

if TYPE_CHECKING:
    from conductor.app.orchestration import RunOptions
    from conductor.cli.watching import Desk
    from conductor.domain.run import Run

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--agent", default="", metavar="AGENT", help="Who does the steps that name nobody."),
    click.option("--autonomy", type=click.Choice([one.value for one in RunAutonomy]),
                 help="Who says go: manual, to each wave; confirm, to the plan; full."),
    click.option("--wip", type=click.IntRange(min=1), help="Most steps in progress at once."),
    click.option("--sequential", is_flag=True, help="One step at a time."),
    click.option("--timeout", type=DURATION, help="How long the run may take, without the time it waits for people."),
    click.option("--watch", is_flag=True, help="Draw the progress; a line for each event where there is no terminal."),
    click.option("--wait", is_flag=True, help="Return when it is over: 0 completed, 1 not, 5 it waits for approval."),
)  # fmt: skip


def run_options(command: F) -> F:
    """Puts the common options on a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def options_of(given: dict[str, Any], *, workspace: str = "", planner: str = "") -> RunOptions:
    from conductor.app.orchestration import RunOptions

    return RunOptions(
        autonomy=RunAutonomy(given["autonomy"]) if given["autonomy"] else None,
        sequential=given["sequential"],
        wip=given["wip"] or 0,
        timeout_seconds=given["timeout"],
        workspace=workspace,
        planner=planner,
        agent=given["agent"],
    )


def after_start(desk: Desk, run: Run, given: dict[str, Any]) -> int:
    """The run's id on standard output; then watched, waited for, or left alone."""
    from conductor.app import daemon_runs
    from conductor.cli.watching import watch_run

    if given["watch"]:
        return watch_run(desk, run.id)
    click.echo(run.id)
    if given["wait"]:
        return watch_run(desk, run.id, quiet=True)
    if daemon_runs(desk.layout.home):
        click.echo(f"conductor: started; `conductor runs watch {run.id}` shows how it goes", err=True)
    else:
        click.echo("conductor: accepted; no conductord runs on this home, so nothing starts until one does", err=True)
    return CliExit.WELL
