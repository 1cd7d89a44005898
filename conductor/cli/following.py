"""`conductor results` and `conductor logs`: what is there, and what comes."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict

import click

from conductor.app import open_layout, patient_queue
from conductor.cli.agent_story import told
from conductor.cli.waiting import ResultsFollower
from conductor.domain.errors import NoSuchTask, UsageError
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, format_result
from conductor.domain.view import Ended
from conductor.kit.segments import end_of
from conductor.queue.layout import Layout

_POLL_SECONDS = 0.1
_BYTES_A_LINE = 1200


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on showing results as they come.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=20, show_default=True, help="How many of the last.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def results(home_flag: str | None, follow: bool, lines: int, as_json: bool) -> None:
    """Shows the last lines of results.txt: task-id|worker-id|STATUS|timestamp|preview.

    \b
    conductor results -n 100
    conductor results -f                    goes on until Ctrl-C
    conductor results --json -n 1000 | jq -r 'select(.status == "FAILED").task_id'
    """
    path = open_layout(home_flag, os.environ).home.results
    start = max(0, end_of(path) - lines * _BYTES_A_LINE)
    follower = ResultsFollower(path, start)
    last = follower.fresh()
    for line in (last[1:] if start else last)[-lines:] if lines else []:
        _print_result(line, as_json=as_json)
    while follow:
        for line in follower.fresh():
            _print_result(line, as_json=as_json)
        time.sleep(_POLL_SECONDS)


def _print_result(line: ResultLine, *, as_json: bool) -> None:
    sys.stdout.write(json.dumps(asdict(line)) + "\n" if as_json else format_result(line))
    sys.stdout.flush()


@click.command()
@click.argument("task_id")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option("--attempt", type=click.IntRange(min=1), help="Of which attempt; the latest by default.")
@click.option("--raw", is_flag=True, help="Its output as it came, also of an agent whose events are known.")
@click.pass_obj
def logs(home_flag: str | None, task_id: str, follow: bool, attempt: int | None, raw: bool) -> None:
    """Shows what the agent said and did (agent.jsonl, else agent.log), secrets masked.

    \b
    conductor logs t-20261121-101530-abcdefgh
    conductor logs -f t-20261121-101530-abcdefgh        while it runs
    conductor logs --attempt 1 t-20261121-101530-abcdefgh

    Exit 3: no such task.
    """
    layout = open_layout(home_flag, os.environ)
    view = patient_queue(layout).find(task_id)
    if view is None:
        raise NoSuchTask(task_id)
    if attempt and not follow and not os.path.isdir(layout.home.attempt(task_id, attempt)):
        raise UsageError(f"no attempt {attempt} of {task_id}: `conductor show {task_id}` lists them")
    number = attempt or _latest(layout.home, task_id)
    if not number and not follow:
        click.echo(f"conductor: {task_id} has not run yet: `conductor show {task_id}` tells its state", err=True)
        return
    _copy_log(layout, task_id, attempt, follow=follow, raw=raw)


def _copy_log(layout: Layout, task_id: str, attempt: int | None, *, follow: bool, raw: bool) -> None:
    """Copies the log, and while following what comes, from attempt to attempt."""
    position, shown, queue = 0, 0, patient_queue(layout)
    events = False
    while True:
        ended = not follow or isinstance(queue.find(task_id), Ended)
        number = attempt or _latest(layout.home, task_id)
        if number != shown:
            position, shown = 0, number
        folder = layout.home.attempt(task_id, number)
        if not position:
            events = not raw and os.path.exists(f"{folder}/agent.jsonl")
        path = f"{folder}/agent.jsonl" if events else f"{folder}/agent.log"
        if number and os.path.exists(path):
            position += _show_from(path, position, events=events)
            sys.stdout.buffer.flush()
        if ended:
            return
        time.sleep(_POLL_SECONDS)


def _show_from(path: str, position: int, *, events: bool) -> int:
    """Shows what stands there from `position` on, of events only whole lines; returns how many bytes that were."""
    taken = 0
    with open(path, "rb") as log:
        log.seek(position)
        if events:
            for line in log:
                if line.endswith(b"\n"):
                    taken += len(line)
                    sys.stdout.buffer.write(told(line).encode("utf-8", "replace"))
            return taken
        while piece := log.read(1 << 16):
            taken += len(piece)
            sys.stdout.buffer.write(piece)
    return taken


def _latest(home: Home, task_id: str) -> int:
    try:
        return int(os.readlink(f"{home.task(task_id)}/latest"))
    except (OSError, ValueError):
        return 0
