"""The second half of `conductor demo`: a request becomes merged, tested commits, on a simulated model."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import click

REQUEST = "Build a calculator with operations, a CLI and unit tests"
PROJECT = "calculator"
TESTS = "python3 -B -m unittest discover -q -s tests -t . -p '*_tests.py'"
_DEADLINE_SECONDS = 60.0
_SHORTENED = 100


def settings_of(projects_dir: str) -> dict[str, Any]:
    """What conductor.yaml says of orchestration. The check is named, so that nothing but Python has to be here."""
    return {"projects_dir": projects_dir, "planner": ["anthropic"], "reviewer": "anthropic", "check": TESTS}


def build_and_show(folder: str, environment: Mapping[str, str]) -> bool:
    """Builds the calculator and tells the story; whether all of it came about. `folder`: of the whole demo."""
    click.echo(f'\n$ conductor build "{REQUEST}" --project {PROJECT} --watch   # on a SIMULATED model')
    told = _conductor(environment, "build", REQUEST, "--project", PROJECT, "--watch")
    for line in told.stdout.splitlines():
        click.echo(_short(line.replace(folder, "~")))
    if told.returncode:
        click.echo(f"exit {told.returncode}\n{told.stderr}")
        return False
    run = json.loads(_conductor(environment, "runs", "--json").stdout)[0]["id"]
    click.echo(f"$ conductor runs show {run} --graph")
    for line in _conductor(environment, "runs", "show", run, "--graph").stdout.splitlines():
        if "-->" in line or "[" in line:
            click.echo(line)
    return _show_commits(f"{folder}/projects/{PROJECT}")


def _show_commits(workspace: str) -> bool:
    click.echo(f"$ git -C ~/projects/{PROJECT} log --oneline")
    commits = _run(["git", "-C", workspace, "log", "--oneline"]).stdout.rstrip()
    click.echo(commits)
    click.echo(f"$ {TESTS}")
    tested = _run(["/bin/sh", "-c", f"cd {shlex.quote(workspace)} && {TESTS}"])
    click.echo(" ".join(line for line in tested.stderr.splitlines() if line.strip("- ")))
    return tested.returncode == 0 and f"feat: {PROJECT} - 5 tasks completed" in commits


def _conductor(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run([sys.executable, "-P", "-m", "conductor", *arguments], environment)


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`environment` None: our own."""
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False
    )


def _short(line: str) -> str:
    return line if len(line) <= _SHORTENED else f"{line[: _SHORTENED - 1]}…"
