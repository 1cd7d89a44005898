"""`conductor usage`: tokens and money, summed as one likes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from typing import Any

import click

from conductor.app import open_layout
from conductor.cli.types import DURATION
from conductor.limits.ledger import Day, DayLedger, Spent
from conductor.limits.times import day_of

COLUMNS = ("project", "agent", "model", "day")


class Columns(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """`agent,model`: some of COLUMNS, in any order."""

    name = "columns"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip() for name in str(value).split(",")))
        for name in names:
            if name not in COLUMNS:
                self.fail(f"no column {name!r}: there is {', '.join(COLUMNS)}", param, ctx)
        return names


@click.command()
@click.option("--by", type=Columns(), default="agent,model", show_default=True, help="project, agent, model, day.")
@click.option("--since", type=DURATION, help="Only the last days: 7d. The day that begins it counts whole, in UTC.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def usage(home_flag: str | None, by: tuple[str, ...], since: float | None, as_json: bool) -> None:
    """Shows tokens and money used. Costs that nobody knows are shown as ?, not as nothing.

    \b
    conductor usage --by project,day --since 7d
    conductor usage --json | jq 'map(.usd // 0) | add'
    """
    home = open_layout(home_flag, os.environ).home
    first = day_of(time.time() - since) if since is not None else ""
    groups = summed(DayLedger(home.path).days(first), by)
    if as_json:
        click.echo(json.dumps([_fields(by, key, spent) for key, spent in groups.items()], indent=1))
    elif groups:
        _print_table(by, groups)
    else:
        click.echo("nothing was used", err=True)


def summed(days: Iterable[tuple[str, Day]], by: tuple[str, ...]) -> dict[tuple[str, ...], Spent]:
    """What was used by each combination of the columns `by`, sorted."""
    groups: dict[tuple[str, ...], Spent] = {}
    for name, day in days:
        for (project, agent, model), spent in day.rows.items():
            row = {"project": project, "agent": agent, "model": model, "day": name}
            key = tuple(row[column] for column in by)
            groups[key] = groups.get(key, Spent()) + spent
    return dict(sorted(groups.items()))


def money(spent: Spent) -> str:
    """`1.25`, `1.25+?` where some of it is not known, `?` where none is."""
    known = f"{spent.usd:.4f}" if spent.usd < 0.1 else f"{spent.usd:.2f}"
    if spent.unpriced <= 0 and not spent.unpriced_runs:
        return known
    return f"{known}+?" if spent.usd else "?"


def _fields(by: tuple[str, ...], key: tuple[str, ...], spent: Spent) -> dict[str, Any]:
    unknown = spent.unpriced > 0 or spent.unpriced_runs > 0
    return {
        **dict(zip(by, key, strict=True)),
        "runs": spent.runs,
        **spent.usage.as_dict(),
        "usd": None if unknown and not spent.usd else round(spent.usd, 6),
        "runs_of_unknown_cost": spent.unpriced_runs,
        "tokens_of_unknown_cost": max(0, spent.unpriced),
    }


def _print_table(by: tuple[str, ...], groups: dict[tuple[str, ...], Spent]) -> None:
    head = (*(name.upper() for name in by), "RUNS", "INPUT", "CACHED", "WRITTEN", "OUTPUT", "USD")
    total = sum(groups.values(), Spent())
    lines = [head, *(_cells(key, spent) for key, spent in groups.items())]
    if len(groups) > 1:
        lines.append(("total", *("" for _ in by[1:]), *_counts(total)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (
            cell.ljust(width) if column < len(by) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        click.echo("  ".join(cells).rstrip())
    if total.unpriced_runs or total.unpriced > 0:
        runs = f"{total.unpriced_runs} of {total.runs} runs"
        click.echo(f"? the cost of {runs} is not known ({max(0, total.unpriced)} tokens without a price)", err=True)


def _cells(key: tuple[str, ...], spent: Spent) -> tuple[str, ...]:
    names = ("".join(char if char.isprintable() else "·" for char in name) or "-" for name in key)
    return (*names, *_counts(spent))


def _counts(spent: Spent) -> tuple[str, ...]:
    used = spent.usage
    counts = (spent.runs, used.input, used.cached, used.cache_written, used.output)
    return (*(f"{count:,}" for count in counts), money(spent))
