"""Verbs that steer a running conductord, and the ones that hold the queue with or without it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import click

from conductor.app import ask_daemon, open_layout, patient_queue, ring_doorbell
from conductor.domain.errors import DaemonNotRunning, SettingsInvalid
from conductor.domain.exits import CliExit
from conductor.domain.task import DEFAULT_POOL


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def status(home_flag: str | None, as_json: bool) -> int:
    """Shows the daemon, every slot and the queue. Exit 4 when no conductord runs; the queue is shown all the same."""
    from conductor.supervisor.status_page import counts_status, render_page

    layout = open_layout(home_flag, os.environ)
    try:
        found = ask_daemon(layout.home, {"verb": "status"}, timeout_seconds=30)
    except DaemonNotRunning as error:
        queue = patient_queue(layout)
        counts = counts_status(queue.counts())
        if as_json:
            facts = {"mode": "not running", "home": layout.home.path, "queue": counts, "full": queue.full()}
            click.echo(json.dumps(facts))
        else:
            click.echo(f"{error}\nqueue  " + "  ".join(f"{name} {count}" for name, count in counts.items()))
            if queue.paused():
                click.echo("paused: `conductor resume` ends that")
            if full := queue.full():
                click.echo(f"full: {full}; `conductor clean` makes room")
        return CliExit.NO_DAEMON
    for slot in found["slots"]:
        _add_usage(slot)
    click.echo(json.dumps(found) if as_json else render_page(found), nl=as_json)
    return CliExit.WELL


def _add_usage(slot: dict[str, Any]) -> None:
    """What the slot's whole process tree uses now: resident bytes, CPU seconds, processes."""
    if slot["state"] != "busy":
        return
    import psutil

    try:
        worker = psutil.Process(slot["pid"])
        tree = [worker, *worker.children(recursive=True)]
        slot["processes"] = len(tree)
        slot["memory_bytes"] = sum(process.memory_info().rss for process in tree)
        slot["cpu_seconds"] = round(sum(sum(process.cpu_times()[:2]) for process in tree), 2)
    except psutil.Error:
        return  # it ended while we looked


@click.command()
@click.argument("workers", type=click.IntRange(0, 1000))
@click.option("--pool", default=DEFAULT_POOL, show_default=True)
@click.pass_obj
def scale(home_flag: str | None, workers: int, pool: str) -> None:
    """Changes how many workers a pool has, until the next reload or restart; running tasks finish."""
    ask_daemon(open_layout(home_flag, os.environ).home, {"verb": "scale", "pool": pool, "workers": workers})
    click.echo(f"pool {pool}: {workers} workers", err=True)


@click.command()
@click.pass_obj
def pause(home_flag: str | None) -> None:
    """Nothing is claimed from now on, over restarts too, until `conductor resume`. Running tasks go on."""
    layout = open_layout(home_flag, os.environ)
    patient_queue(layout).pause()
    ring_doorbell(layout.home)
    click.echo("paused: running tasks go on, nothing new starts until `conductor resume`", err=True)


@click.command()
@click.pass_obj
def resume(home_flag: str | None) -> None:
    """Ends a pause."""
    layout = open_layout(home_flag, os.environ)
    patient_queue(layout).resume()
    ring_doorbell(layout.home, tasks=1000)
    click.echo("resumed", err=True)


@click.command()
@click.pass_obj
def drain(home_flag: str | None) -> None:
    """Takes no new task; conductord quits when the last running one has ended, however long that takes."""
    ask_daemon(open_layout(home_flag, os.environ).home, {"verb": "drain"})
    click.echo("draining: conductord quits after the running tasks", err=True)


@click.command()
@click.option("--now", is_flag=True, help="Stop running agents at once, without their grace.")
@click.pass_obj
def stop(home_flag: str | None, now: bool) -> None:
    """Stops conductord: running tasks may finish within stop_timeout, then they are stopped and given back."""
    ask_daemon(open_layout(home_flag, os.environ).home, {"verb": "stop", "now": now})
    click.echo("stopping at once" if now else "stopping: running tasks may finish within stop_timeout", err=True)


@click.command()
@click.pass_obj
def reload(home_flag: str | None) -> None:
    """Has conductord read its settings again and says what that changed. Wrong ones change nothing and are named;
    exit 78."""
    answer = ask_daemon(open_layout(home_flag, os.environ).home, {"verb": "reload"}, timeout_seconds=60)
    if answer["refused"]:
        raise SettingsInvalid(f"conductord goes on with the settings in force: {answer['refused']}")
    click.echo("\n".join(_reloaded(answer)), err=True)


def _reloaded(answer: dict[str, Any]) -> Iterator[str]:
    changed, more = answer.get("changed", []), answer.get("more", 0)
    yield f"reloaded: {len(changed) + more or 'no'} setting{'s' * (len(changed) + more != 1)} changed"
    yield from (f"  {one['key']}: {one['old'] or '(nothing)'} -> {one['new'] or '(nothing)'}" for one in changed)
    if more:
        yield f"  and {more} more"
    for one in answer.get("held", []):
        yield f"  {one['key']}: {one['says']} needs a restart: conductord was started with {one['by']}"
