"""`conductor submit`: one task, or many from standard input. Kept cheap: it runs thousands of times in loops."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import click

from conductor.app import accepting_queue, open_layout, ring_doorbell
from conductor.app.submitting import Defaults, described, new_task_id, with_agent
from conductor.cli.types import DURATION
from conductor.domain.errors import BadTask, DuplicateTask, UsageError
from conductor.domain.exits import CliExit
from conductor.domain.home import Home
from conductor.domain.lines import parse_description, parse_task
from conductor.domain.task import DEFAULT_POOL, TaskSpec, check_spec
from conductor.kit.ids import stamped_id
from conductor.queue.layout import Layout
from conductor.settings.source import raw_settings


@click.command()
@click.argument("description")
@click.option("--agent", help="Who does it: `command` runs the description with /bin/sh.")
@click.option("--model", help="The model, as the agent knows it.")
@click.option("--thinking", help="The thinking level, as the agent knows it.")
@click.option("--priority", type=int, help="Higher first; -999 to 999, 0 by default.")
@click.option("--pool", help="The pool of workers it is for.")
@click.option("--id", "task_id", help="Its id; refused when it is taken.")
@click.option("--if-absent", is_flag=True, help="With --id or --lines: a taken id is a success.")
@click.option("--delay", type=DURATION, help="Not before this time from now: 30s, 10m, 2h.")
@click.option("--after", metavar="ID,...", multiple=True, help="Not before these have ended well; else it fails.")
@click.option("--timeout", type=DURATION, help="How long an attempt may run; 1h by default.")
@click.option("--stall-timeout", type=DURATION, help="How long it may say nothing.")
@click.option("--retries", type=int, help="Further attempts after a failure; 0 by default.")
@click.option("--workspace", type=click.Path(file_okay=False), help="Where it runs; here by default.")
@click.option("--env", multiple=True, metavar="K=V", help="A variable for the agent; may be given again.")
@click.option("--project", help="Whose budget, keys and context it uses.")
@click.option("--budget", help="What it may cost: 2usd, 500ktok, or both with a comma.")
@click.option("--verify", metavar="COMMAND", help="A shell command that must pass in the workspace before it is done.")
@click.option("--fallback", metavar="AGENT[:MODEL],...", help="Who takes over while its own agent can't.")
@click.option("--autonomy", type=click.Choice(["read-only", "workspace", "full"]), help="How far the agent may go.")
@click.option("--criterion", multiple=True, help="What must hold when it is done; may be given again.")
@click.option("--spec", "spec_file", type=click.Path(exists=True, dir_okay=False), help="A file for the prompt.")
@click.option("--lines", is_flag=True, help="With `-`: standard input is task lines, id|description|model|thinking|...")
@click.option("--wait", is_flag=True, help="Return when it has ended; exit 1 when it failed.")
@click.pass_obj
def submit(home_flag: str | None, /, description: str, **options: Any) -> int:
    """Enqueues DESCRIPTION and prints the task id; `-` reads one description a line from standard input.

    `[model:NAME]` and `[thinking:LEVEL]` inside a description are taken out and used. Works without a running
    conductord: the task is accepted and waits.

    \b
    conductor submit --agent command "make test" --retries 2 --timeout 10m
    ls *.png | sed 's/.*/optipng "&"/' | conductor submit --agent command -
    """
    layout = open_layout(home_flag, os.environ)
    home = layout.home
    settings = raw_settings(home, os.environ)
    if not options["lines"]:
        options["workspace"] = options["workspace"] or os.getcwd()
    specs, fresh = specs_of(description, options, partial(with_agent, defaults=Defaults.of(home, settings)))
    accepted = _accept(layout, specs, fresh, if_absent=options["if_absent"])
    rung = _ring(home, specs)
    sys.stdout.write("".join(f"{spec.id}\n" for spec in specs))
    sys.stdout.flush()
    _warn_of_pools(specs, settings)
    if not rung and accepted:
        click.echo("conductor: accepted; no conductord runs on this home, so nothing starts until one does", err=True)
    if options["wait"]:
        from conductor.cli.waiting import wait_for

        return wait_for(layout, [spec.id for spec in specs])
    return CliExit.WELL


Complete = Callable[[TaskSpec], TaskSpec]


def specs_of(description: str, options: dict[str, Any], complete: Complete) -> tuple[list[TaskSpec], frozenset[str]]:
    """The tasks asked for, and which of their ids were made up here. `complete` gives each what settings say."""
    if description != "-":
        if options["lines"]:
            raise UsageError("--lines reads task lines from standard input: use `conductor submit --lines -`")
        spec = _finished(described(description), options, complete, options["task_id"] or new_task_id())
        return [spec], frozenset(() if options["task_id"] else (spec.id,))
    if options["task_id"]:
        raise UsageError("--id names one task, and `-` reads many: put ids into task lines with --lines")
    batch = stamped_id("b", time.time())
    read = _read_line if options["lines"] else described
    specs, fresh = [], set()
    for number, line in enumerate(_input_lines(), start=1):
        if not line.strip() or (options["lines"] and line.lstrip().startswith("#")):
            continue
        try:
            spec = read(parse_description(line))
            if not spec.id:
                fresh.add(f"{batch}-{number}")
            specs.append(_finished(spec, options, complete, spec.id or f"{batch}-{number}"))
        except BadTask as error:
            raise BadTask(f"line {number}: {error}: nothing was submitted") from None
    return specs, frozenset(fresh)


def _input_lines() -> list[str]:
    raw = sys.stdin.buffer.read()
    try:
        return raw.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise BadTask(f"standard input is not UTF-8 (byte {error.start}): nothing was submitted") from None


def _read_line(line: str) -> TaskSpec:
    spec = parse_task(line, missing_id="none-yet")
    return replace(spec, id="") if line.startswith("|") else spec


def _finished(spec: TaskSpec, options: dict[str, Any], complete: Complete, task_id: str) -> TaskSpec:
    """`spec` with what the options say, an id, an agent and the time."""
    now_ms = int(time.time() * 1000)
    given = {
        "agent": options["agent"],
        "model": options["model"],
        "thinking": options["thinking"],
        "priority": options["priority"],
        "pool": options["pool"],
        "timeout_seconds": options["timeout"],
        "stall_seconds": options["stall_timeout"],
        "retries": options["retries"],
        "workspace": os.path.abspath(options["workspace"]) if options["workspace"] else None,
        "project": options["project"],
        "budget": options["budget"],
        "verify": options["verify"],
        "fallback": tuple(options["fallback"].split(",")) if options["fallback"] else None,
        "autonomy": options["autonomy"],
        "criteria": options["criterion"] or None,
        "spec_file": os.path.abspath(options["spec_file"]) if options["spec_file"] else None,
        "after": (*spec.after, *_ids(options["after"])) if options["after"] else None,
        "not_before_ms": now_ms + int(options["delay"] * 1000) if options["delay"] else None,
    }
    spec = replace(
        spec, id=task_id, submitted_ms=now_ms, **{name: value for name, value in given.items() if value is not None}
    )
    if options["env"]:
        spec = replace(spec, env=(*spec.env, *(_variable(text) for text in options["env"])))
    return check_spec(complete(spec))


def _ids(options: Sequence[str]) -> list[str]:
    return [one for option in options for one in map(str.strip, option.split(",")) if one]


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--env {name}: write NAME=VALUE")
    return name, value


def _accept(layout: Layout, specs: list[TaskSpec], fresh: frozenset[str], *, if_absent: bool) -> int:
    """Submits all or, with `if_absent`, those whose id is free; returns how many were accepted."""
    queue = accepting_queue(layout)
    if if_absent:
        specs = list({spec.id: spec for spec in reversed(specs)}.values())[::-1]  # the first of each id
    while specs:
        try:
            if len(specs) == 1:
                queue.submit(specs[0], fresh=specs[0].id in fresh)
            else:
                queue.submit_many(specs, fresh=fresh)
            return len(specs)
        except DuplicateTask as error:
            if not if_absent:
                raise
            specs = [spec for spec in _absent(layout, specs) if spec.id != error.task_id]
    return 0


def _absent(layout: Layout, specs: list[TaskSpec]) -> list[TaskSpec]:
    """Those whose id is free, by one look at the whole queue: asking for each of thousands would take minutes."""
    if len(specs) == 1:
        return specs
    from conductor.app import quick_queue
    from conductor.domain.view import view_id

    queue = quick_queue(layout)
    taken = {view_id(view) for view in queue.tasks()}
    return [spec for spec in specs if spec.id not in taken and queue.ended(spec.id) is None]


def _ring(home: Home, specs: list[TaskSpec]) -> bool:
    if len(specs) == 1:
        return ring_doorbell(home, tasks=1, submitted=specs[0].id)
    return ring_doorbell(home, tasks=len(specs))


def _warn_of_pools(specs: list[TaskSpec], settings: dict[str, Any]) -> None:
    pools = settings.get("pools")
    known = {DEFAULT_POOL, *(pools if isinstance(pools, dict) else ())}
    for pool in sorted({spec.pool for spec in specs} - known):
        click.echo(f"conductor: no pool {pool!r} in the settings yet: its tasks wait until there is one", err=True)
