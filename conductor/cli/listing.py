"""`conductor list`: what runs, what waits, what has ended lately."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click

from conductor.app import open_layout, patient_queue
from conductor.app.describing import describe
from conductor.domain.durations import format_duration
from conductor.domain.errors import UsageError
from conductor.domain.home import Home
from conductor.domain.outcome import Status
from conductor.domain.task import ID_PATTERN
from conductor.domain.view import Ended, Queued, Running, Waiting, view_id
from conductor.kit.segments import lines_backwards
from conductor.queue.directory import DirectoryQueue

STATES = ("running", "recording", "ready", "batched", "waiting", "dead", "ended")
_KIND_OF = {
    "running": Running,
    "recording": Running,
    "ready": Queued,
    "batched": Queued,
    "waiting": Waiting,
    "dead": Ended,
}
_PIPED_WIDTH = 200
_LEAST_WHAT = 20
_ROWS_A_TABLE = 500
_REMOVED_IN_A_ROW = 2000
"""After so many lines of results.txt whose tasks were removed, older ones are hardly worth a look."""

Row = dict[str, Any]


@click.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only these; may be given again.")
@click.option("--pool", help="Only tasks of this pool.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--after", metavar="ID", help="The next page: those behind this task in the same list.")
@click.option("--all", "everything", is_flag=True, help="No limit, and all that have ended; shown as they are found.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_tasks(
    home_flag: str | None,
    states: tuple[str, ...],
    pool: str | None,
    limit: int,
    after: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Lists tasks: running first, then in the order in which they will be claimed, then the last that ended.

    \b
    conductor list
    conductor list --state running --state waiting
    conductor list --all --json | jq -r '.[] | select(.state == "dead").task'
    """
    layout = open_layout(home_flag, os.environ)
    wanted = (
        row
        for row in _rows(patient_queue(layout), layout.home, states, to_the_end=everything)
        if (not states or row["state"] in states) and (pool is None or row.get("pool") == pool)
    )
    show_page(wanted, after=after, limit=None if everything else limit, as_json=as_json)


def show_page(rows: Iterator[Row], *, after: str | None, limit: int | None, as_json: bool) -> None:
    """Tasks as `describe` tells them, as a table for people or as JSON: those behind `after`, at most `limit`."""
    rows = islice(rows if after is None else _behind(rows, after), limit)
    if as_json:
        _print_json(rows)
    elif not _print_tables(rows):
        click.echo("nothing here", err=True)


def _rows(queue: DirectoryQueue, home: Home, states: Collection[str], *, to_the_end: bool) -> Iterator[Row]:
    """At least those in one of `states` (none: in any), each once; nothing is read that is not asked for."""
    shown = set()
    kinds = {_KIND_OF[state] for state in states if state in _KIND_OF}
    if kinds or not states:
        for view in queue.tasks(kinds):
            shown.add(view_id(view))
            yield describe(view)
    if not states or "ended" in states:
        yield from map(describe, _ended(queue, home, shown, to_the_end=to_the_end))


def _ended(queue: DirectoryQueue, home: Home, shown: Collection[str], *, to_the_end: bool) -> Iterator[Ended]:
    """By the lines of results.txt, latest first. A task that was tried again has several: the last one counts."""
    removed_in_a_row = 0
    for line in lines_backwards(home.results):
        text = line.decode("utf-8", "replace")
        task_id = text.partition("|")[0]
        if task_id in shown or "|RETRY|" in text or not ID_PATTERN.fullmatch(task_id):
            continue
        view = queue.ended(task_id)
        removed_in_a_row = 0 if view is not None else removed_in_a_row + 1
        if removed_in_a_row > _REMOVED_IN_A_ROW and not to_the_end:
            return
        if view is not None and view.record["line"] == f"{text}\n" and _is_over(queue, view):
            yield view


def _is_over(queue: DirectoryQueue, view: Ended) -> bool:
    """One in dead/ is shown as such, before; one that failed and is not there was made ready again."""
    return view.status is Status.SUCCESS or (not view.can_retry and isinstance(queue.find(view.task_id), Ended))


def _behind(rows: Iterator[Row], task_id: str) -> Iterator[Row]:
    """Raises UsageError where it is not among them."""
    for row in rows:
        if row["task"] == task_id:
            return rows
    raise UsageError(f"task {task_id} is not in this list any more: begin again without --after")


def _print_json(rows: Iterator[Row]) -> None:
    """An array, told row by row."""
    first = next(rows, None)
    if first is None:
        click.echo("[]")
        return
    click.echo("[\n" + json.dumps(first, indent=1), nl=False)
    for row in rows:
        click.echo(",\n" + json.dumps(row, indent=1), nl=False)
    click.echo("\n]")


def _print_tables(rows: Iterator[Row]) -> bool:
    """So many rows at once that they fit into memory however many there are; whether there was any."""
    is_first = True
    while page := list(islice(rows, _ROWS_A_TABLE)):
        _print_table(page, with_head=is_first)
        is_first = False
    return not is_first


def _print_table(rows: list[Row], *, with_head: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    head = ("TASK", "STATE", "AGENT", "POOL", "PRIO", "TRY", "AGE")
    lines = [_cells(row) for row in rows]
    used = sum(max(len(line[column]) for line in (head, *lines)) + 2 for column in range(len(head)))
    console = Console()
    width = max(console.width if console.is_terminal else _PIPED_WIDTH, used + _LEAST_WHAT)  # ids are never cut
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=with_head)
    for column in head:
        table.add_column(column, no_wrap=True)
    table.add_column("WHAT", no_wrap=True, overflow="ellipsis", max_width=width - used)
    for line, row in zip(lines, rows, strict=True):
        table.add_row(*(Text(cell) for cell in line), Text(_what(row)))
    Console(width=width).print(table)


def _cells(row: Row) -> tuple[str, ...]:
    state = row["status"] if row["state"] in ("ended", "dead") else row["state"]
    cells = (row["task"], state, row["agent"], row["pool"], row["priority"], row["attempt"], _age(row))
    return tuple(str(cell) for cell in cells)


def _what(row: Row) -> str:
    """One line; an escape sequence in it must not reach the terminal."""
    text: str = row.get("preview") or row.get("description") or ""
    text = f"(after {row['awaits']}) {text}" if "awaits" in row else text
    return "".join(char if char.isprintable() else "·" for char in text[:500].replace("\n", "⏎"))


def _age(row: Row) -> str:
    stamp = row.get("ended") or row.get("started") or row.get("submitted")
    if "due_in_seconds" in row:
        return "in " + format_duration(max(0.0, row["due_in_seconds"]))
    return format_duration(time.time() - datetime.fromisoformat(stamp).timestamp()) if stamp else ""
