"""`conductor clean`: removes what has ended long ago."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

import click

from conductor.app import open_layout
from conductor.cli.progress import Progress
from conductor.cli.types import DURATION
from conductor.domain.errors import UsageError
from conductor.domain.outcome import Status
from conductor.domain.sizes import format_bytes

_ENDS = tuple(status.value for status in Status if status is not Status.RETRY)


@click.command()
@click.option(
    "--older-than", type=DURATION, required=True, metavar="TIME", help="What ended before that, as 7d or 12h."
)
@click.option("--status", "statuses", help="Only tasks that ended so, and no runs: SUCCESS,FAILED...")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Of those the last so many tasks stay.")
@click.option("--dry-run", is_flag=True, help="Only tells what would go.")
@click.option("--yes", is_flag=True, help="Without asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def clean(
    home_flag: str | None,
    older_than: float,
    statuses: str | None,
    keep: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Removes tasks that have ended, with their folders and logs; their ids are free again.

    What has not ended stays, and so do tasks that others wait for and those of runs that are not over or need a person.
    Without --status old runs go too, with what the store knows of them. conductord does the same by itself where
    `retention: {older_than: 30d}` is set.

    \b
    conductor clean --older-than 7d --dry-run
    conductor clean --older-than 30d --status SUCCESS --yes
    """
    from conductor.app.cleaning import Wanted, would_clean
    from conductor.app.cleaning import clean as remove
    from conductor.settings.model import load_settings

    layout = open_layout(home_flag, os.environ)
    settings = load_settings(layout.home, os.environ)
    wanted = Wanted(older_than, _chosen(statuses), keep)
    if dry_run or not yes:
        found = would_clean(layout, settings, wanted)
        if dry_run:
            click.echo(
                json.dumps(asdict(found)) if as_json else f"would go: {_told(found.tasks, found.runs, found.bytes)}"
            )
            return
        _ask(_told(found.tasks, found.runs, found.bytes))
    with Progress() as progress:
        done = remove(layout, settings, wanted, lambda _: progress.tell("deleting what has ended"))
    click.echo(json.dumps(asdict(done)) if as_json else f"removed {_told(done.tasks, done.runs, done.bytes)}")
    if done.refused:
        click.echo(
            f"conductor: the system refused to delete {done.refused} names in {layout.home.queue}/trash", err=True
        )


def _chosen(statuses: str | None) -> frozenset[Status]:
    """Raises UsageError."""
    names = [name.strip().upper() for name in (statuses or "").split(",") if name.strip()]
    unknown = [name for name in names if name not in _ENDS]
    if unknown:
        raise UsageError(f"no task ends as {unknown[0]!r}: --status takes {', '.join(_ENDS)}")
    return frozenset(Status(name) for name in names)


def _ask(what: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{what} would go for good: say --yes, or --dry-run to only look")
    click.confirm(f"{what} go for good. Go on?", abort=True, err=True)


def _told(tasks: int, runs: int, size: int) -> str:
    counted = f"{tasks} task{'' if tasks == 1 else 's'}"
    counted += f" and {runs} run{'' if runs == 1 else 's'}" if runs else ""
    return f"{counted}, {format_bytes(size)}"
