"""`conductor run`: a plan becomes a run."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from conductor.cli.finding import open_desk
from conductor.cli.run_options import after_start, options_of, run_options
from conductor.domain.errors import UsageError
from conductor.domain.exits import CliExit

if TYPE_CHECKING:
    from conductor.cli.watching import Desk
    from conductor.domain.plan import Plan


@click.command("run")
@click.argument("plan_path", metavar="PLAN", type=click.Path())
@click.option("--project", default="", help="Work in this project, each step in a worktree; the plan's by default.")
@click.option(
    "--workspace", type=click.Path(exists=True, file_okay=False), help="Without a project: the folder, here by default."
)
@click.option("--tag", default="", help="Of Task Master's file: which tag.")
@click.option(
    "--mode",
    type=click.Choice(["sleep", "command"]),
    default="sleep",
    show_default=True,
    help="Of a recorded workflow: sleep as long as each task took, or run its command.",
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of a recorded workflow: times are multiplied by this.",
)
@run_options
@click.option("--write-back", is_flag=True, help="Of Task Master's file: at the end it is told what became of each.")
@click.option("--dry-run", is_flag=True, help="Only show what would run.")
@click.pass_obj
def run_plan(home_flag: str | None, /, plan_path: str, project: str, workspace: str | None, **given: Any) -> int:
    """Runs PLAN: YAML or JSON, Task Master's tasks.json, a folder of specs/, or a recorded workflow (WfFormat).

    With a project each step works in a worktree of its own and is merged when the check passed; without one all
    steps work in one folder, without git. Exit codes with --watch and --wait: 0 completed, 1 not, 5 it waits for
    `conductor approve`.

    \b
    conductor run plan.yaml --watch
    conductor run .taskmaster/tasks/tasks.json --tag master --project shop --wait
    """
    from conductor.app.orchestration import start_run
    from conductor.cli.plan_files import read

    if not os.path.exists(plan_path):
        raise UsageError(f'no file or folder {plan_path!r}: `conductor build "…"` starts from a request')
    found = read(plan_path, tag=given["tag"], mode=given["mode"], scale=given["scale"])
    desk = open_desk(home_flag)
    if given["dry_run"]:
        _preview(desk, found)
        return CliExit.WELL
    wanted = project or found.project
    if wanted and workspace:
        raise UsageError(f"--workspace is for runs without a project, and this one is for {wanted!r}")
    options = options_of(given, workspace=os.path.abspath(workspace or os.getcwd()))
    if given["write_back"]:
        options = replace(options, write_back=_taskmaster_file(plan_path), tag=given["tag"])
    run = start_run(desk.layout, desk.settings, plan=found, request="", project=wanted, options=options)
    return after_start(desk, run, given)


def _taskmaster_file(path: str) -> str:
    """Where the plan's statuses are written back to. Raises UsageError where it is no tasks.json."""
    for found in (path, f"{path}/.taskmaster/tasks/tasks.json"):
        if os.path.isfile(found) and os.path.basename(found) == "tasks.json":
            return os.path.abspath(found)
    raise UsageError(f"--write-back is for Task Master's tasks.json, and {path} is none")


def _preview(desk: Desk, found: Plan) -> None:
    from conductor.cli.plan_view import plan_lines
    from conductor.cli.planning import choices_for

    for line in plan_lines(found, choices_for(desk, found), desk.settings.workers):
        click.echo(line)
