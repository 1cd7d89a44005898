"""`conductor build`: from a request to merged, tested commits."""

from __future__ import annotations

from typing import Any

import click

from conductor.cli.finding import open_desk
from conductor.cli.run_options import after_start, options_of, run_options


@click.command()
@click.argument("request")
@click.option("--project", required=True, help="Of which project; made where there is none.")
@click.option("--planner", default="", metavar="AGENT[:MODEL]", help="Who takes the request apart, before all others.")
@run_options
@click.pass_obj
def build(home_flag: str | None, /, request: str, project: str, planner: str, **given: Any) -> int:
    """Builds REQUEST: a model takes it apart, agents do the steps in worktrees, what passes the check is merged.

    Commands that a model wrote wait for `conductor approve` unless they are on the allow-list. Exit codes with
    --watch and --wait: 0 completed, 1 not, 5 it waits for `conductor approve`.

    \b
    conductor build "a calculator with a CLI and tests" --project calc --watch
    """
    from conductor.app.orchestration import ensure_project, start_run
    from conductor.cli.planning import check_request

    check_request(request)
    desk = open_desk(home_flag)
    found, is_new = ensure_project(desk.layout, desk.settings, project)
    if is_new:
        click.echo(f"conductor: made the project {project} in {found.workspace}", err=True)
    options = options_of(given, planner=planner)
    run = start_run(desk.layout, desk.settings, plan=None, request=request, project=project, options=options)
    return after_start(desk, run, given)
