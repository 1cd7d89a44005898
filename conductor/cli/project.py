"""`conductor project`: makes projects, shows how far they are, starts and stops their runs, emits a step by hand."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from conductor.app import open_layout
from conductor.domain.errors import DaemonNotRunning, NoSuchProject, UsageError

if TYPE_CHECKING:
    from conductor.domain.run import Project, Run
    from conductor.ports.orchestration import Store
    from conductor.queue.layout import Layout
    from conductor.settings.model import Settings

_PIPED_WIDTH = 200


@dataclass(frozen=True, slots=True)
class _Office:
    """What every verb needs."""

    layout: Layout
    settings: Settings
    store: Store

    def project(self, name: str) -> Project:
        """Raises NoSuchProject."""
        found = self.store.project(name)
        if found is None:
            raise NoSuchProject(name)
        return found

    def active(self, name: str) -> list[Run]:
        return self.store.runs(self.project(name).name, active=True)


@contextmanager
def _office(home_flag: str | None) -> Iterator[_Office]:
    from conductor.app.stores import open_store
    from conductor.settings.model import load_settings

    layout = open_layout(home_flag, os.environ)
    settings = load_settings(layout.home, os.environ)
    store = open_store(layout.home, settings)
    try:
        yield _Office(layout, settings, store)
    finally:
        store.close()


@click.group(invoke_without_command=True)
@click.pass_context
def project(context: click.Context) -> None:
    """Makes projects, shows how far they are, starts and stops their runs.

    \b
    conductor project create calc --path ~/src/calc
    conductor project show calc
    conductor build "a calculator" --project calc
    """
    if context.invoked_subcommand is None:
        context.invoke(list_projects)


@project.command()
@click.argument("name")
@click.option("--path", default="", metavar="DIR", help="Where; default is NAME in projects_dir.")
@click.option("--description", default="", help="For the README and for GitHub.")
@click.option("--init", is_flag=True, help="Where there are files and no commit: commit all of them.")
@click.option("--github", is_flag=True, help="Also make a private repository on GitHub with gh, and push to it.")
@click.option("--openclaw", is_flag=True, help="Also make an OpenClaw agent of that name for its folder.")
@click.pass_obj
def create(home_flag: str | None, /, name: str, **options: Any) -> None:
    """Makes a folder with a repository and a first commit; a repository that is there is used as it is.

    Prints the folder. Doing it again does what was not done yet.

    \b
    conductor project create calc             in projects_dir
    conductor project create shop --path ~/src/shop --github
    """
    from conductor.app.projects import make_project
    from conductor.projects.creating import Wanted

    with _office(home_flag) as office:
        wanted, home = Wanted(name, **options), office.layout.home
        created = make_project(home, office.store, office.settings, wanted, os.environ, time.time())
    for line in created.told:
        click.echo(line, err=True)
    click.echo(created.project.workspace)


@project.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, with more facts.")
@click.pass_obj
def list_projects(home_flag: str | None, as_json: bool = False) -> None:
    """All projects: orchestrator, runs under way, steps that are merged.

    \b
    conductor project list
    """
    from conductor.cli.project_facts import project_facts, project_row

    with _office(home_flag) as office:
        heartbeat, now = office.settings.orchestrator.heartbeat, time.time()
        facts = [project_facts(office.store, one, now, heartbeat) for one in office.store.projects()]
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    elif facts:
        _print_table([project_row(one) for one in facts])
    else:
        click.echo("no project yet: `conductor project create NAME` makes one", err=True)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("PROJECT", "ORCHESTRATOR", "RUNS", "STEPS", "TARGET", "WORKSPACE"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=console.width if console.is_terminal else _PIPED_WIDTH).print(table)


@project.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def show(home_flag: str | None, name: str, as_json: bool) -> None:
    """One project: its place, its check, its orchestrator, its runs.

    \b
    conductor project show calc
    conductor project status calc --json
    """
    from conductor.cli.project_facts import project_facts, project_page
    from conductor.projects.checks import find_check

    with _office(home_flag) as office:
        one, settings = office.project(name), office.settings
        facts = project_facts(office.store, one, time.time(), settings.orchestrator.heartbeat)
        check = find_check(one.workspace, settings.orchestration_of(name).check)
    if as_json:
        click.echo(json.dumps({**facts, "check": check.command, "check_why": check.why}, indent=1))
        return
    told = f"{check.command}  ({check.why})" if check.command else f"none: {check.why}"
    click.echo("\n".join(project_page(facts, told)))


project.add_command(show, "status")


@project.command()
@click.argument("name")
@click.pass_obj
def start(home_flag: str | None, name: str) -> None:
    """Has conductord see to it that the project's orchestrator runs. Exit 4 where no conductord runs.

    \b
    conductor project start calc
    """
    from conductor.app.orchestration import ring_orchestrator

    with _office(home_flag) as office:
        runs = office.active(name)
        if not runs:
            raise UsageError(f"project {name} has nothing under way: `conductor build` and `conductor run` begin a run")
        is_heard = ring_orchestrator(office.layout.home, name)
    if not is_heard:
        where = office.layout.home.path
        raise DaemonNotRunning(f"no conductord runs on {where}: start one with `conductord`, it goes on with {name}")
    click.echo(f"{name}: {', '.join(run.id for run in runs)} goes on", err=True)


@project.command()
@click.argument("name")
@click.pass_obj
def stop(home_flag: str | None, name: str) -> None:
    """Stops every run of the project that is under way: its steps are ended, what is merged stays on its branch.

    \b
    conductor project stop calc
    """
    from conductor.app.orchestration import ring_orchestrator

    with _office(home_flag) as office:
        runs = office.active(name)
        for run in runs:
            office.store.stop(run.id)
        is_heard = ring_orchestrator(office.layout.home, name) if runs else True
    if not runs:
        click.echo(f"{name}: nothing is under way", err=True)
    for run in runs:
        click.echo(f"{run.id} stops" + ("" if is_heard else " when a conductord runs: there is none now"), err=True)


@project.command()
@click.argument("name")
@click.argument("step")
@click.pass_obj
def spawn(home_flag: str | None, name: str, step: str) -> None:
    """Emits one STEP of the project's run by hand, while no orchestrator runs; prints the id of its task.

    \b
    conductor project spawn calc parser
    """
    from conductor.app.orchestration import spawn_step

    with _office(home_flag) as office:
        office.project(name)
        task_id = spawn_step(office.layout, office.settings, name, step)
    click.echo(task_id)
