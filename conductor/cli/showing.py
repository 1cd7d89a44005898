"""`conductor show`: everything about one task."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from conductor.app import open_layout, patient_queue
from conductor.cli.describing import describe
from conductor.domain.durations import format_duration
from conductor.domain.errors import BadTask, NoSuchTask
from conductor.domain.home import Home
from conductor.domain.lines import parse_task
from conductor.queue.records import read_record


@click.command()
@click.argument("task_id")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def show(home_flag: str | None, task_id: str, as_json: bool) -> None:
    """Shows the state of a task, its attempts, and where its files are."""
    layout = open_layout(home_flag, os.environ)
    view = patient_queue(layout).find(task_id)
    if view is None:
        raise NoSuchTask(task_id)
    found = {**_asked_for(layout.home, task_id), **describe(view)}
    found["attempts"] = _attempts(layout.home, task_id)
    found["folder"] = layout.home.task(task_id)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _print(found, layout.home)


def _asked_for(home: Home, task_id: str) -> dict[str, Any]:
    """The description of a task that has ended, from the masked copy that its last attempt left."""
    try:
        with open(f"{home.task(task_id)}/latest/TASK.txt", encoding="utf-8") as file:
            return {"task": task_id, "description": parse_task(file.read().removesuffix("\n")).description}
    except (OSError, BadTask):
        return {}


def _attempts(home: Home, task_id: str) -> list[dict[str, Any]]:
    try:
        numbers = sorted(int(name) for name in os.listdir(home.task(task_id)) if name.isdigit())
    except FileNotFoundError:
        return []
    names = ("attempt", "status", "started", "seconds", "exit_code", "signal", "reason", "worker")
    records = (read_record(home.attempt(task_id, number)) for number in numbers)
    return [{name: record.get(name) for name in names} for record in records if record]


def _print(found: dict[str, Any], home: Home) -> None:
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
    summary = f"{home.task(found['task'])}/latest/SUMMARY.txt"
    if attempts and os.path.exists(summary):
        with open(summary, encoding="utf-8", errors="replace") as file:
            click.echo("\n" + file.read().rstrip())


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={content}" for name, content in value.items())
    return str(value)
