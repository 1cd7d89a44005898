"""Commands of a guest: a member of the group that somebody's home is shared with.

They take what the owner's commands of the same names take, as far as it can be done from here, ask conductord at
shared.sock, and touch no file there. Members name their own tasks with or without the `u<uid>.` that stands in front.
"""

from __future__ import annotations

import json
import os
import sys
import time
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from inspect import Parameter, signature
from typing import Any

import click

from conductor.app.sharing.asking import ask_shared, guest_home
from conductor.cli import changing, following, listing, live, showing, submit, waiting
from conductor.cli.agent_story import told
from conductor.cli.main import exit_code_of
from conductor.cli.wording import many
from conductor.domain.errors import ConductorError, DaemonNotRunning, HomeRefused, SettingsInvalid, UsageError
from conductor.domain.exits import CliExit
from conductor.domain.home import Home
from conductor.domain.lines import format_task, parse_result
from conductor.domain.outcome import Status

_POLL_SECONDS = 0.3
_PATIENCE_SECONDS = 15.0
_MOST_LISTED = 1000

GUEST_COMMANDS: dict[str, click.Command] = {}


def _guest(owners: click.Command) -> Callable[[Callable[..., int | None]], click.Command]:
    """A command with the name, the options and the help of the owner's; it is handed the home."""

    def made(act: Callable[..., int | None]) -> click.Command:
        def callback(**options: Any) -> int | None:
            home = guest_home(click.get_current_context().obj, os.environ)
            if home is None:
                raise HomeRefused("the home is not shared any more: `conductor` again works on its files")
            return act(home, **options)

        command = click.Command(owners.name, callback=callback, params=_taken(owners, act), help=owners.help)
        GUEST_COMMANDS[str(owners.name)] = command
        return command

    return made


def _taken(owners: click.Command, act: Callable[..., int | None]) -> list[click.Parameter]:
    """The owner's options as far as `act` has them; all where it has **options."""
    known = signature(act).parameters
    takes_all = any(one.kind is Parameter.VAR_KEYWORD for one in known.values())
    return [parameter for parameter in owners.params if takes_all or parameter.name in known]


# -- submitting


@_guest(submit.submit)
def submit_as_guest(home: Home, description: str, **options: Any) -> int:
    specs, _ = submit.specs_of(description, options, lambda spec: spec)
    lines = [format_task(spec) for spec in specs]
    if not lines:
        return CliExit.WELL
    ids = ask_shared(home, "submit", tasks=lines, if_absent=options["if_absent"])["ids"]
    sys.stdout.write("".join(f"{task_id}\n" for task_id in ids))
    sys.stdout.flush()
    return _wait_for(home, ids, None) if options["wait"] else CliExit.WELL


# -- looking


@_guest(listing.list_tasks)
def list_as_guest(
    home: Home,
    states: tuple[str, ...],
    pool: str | None,
    limit: int,
    after: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """`after` looks among the first that are told."""
    rows = (
        row
        for row in ask_shared(home, "list", limit=_MOST_LISTED if everything or after else limit)["rows"]
        if (not states or row["state"] in states) and (pool is None or row.get("pool") == pool)
    )
    listing.show_page(rows, after=after, limit=None if everything else limit, as_json=as_json)


@_guest(showing.show)
def show_as_guest(home: Home, task_id: str, as_json: bool) -> None:
    found = ask_shared(home, "show", task=task_id)
    if as_json:
        click.echo(json.dumps(found["story"], indent=1))
    else:
        showing.print_story(found["story"], found["summary"])


@_guest(following.logs)
def logs_as_guest(home: Home, task_id: str, follow: bool, attempt: int | None, raw: bool) -> None:
    shown, position = 0, 0
    while True:
        asked = attempt or shown or None
        found = ask_shared(home, "logs", task=task_id, attempt=asked, position=position, raw=raw)
        piece = b64decode(found["piece"])
        shown, position = found["attempt"], position + len(piece)
        _write_log(piece, events=found["events"])
        if found["more"] or piece:
            continue
        latest = shown if attempt else ask_shared(home, "logs", task=task_id, raw=raw)["attempt"]
        if latest != shown:
            shown, position = latest, 0
        elif found["ended"] or not follow:
            break
        else:
            time.sleep(_POLL_SECONDS)
    if not shown:
        click.echo(f"conductor: {task_id} has not run yet: `conductor show {task_id}` tells its state", err=True)


def _write_log(piece: bytes, *, events: bool) -> None:
    if events:
        piece = b"".join(told(line).encode("utf-8", "replace") for line in piece.splitlines(keepends=True))
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@_guest(following.results)
def results_as_guest(home: Home, follow: bool, lines: int, as_json: bool) -> None:
    found = ask_shared(home, "results", lines=lines)
    _print_results(found["lines"], as_json=as_json)
    while follow:
        time.sleep(_POLL_SECONDS)
        found = ask_shared(home, "results", position=found["position"])
        _print_results(found["lines"], as_json=as_json)


def _print_results(lines: list[str], *, as_json: bool) -> None:
    for line in lines:
        sys.stdout.write(json.dumps(asdict(parse_result(line))) + "\n" if as_json else line)
    sys.stdout.flush()


@_guest(waiting.wait)
def wait_as_guest(home: Home, task_ids: tuple[str, ...], timeout: float | None) -> int:
    return _wait_for(home, list(dict.fromkeys(task_ids)), timeout)


def _wait_for(home: Home, task_ids: list[str], timeout: float | None) -> int:
    deadline = None if timeout is None else time.monotonic() + timeout
    statuses: dict[str, str] = {}
    while waiting_for := [task_id for task_id in task_ids if task_id not in statuses]:
        for start in range(0, len(waiting_for), _MOST_LISTED):
            statuses |= ask_shared(home, "ended", tasks=waiting_for[start : start + _MOST_LISTED])["ended"]
        if len(statuses) == len(task_ids):
            break
        if deadline is not None and time.monotonic() >= deadline:
            click.echo(f"conductor: {len(task_ids) - len(statuses)} tasks have not ended yet", err=True)
            return CliExit.TASK_FAILED
        time.sleep(_POLL_SECONDS)
    failed = [task_id for task_id in task_ids if statuses[task_id] != Status.SUCCESS.value]
    for task_id in failed:
        click.echo(f"conductor: {task_id} {statuses[task_id]}", err=True)
    return CliExit.TASK_FAILED if failed else CliExit.WELL


# -- changing


@_guest(changing.cancel)
def cancel_as_guest(home: Home, task_ids: tuple[str, ...]) -> int:
    code, stopping = CliExit.WELL, []
    for task_id in task_ids:
        try:
            answer = ask_shared(home, "cancel", task=task_id)["answer"]
        except ConductorError as error:
            click.echo(f"conductor: {error}", err=True)
            code = exit_code_of(error)
            continue
        if answer == "stopping":
            stopping.append(task_id)
        else:
            click.echo(f"{task_id} {'had ended before' if answer == 'ended' else answer}", err=True)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for task_id in stopping:
        click.echo(f"{task_id} {_when_stopped(home, task_id, deadline)}", err=True)
    return code


def _when_stopped(home: Home, task_id: str, deadline: float) -> str:
    while not ask_shared(home, "ended", tasks=[task_id])["ended"]:
        if time.monotonic() >= deadline:
            return "being stopped"
        time.sleep(_POLL_SECONDS)
    return "cancelled"


@_guest(changing.retry)
def retry_as_guest(home: Home, task_ids: tuple[str, ...]) -> int:
    code = CliExit.WELL
    for task_id in task_ids:
        try:
            ask_shared(home, "retry", task=task_id)
        except ConductorError as error:
            click.echo(f"conductor: {error}", err=True)
            code = exit_code_of(error)
    return code


# -- steering: for operators; conductord refuses the others


@_guest(live.status)
def status_as_guest(home: Home, as_json: bool, every: float | None) -> None:
    from conductor.supervisor.status_page import render_page

    def look() -> tuple[dict[str, Any], str]:
        found = ask_shared(home, "status")
        return found, render_page(found)

    if every is not None:
        from conductor.cli.status_watch import watch_status

        watch_status(look, every, as_json=as_json)
    found, page = look()
    click.echo(json.dumps(found) if as_json else page, nl=as_json)


@_guest(live.scale)
def scale_as_guest(home: Home, workers: int, pool: str) -> None:
    ask_shared(home, "scale", pool=pool, workers=workers)
    click.echo(f"pool {pool}: {workers} workers", err=True)


@_guest(live.pause)
def pause_as_guest(home: Home) -> None:
    ask_shared(home, "pause")
    click.echo("paused: running tasks go on, nothing new starts until `conductor resume`", err=True)


@_guest(live.resume)
def resume_as_guest(home: Home) -> None:
    ask_shared(home, "resume")
    click.echo("resumed", err=True)


@_guest(live.drain)
def drain_as_guest(home: Home, wait: bool) -> None:
    ask_shared(home, "drain")
    click.echo("draining: conductord quits after the running tasks", err=True)
    if wait:
        _wait_until_gone(home, "draining")


@_guest(live.stop)
def stop_as_guest(home: Home, now: bool, leave_running: bool, wait: bool) -> None:
    if leave_running:
        raise UsageError("--leave-running is for the owner of the home, who starts conductord again: ask him")
    ask_shared(home, "stop", now=now)
    click.echo("stopping at once" if now else "stopping: running tasks may finish within stop_timeout", err=True)
    if wait:
        _wait_until_gone(home, "stopping")


def _wait_until_gone(home: Home, doing: str) -> None:
    """Until nobody answers any more."""
    from conductor.cli.progress import Progress

    with Progress() as progress, suppress(DaemonNotRunning):
        while True:
            running = ask_shared(home, "status")["queue"]["running"]
            progress.tell(f"{doing}: {many(running, 'task')} to end yet")
            time.sleep(_POLL_SECONDS)


@_guest(live.reload)
def reload_as_guest(home: Home) -> None:
    answer = ask_shared(home, "reload")
    if answer["refused"]:
        raise SettingsInvalid(f"conductord goes on with the settings in force: {answer['refused']}")
    click.echo("\n".join(live.reloaded(answer)), err=True)
