"""`conductor doctor`: everything that keeps conductor from working well here, and what to do about it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from conductor.cli.doctoring.sign import Level, Sign, warning
from conductor.cli.wording import one_line
from conductor.domain.exits import CliExit
from conductor.domain.masking import Masker, secret_values
from conductor.settings.source import find_home

if TYPE_CHECKING:
    from conductor.cli.doctoring.case import Case

_MARKS = {Level.OK: "ok   ", Level.WARNING: "WARN ", Level.WRONG: "WRONG"}
_LONGEST = 2000

Look = Callable[["Case"], Iterable[Sign]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option(
    "--deep", is_flag=True, help="Takes its time: starts agents for their versions, checks the whole database."
)
@click.option("-q", "--quiet", is_flag=True, help="Only what is not well.")
@click.pass_obj
def doctor(home_flag: str | None, as_json: bool, deep: bool, quiet: bool) -> int:
    """Examines the home, the machine, conductord and the agents as its service sees them: exit 1 when something is
    wrong. Changes nothing; works without a home and without a conductord.

    \b
    conductor doctor             every look, with what to do
    conductor doctor -q          only what is not well: for cron
    conductor doctor --json      {"home", "wrong", "warnings",
                                 "signs": [{"level", "about", "what", "remedy"}]}
    """
    from conductor.cli.doctoring.case import open_case
    from conductor.cli.progress import Progress

    home = find_home(os.environ, home_flag)
    signs = []
    with Progress() as progress:
        for sign in examine(open_case(home, os.environ, deep=deep)):
            signs.append(sign)
            progress.tell(f"examining; the last was {sign.about}")
    grave = sum(sign.level is Level.WRONG for sign in signs)
    warnings = sum(sign.level is Level.WARNING for sign in signs)
    shown = [sign for sign in signs if not quiet or sign.level is not Level.OK]
    if as_json:
        found = {"home": home.path, "wrong": grave, "warnings": warnings, "signs": [asdict(sign) for sign in shown]}
        text = json.dumps(found, indent=1)
    else:
        text = "\n".join([*map(_line, shown), *([] if quiet else [_summary(grave, warnings)])])
    if text:
        click.echo(Masker(secret_values(os.environ)).mask(text))
    return CliExit.TASK_FAILED if grave else CliExit.WELL


def examine(case: Case) -> Iterator[Sign]:
    for name, look in _looks():
        try:
            yield from look(case)
        except Exception as error:  # what is odd enough to break one look must not hide what the others see
            what = f"could not be looked at: {type(error).__name__}: {error}"
            yield warning(name, what, "if that is nothing of your machine's, report it")


def _looks() -> Iterator[tuple[str, Look]]:
    from conductor.cli.doctoring import (
        agents,
        clock,
        daemon,
        database,
        limits,
        place,
        programs,
        security,
        service,
        waiting,
    )

    yield "programs", programs.look_at_programs
    yield "home", place.look_at_home
    yield "settings", security.look_at_settings
    yield "security", security.look_at_security
    yield "limits", limits.look_at_limits
    yield "daemon", daemon.look_at_daemon
    yield "service", service.look_at_service
    yield "agents", agents.look_at_agents
    yield "clock", clock.look_at_clock
    yield "database", database.look_at_database
    yield "queue", waiting.look_at_queue
    yield "projects", waiting.look_at_projects


def _line(sign: Sign) -> str:
    told = f"{_MARKS[sign.level]} {sign.about:<13} {one_line(sign.what, _LONGEST)}"
    return f"{told}\n{'':19}  → {one_line(sign.remedy, _LONGEST)}" if sign.remedy else told


def _summary(grave: int, warnings: int) -> str:
    if not grave and not warnings:
        return "all is well"
    return f"{grave} wrong, {warnings} to know"
