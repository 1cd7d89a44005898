"""`conductor list`: what runs, what waits, what has ended lately."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click

from conductor.app import open_layout, patient_queue
from conductor.app.describing import describe
from conductor.cli.waiting import ResultsFollower
from conductor.domain.durations import format_duration
from conductor.domain.home import Home
from conductor.domain.view import TaskView, view_id
from conductor.queue.directory import DirectoryQueue

STATES = ("running", "recording", "ready", "batched", "waiting", "dead", "ended")
_BYTES_A_LINE = 1200
_PIPED_WIDTH = 200
_LEAST_WHAT = 20


@click.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only these; may be given again.")
@click.option("--pool", help="Only tasks of this pool.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--all", "everything", is_flag=True, help="No limit, and all that have ended.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_tasks(
    home_flag: str | None, states: tuple[str, ...], pool: str | None, limit: int, everything: bool, as_json: bool
) -> None:
    """Lists tasks: running first, then in the order in which they will be claimed, then the last that ended."""
    layout = open_layout(home_flag, os.environ)
    queue = patient_queue(layout)
    wanted = (
        row
        for row in _rows(queue, layout.home, ended=None if everything else limit)
        if (not states or row["state"] in states) and (pool is None or row.get("pool") == pool)
    )
    show_rows(list(wanted if everything else islice(wanted, limit)), as_json=as_json)


def show_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Tasks as `describe` tells them, as a table for people or as JSON."""
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif rows:
        _print_table(rows)
    else:
        click.echo("nothing here", err=True)


def _rows(queue: DirectoryQueue, home: Home, ended: int | None) -> Iterator[dict[str, Any]]:
    shown = set()
    for view in queue.tasks():
        shown.add(view_id(view))
        yield describe(view)
    for view in _lately_ended(queue, home, ended, shown):
        yield describe(view)


def _lately_ended(queue: DirectoryQueue, home: Home, most: int | None, shown: set[str]) -> Iterator[TaskView]:
    """Tasks of the last lines of results.txt, latest first, without those shown before."""
    size = os.stat(home.results).st_size
    start = 0 if most is None else max(0, size - most * _BYTES_A_LINE)
    for line in reversed(ResultsFollower(home.results, start).fresh()[-most if most else 0 :]):
        if line.task_id not in shown:
            shown.add(line.task_id)
            view = queue.ended(line.task_id)
            if view is not None:
                yield view


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    head = ("TASK", "STATE", "AGENT", "POOL", "PRIO", "TRY", "AGE")
    lines = [_cells(row) for row in rows]
    used = sum(max(len(line[column]) for line in (head, *lines)) + 2 for column in range(len(head)))
    console = Console()
    width = max(console.width if console.is_terminal else _PIPED_WIDTH, used + _LEAST_WHAT)  # ids are never cut
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in head:
        table.add_column(column, no_wrap=True)
    table.add_column("WHAT", no_wrap=True, overflow="ellipsis", max_width=width - used)
    for line, row in zip(lines, rows, strict=True):
        table.add_row(*(Text(cell) for cell in line), Text(_what(row)))
    Console(width=width).print(table)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = row["status"] if row["state"] in ("ended", "dead") else row["state"]
    cells = (row["task"], state, row["agent"], row["pool"], row["priority"], row["attempt"], _age(row))
    return tuple(str(cell) for cell in cells)


def _what(row: dict[str, Any]) -> str:
    """One line; an escape sequence in it must not reach the terminal."""
    text: str = row.get("preview") or row.get("description") or ""
    text = f"(after {row['awaits']}) {text}" if "awaits" in row else text
    return "".join(char if char.isprintable() else "·" for char in text[:500].replace("\n", "⏎"))


def _age(row: dict[str, Any]) -> str:
    stamp = row.get("ended") or row.get("started") or row.get("submitted")
    if "due_in_seconds" in row:
        return "in " + format_duration(max(0.0, row["due_in_seconds"]))
    return format_duration(time.time() - datetime.fromisoformat(stamp).timestamp()) if stamp else ""
