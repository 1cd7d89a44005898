"""`conductor show`: everything about one task."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from conductor.app import open_layout, patient_queue
from conductor.app.describing import whole_story
from conductor.domain.durations import format_duration
from conductor.domain.errors import NoSuchTask
from conductor.domain.home import Home


@click.command()
@click.argument("task_id")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def show(home_flag: str | None, task_id: str, as_json: bool) -> None:
    """Shows the state of a task, its attempts, and where its files are.

    \b
    conductor show t-20261121-101530-abcdefgh
    conductor show --json t-20261121-101530-abcdefgh | jq .attempts

    Exit 3: no such task.
    """
    layout = open_layout(home_flag, os.environ)
    view = patient_queue(layout).find(task_id)
    if view is None:
        raise NoSuchTask(task_id)
    found = whole_story(layout.home, view)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        print_story(found, _summary(found, layout.home))


def _summary(found: dict[str, Any], home: Home) -> str:
    path = f"{home.task(found['task'])}/latest/SUMMARY.txt"
    if not found["attempts"] or not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def print_story(found: dict[str, Any], summary: str) -> None:
    attempts = found.pop("attempts")
    for name, value in found.items():
        if value not in (None, "", {}, []):
            click.echo(f"{name:<18} {_plain(value)}")
    for attempt in attempts:
        seconds = format_duration(attempt["seconds"])
        reason = f"  {attempt['reason']}" if attempt["reason"] else ""
        click.echo(
            f"attempt {attempt['attempt']:<10} {attempt['status']:<9} {attempt['started']}  {seconds:>7}{reason}"
        )
    if summary:
        click.echo("\n" + summary.rstrip())


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={content}" for name, content in value.items())
    return str(value)
