"""`conductor worktrees`: what rounds of past runs left in projects, and clearing away what is proven merged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from conductor.app import open_layout
from conductor.domain.durations import format_duration
from conductor.domain.errors import NoSuchProject, RepositoryBroken
from conductor.domain.home import Home

if TYPE_CHECKING:
    from conductor.domain.run import Project
    from conductor.ports.orchestration import Store
    from conductor.projects.keeping import KeptRound
    from conductor.projects.names import RoundName
    from conductor.projects.repository import GitRepository


@click.group(invoke_without_command=True)
@click.pass_context
def worktrees(context: click.Context) -> None:
    """Lists what is kept of past rounds: worktrees, and work under refs. `clean` removes what is proven merged.

    \b
    conductor worktrees
    conductor worktrees clean --dry-run
    """
    if context.invoked_subcommand is None:
        context.invoke(list_worktrees)


@worktrees.command("list")
@click.option("--project", metavar="NAME", help="Only of this project.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
@click.pass_obj
def list_worktrees(home_flag: str | None, project: str | None = None, as_json: bool = False) -> None:
    """What is kept, and whether it is merged. `git show REF` shows the work, `git cherry-pick REF` brings it in.

    \b
    conductor worktrees list --project shop
    """
    rows = []
    for name, repository, target, is_open in _repositories(home_flag, project):
        rows += [_row(name, kept) for kept in repository.kept(target, is_open, time.time())]
    _print(rows, as_json)


@worktrees.command("clean")
@click.option("--project", metavar="NAME", help="Only of this project.")
@click.option("--dry-run", is_flag=True, help="Only tells what would go.")
@click.option("--json", "as_json", is_flag=True, help="What went, as one JSON array.")
@click.pass_obj
def clean_worktrees(home_flag: str | None, project: str | None, dry_run: bool, as_json: bool) -> None:
    """Removes worktrees, branches and refs whose work is proven merged (squashed and rebased work counts). The rest
    stays, and so does all of a run that is not over.

    \b
    conductor worktrees clean --dry-run
    conductor worktrees clean --project shop
    """
    gone: list[dict[str, Any]] = []
    stays = 0
    for name, repository, target, is_open in _repositories(home_flag, project):
        if dry_run:
            found = repository.kept(target, is_open, time.time())
            went = [kept for kept in found if kept.state.value == "merged"]
            left = [kept for kept in found if kept.state.value != "merged"]
        else:
            went, left = repository.clean(target, is_open, time.time())
        gone += [_row(name, kept) for kept in went]
        stays += len(left)
    if gone or as_json:
        _print(gone, as_json)
    if not as_json:
        deed = "would go" if dry_run else "went"
        click.echo(f"{len(gone)} {deed}, {stays} stay" if stays != 1 else f"{len(gone)} {deed}, 1 stays", err=True)


Found = tuple[str, "GitRepository", str, Callable[["RoundName"], bool]]


def _repositories(home_flag: str | None, only: str | None) -> Iterator[Found]:
    """Each project that can be looked at; one that can't is told and passed over, unless it was asked for."""
    from conductor.app.stores import open_store
    from conductor.settings.model import load_settings

    home = open_layout(home_flag, os.environ).home
    store = open_store(home, load_settings(home, os.environ))
    try:
        projects = [project for project in store.projects() if only in (None, project.name)]
        if only is not None and not projects:
            raise NoSuchProject(only)
        for project in projects:
            try:
                yield project.name, _repository(home, project), project.target, _open_rounds(store, project.name)
            except RepositoryBroken as error:
                if only is not None:
                    raise
                click.echo(f"{project.name}: {error}", err=True)
    finally:
        store.close()


def _repository(home: Home, project: Project) -> GitRepository:
    from conductor.projects.repository import GitRepository

    folder = home.project(project.name)
    repository = GitRepository(project.name, project.workspace, folder, environment=dict(os.environ))
    repository.look()
    return repository


def _open_rounds(store: Store, project: str) -> Callable[[RoundName], bool]:
    """Those of runs that are not over, and those that a person was asked to look at."""
    from conductor.domain.run import DelegationState

    active = {run.id for run in store.runs(project, active=True)}

    def is_open(name: RoundName) -> bool:
        if name.run_id in active:
            return True
        rounds = store.delegations(name.run_id, name.step_id)
        return any(one.round == name.number and one.state is DelegationState.HELD for one in rounds)

    return is_open


def _row(project: str, kept: KeptRound) -> dict[str, Any]:
    return {
        "project": project,
        "run": kept.name.run_id,
        "step": kept.name.step_id,
        "round": kept.name.number,
        "state": kept.state.value,
        "why": kept.why,
        "age_seconds": round(kept.age_seconds),
        "worktree": kept.path,
        "ref": kept.ref,
    }


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        click.echo("nothing is kept", err=True)
    for row in rows:
        name = f"{row['project']}  {row['run']}/{row['step']}-{row['round']}"
        click.echo(f"{name}  {row['state']}  {format_duration(row['age_seconds'])}  {row['why']}")
        for where in (row["worktree"], row["ref"]):
            if where:
                click.echo(f"    {where}")
