"""Verbs that steer a running conductord, and the ones that hold the queue with or without it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from conductor import __version__
from conductor.app import ask_daemon, daemon_runs, open_layout, patient_queue, ring_doorbell
from conductor.cli.types import DURATION
from conductor.domain.errors import DaemonNotRunning, SettingsInvalid, UsageError
from conductor.domain.exits import CliExit
from conductor.domain.task import DEFAULT_POOL

if TYPE_CHECKING:
    from conductor.queue.layout import Layout

_NOT_RUNNING = "not running"
_POLL_SECONDS = 0.1


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object; with --watch one a line.")
@click.option(
    "--watch",
    "every",
    type=DURATION,
    is_flag=False,
    flag_value="2",
    metavar="[TIME]",
    help="Again and again, each 2 s or TIME, until Ctrl-C: drawn anew on a terminal, else appended.",
)
@click.pass_obj
def status(home_flag: str | None, as_json: bool, every: float | None) -> int:
    """Shows the daemon, every slot and the queue. Exit 4 when no conductord runs; the queue is shown all the same.

    \b
    conductor status
    conductor status --watch                  a page each 2 s
    conductor status --watch 10 --json | jq -c .queue
    """
    layout = open_layout(home_flag, os.environ)
    if every is not None:
        from conductor.cli.status_watch import watch_status

        watch_status(lambda: _look(layout), every, as_json=as_json)
    facts, page = _look(layout)
    click.echo(json.dumps(facts) if as_json else page, nl=as_json)
    _tell_versions(facts.get("version", __version__))
    return CliExit.NO_DAEMON if facts["mode"] == _NOT_RUNNING else CliExit.WELL


def _look(layout: Layout) -> tuple[dict[str, Any], str]:
    """The facts, and the page for people."""
    from conductor.supervisor.status_page import counts_status, render_page

    try:
        found = ask_daemon(layout.home, {"verb": "status"}, timeout_seconds=30)
    except DaemonNotRunning as error:
        queue = patient_queue(layout)
        counts, full = counts_status(queue.counts()), queue.full()
        lines = [str(error), "queue  " + "  ".join(f"{name} {count}" for name, count in counts.items())]
        lines += ["paused: `conductor resume` ends that"] if queue.paused() else []
        lines += [f"full: {full}; `conductor clean` makes room"] if full else []
        facts = {"mode": _NOT_RUNNING, "home": layout.home.path, "queue": counts, "full": full}
        return facts, "\n".join(lines) + "\n"
    for slot in found["slots"]:
        _add_usage(slot)
    return found, render_page(found)


def _tell_versions(running: str) -> None:
    """Where conductord and this command differ."""
    if running != __version__:
        click.echo(
            f"conductor: conductord is {running} and this is {__version__}: `conductor drain`, then start the new one; "
            "tasks that run are waited for",
            err=True,
        )


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
    """Changes how many workers a pool has, until the next reload or restart; running tasks finish.

    \b
    conductor scale 8
    conductor scale 0 --pool gpu              its running tasks finish
    """
    ask_daemon(open_layout(home_flag, os.environ).home, {"verb": "scale", "pool": pool, "workers": workers})
    click.echo(f"pool {pool}: {workers} workers", err=True)


@click.command()
@click.pass_obj
def pause(home_flag: str | None) -> None:
    """Nothing is claimed from now on, over restarts too, until `conductor resume`. Running tasks go on.

    \b
    conductor pause
    conductor pause && conductor drain        holds over the restart too
    """
    layout = open_layout(home_flag, os.environ)
    patient_queue(layout).pause()
    ring_doorbell(layout.home)
    click.echo("paused: running tasks go on, nothing new starts until `conductor resume`", err=True)


@click.command()
@click.pass_obj
def resume(home_flag: str | None) -> None:
    """Ends a pause.

    \b
    conductor resume
    """
    layout = open_layout(home_flag, os.environ)
    patient_queue(layout).resume()
    ring_doorbell(layout.home, tasks=1000)
    click.echo("resumed", err=True)


@click.command()
@click.option("--wait", is_flag=True, help="Return when conductord has quit.")
@click.pass_obj
def drain(home_flag: str | None, wait: bool) -> None:
    """Takes no new task; conductord quits when the last running one has ended, however long that takes.

    \b
    conductor drain
    conductor drain --wait && conductord           another version takes over
    """
    layout = open_layout(home_flag, os.environ)
    answer = ask_daemon(layout.home, {"verb": "drain"})
    click.echo("draining: conductord quits after the running tasks", err=True)
    if wait:
        _wait_until_gone(layout, int(answer["pid"]), "draining")


@click.command()
@click.option("--now", is_flag=True, help="Stop running agents at once, without their grace.")
@click.option("--leave-running", is_flag=True, help="Let running tasks go on by themselves: the next conductord waits.")
@click.option("--wait", is_flag=True, help="Return when conductord has stopped.")
@click.pass_obj
def stop(home_flag: str | None, now: bool, leave_running: bool, wait: bool) -> None:
    """Stops conductord: running tasks may finish within stop_timeout, then they are stopped and given back.

    \b
    conductor stop --wait
    conductor stop --now
    conductor stop --leave-running --wait      then start the new version
    """
    if now and leave_running:
        raise UsageError("--now stops running tasks, --leave-running leaves them alone: choose one")
    layout = open_layout(home_flag, os.environ)
    answer = ask_daemon(layout.home, {"verb": "leave"} if leave_running else {"verb": "stop", "now": now})
    if leave_running:
        told = "leaving: running tasks go on, start conductord again to wait for them"
    else:
        told = "stopping at once" if now else "stopping: running tasks may finish within stop_timeout"
    click.echo(told, err=True)
    if wait:
        _wait_until_gone(layout, int(answer["pid"]), "stopping")


def _wait_until_gone(layout: Layout, pid: int, doing: str) -> None:
    """Until that conductord has ended: the next one may start."""
    from conductor.cli.progress import Progress
    from conductor.cli.wording import many
    from conductor.kit.process import identity_of

    waited_for = identity_of(pid)

    def running() -> str:
        try:
            return f"{doing}: {many(len(os.listdir(layout.claimed)), 'task')} to end yet"
        except OSError:
            return doing

    with Progress() as progress:
        while daemon_runs(layout.home) or (waited_for and identity_of(pid) == waited_for):
            progress.tell(running)
            time.sleep(_POLL_SECONDS)


@click.command()
@click.pass_obj
def reload(home_flag: str | None) -> None:
    """Has conductord read its settings again and says what that changed. Wrong ones change nothing and are named;
    exit 78.

    \b
    conductor reload
    conductor config check ~/new.yaml && conductor reload
    """
    answer = ask_daemon(open_layout(home_flag, os.environ).home, {"verb": "reload"}, timeout_seconds=60)
    if answer["refused"]:
        raise SettingsInvalid(f"conductord goes on with the settings in force: {answer['refused']}")
    click.echo("\n".join(reloaded(answer)), err=True)


def reloaded(answer: dict[str, Any]) -> Iterator[str]:
    changed, more = answer.get("changed", []), answer.get("more", 0)
    yield f"reloaded: {len(changed) + more or 'no'} setting{'s' * (len(changed) + more != 1)} changed"
    yield from (f"  {one['key']}: {one['old'] or '(nothing)'} -> {one['new'] or '(nothing)'}" for one in changed)
    if more:
        yield f"  and {more} more"
    for one in answer.get("held", []):
        yield f"  {one['key']}: {one['says']} needs a restart: conductord was started with {one['by']}"
