"""`conductor agents`: which agents there are here and what they have; `conductor agents test`: one real turn."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import Any

import click

from conductor.app import accepting_queue, open_layout, patient_queue, ring_doorbell
from conductor.domain.errors import DaemonNotRunning, UsageError
from conductor.domain.exits import CliExit
from conductor.domain.task import DEFAULT_POOL, MAX_PRIORITY, TaskSpec, check_spec
from conductor.domain.usage import Usage
from conductor.domain.view import Ended
from conductor.kit.ids import stamped_id
from conductor.queue.layout import Layout

TEST_PROMPT = "This is a test of the connection. Answer with the one word: ready"
TEST_TIMEOUT_SECONDS = 300.0
_COMMAND_PROMPT = "echo ready"
_PIPED_WIDTH = 200
_RECORDED_SECONDS = 10.0


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON array, with more facts.")
@click.pass_context
def agents(context: click.Context, as_json: bool) -> None:
    """Shows each agent: installed, version, key or login, limited until, experience, memory, confinement.

    Keys and logins are those that this shell sees; conductord sees its own environment.

    \b
    conductor agents
    conductor agents test claude              one real turn, through conductord
    """
    if context.invoked_subcommand is None:
        _show(context.obj, as_json)


def _show(home_flag: str | None, as_json: bool) -> None:
    from conductor.agents.registry import installed_kinds
    from conductor.cli.agent_facts import agent_facts
    from conductor.settings.model import load_settings

    home = open_layout(home_flag, os.environ).home
    settings = load_settings(home, os.environ)
    environment = {"OPENCLAW_BIN": settings.openclaw_bin, **os.environ}
    facts = agent_facts(settings, installed_kinds(), home, environment, time.time)
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        _print_table(facts)


def _print_table(facts: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("AGENT", "KIND", "INSTALLED", "KEY OR LOGIN", "LIMITED", "RUNS", "MEMORY", "CONFINED"):
        table.add_column(column, overflow="fold")
    for one in facts:
        table.add_row(*(Text(cell) for cell in _cells(one)))
    Console(width=console.width if console.is_terminal else _PIPED_WIDTH).print(table)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    experience = one["experience"]
    memory = experience["peak_bytes"] or one["memory_bytes"]
    return (
        one["name"] + (" (default)" if one["default"] else ""),
        one["kind"],
        _installed(one),
        one["access_fault"] or one["key"] or one["login"] or ("none" if one["needs_access"] else "-"),
        f"{one['limited']['mode']} {one['limited']['until']}".strip() if one["limited"] else "-",
        f"{experience['successes']} of {experience['runs']} well" if experience["runs"] else "-",
        f"{memory / (1 << 20):.0f} MiB" if memory else "-",
        one["confined"],
    )


def _installed(one: dict[str, Any]) -> str:
    if not one["installed"]:
        return "no"
    return " ".join(part for part in (one["version"], one["binary"]) if part) or "yes"


@agents.command("test")
@click.argument("name")
@click.option("--prompt", help="What it is asked; by default for one word.")
@click.option("--model", default="", help="The model or alias to test.")
@click.pass_obj
def test_agent(home_flag: str | None, name: str, prompt: str | None, model: str) -> int:
    """Runs one real turn of agent NAME through conductord: shows its answer, and exits 1 when it failed.

    \b
    conductor agents test claude
    conductor agents test claude --model sonnet --prompt "Say hello."
    """
    from conductor.agents.registry import installed_kinds
    from conductor.app.setups import chosen_setups
    from conductor.settings.model import load_settings

    layout = open_layout(home_flag, os.environ)
    settings = load_settings(layout.home, os.environ)
    setups = chosen_setups(settings, installed_kinds())
    if name not in setups:
        raise UsageError(f"no agent {name!r}: there is {', '.join(setups)}")
    if not ring_doorbell(layout.home):
        raise DaemonNotRunning(
            f"no conductord runs on {layout.home.path}: start one with `conductord`, then test again"
        )
    asked = prompt or (_COMMAND_PROMPT if setups[name].kind == "command" else TEST_PROMPT)
    known = settings.agents.get(name)
    pool = (known.pool if known else None) or DEFAULT_POOL
    return _run_turn(layout, TaskSpec("", asked, agent=name, model=model, pool=pool))


def _run_turn(layout: Layout, asked: TaskSpec) -> int:
    """Ahead of everything else, once."""
    from conductor.cli.waiting import wait_for

    now = time.time()
    spec = check_spec(
        replace(
            asked,
            id=stamped_id("t", now),
            priority=MAX_PRIORITY,
            retries=0,
            timeout_seconds=TEST_TIMEOUT_SECONDS,
            submitted_ms=int(now * 1000),
        )
    )
    accepting_queue(layout).submit(spec, fresh=True)
    ring_doorbell(layout.home, tasks=1, submitted=spec.id)
    click.echo(f"conductor: {spec.agent} is asked as task {spec.id}", err=True)
    code = wait_for(layout, [spec.id], TEST_TIMEOUT_SECONDS + 60)
    ended = _ended(layout, spec.id)
    if ended is not None:
        click.echo(_told(layout, ended), nl=False)
    return CliExit(code)


def _ended(layout: Layout, task_id: str) -> Ended | None:
    """The task once it has ended: its line stands in results.txt a moment before the queue knows."""
    queue, deadline = patient_queue(layout), time.monotonic() + _RECORDED_SECONDS
    while not isinstance(view := queue.find(task_id), Ended):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.02)
    return view


def _told(layout: Layout, ended: Ended) -> str:
    """The answer and what the turn took, for a person."""
    record = ended.record
    path = f"{layout.home.attempt(ended.task_id, record['attempt'])}/RESULT.txt"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            answer = file.read(20_000)
    except OSError:
        answer = ""
    usage = record.get("usage") or {}
    facts = [
        f"{ended.status.value} in {record['seconds']:.1f} s",
        f"model {record['model_used']}" if record.get("model_used") else "",
        f"{Usage(**usage).total} tokens" if usage else "",
        f"{record['usd']:.4f} USD" if record.get("usd") is not None else "",
        f"{record['peak_memory_bytes'] / (1 << 20):.0f} MiB" if record.get("peak_memory_bytes") else "",
        record.get("reason", ""),
    ]
    line_end = "" if not answer or answer.endswith("\n") else "\n"
    return answer + line_end + ", ".join(fact for fact in facts if fact) + "\n"
