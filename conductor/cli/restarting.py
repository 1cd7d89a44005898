"""`conductord --check`: whether the conductor that is installed here would come up, and what a restart costs now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

from conductor import __version__
from conductor.app import open_layout
from conductor.cli.doctoring.case import Case, open_case
from conductor.cli.doctoring.database import look_at_database
from conductor.cli.doctoring.place import look_at_home
from conductor.cli.doctoring.sign import Level, Sign, ok, warning, wrong
from conductor.cli.wording import many, one_line
from conductor.domain.durations import format_duration
from conductor.domain.errors import ConductorError
from conductor.domain.exits import CliExit
from conductor.settings.source import find_home

_MARKS = {Level.OK: "ok   ", Level.WARNING: "WAIT ", Level.WRONG: "WRONG"}
_MOST_TASKS = 10


def check_restart(home_flag: str | None, flags: Mapping[str, Any]) -> int:
    """Changes nothing. Exit codes: 0 a restart is safe now, 1 it would cut running tasks short, 78 the conductor that
    is installed here would not come up."""
    case = open_case(find_home(os.environ, home_flag), os.environ, deep=False)
    signs = [*_would_it_come_up(case, flags), *what_goes_on(case.status, _stop_timeout(case))]
    for sign in signs:
        click.echo(f"{_MARKS[sign.level]} {sign.about:<13} {one_line(sign.what, 2000)}")
        if sign.remedy:
            click.echo(f"{'':19}  → {one_line(sign.remedy, 2000)}")
    code = code_of(signs)
    click.echo(_TOLD[code])
    return code


_TOLD = {
    CliExit.WELL: "a restart is safe now",
    CliExit.TASK_FAILED: "a restart would cut running tasks short: wait, or do as it says above",
    CliExit.HOME_OR_SETTINGS: "conductord would not come up again: let the one that runs go on, and mend this first",
}


def code_of(signs: list[Sign]) -> CliExit:
    levels = {sign.level for sign in signs}
    if Level.WRONG in levels:
        return CliExit.HOME_OR_SETTINGS
    return CliExit.TASK_FAILED if Level.WARNING in levels else CliExit.WELL


def what_goes_on(status: Mapping[str, Any], stop_timeout: float) -> Iterator[Sign]:
    """`status`: of the conductord that runs; empty: none does."""
    if not status:
        yield ok("daemon", "no conductord runs here: nothing can be cut short")
        return
    yield ok("daemon", f"conductord {status['version']} runs (pid {status['pid']}), {__version__} would follow")
    busy = [slot for slot in status["slots"] if slot["state"] == "busy"]
    if not busy:
        yield ok("tasks", "none runs")
    elif status.get("under_systemd", True):
        named = ", ".join(slot["task"] for slot in busy[:_MOST_TASKS])
        within = format_duration(stop_timeout)
        what = f"{many(len(busy), 'task')} would be stopped and given back, if not over within {within}: {named}"
        yield warning("tasks", what, "`conductor drain` waits for them and ends conductord; start the service after it")
    else:
        how = "`conductor stop --leave-running` lets go on what runs, and the next conductord waits for it"
        yield ok("tasks", f"{many(len(busy), 'task')} on the way: {how}")
    for one in status.get("orchestrators", []):
        if one["state"] in ("starting", "running", "ending"):
            yield ok("runs", f"the orchestrator of project {one['project']} leaves and goes on with its runs")


def _would_it_come_up(case: Case, flags: Mapping[str, Any]) -> Iterator[Sign]:
    yield ok("conductor", f"{__version__} is installed here")
    yield from _not_told_twice(look_at_home(case))
    yield from _settings(case, flags)
    yield from _not_told_twice(look_at_database(case))
    yield _nursery(case, flags)


def _not_told_twice(signs: Iterator[Sign]) -> Iterator[Sign]:
    """A warning of the doctor is no reason to wait."""
    for sign in signs:
        yield sign if sign.level is not Level.WARNING else ok(sign.about, f"{sign.what}: {sign.remedy}")


def _settings(case: Case, flags: Mapping[str, Any]) -> Iterator[Sign]:
    from conductor.settings.model import load_settings

    try:
        load_settings(case.home, case.environment, flags)
        if case.is_there:
            open_layout(case.home.path, case.environment)
    except ConductorError as error:
        yield wrong("settings", str(error), "put it right before the restart")
    else:
        yield ok("settings", f"{case.home.settings_file} holds with {__version__}")


def _nursery(case: Case, flags: Mapping[str, Any]) -> Sign:
    """Starts one as conductord would, and lets it go."""
    from conductor.app.trial import try_nursery

    if case.settings is None:
        return wrong("workers", "no nursery can be tried with these settings", "put them right first")
    fault = try_nursery(case.home, case.settings)
    if fault:
        return wrong("workers", f"a nursery of {__version__} does not start: {fault}", "mend the installation")
    return ok("workers", f"a nursery of {__version__} starts")


def _stop_timeout(case: Case) -> float:
    return case.settings.stop_timeout if case.settings else 60.0
