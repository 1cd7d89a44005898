"""`conductor limits`: who is parked, what runs, how much memory is left; parking by hand."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import click

from conductor.app import make_doors, open_layout, ring_doorbell
from conductor.cli.types import DURATION
from conductor.domain.durations import format_duration
from conductor.domain.errors import UsageError
from conductor.domain.home import Home
from conductor.limits.memory import AvailableMemory
from conductor.limits.parking import BY_HAND, Mode, Parked, Parking, describe, ends_at, is_in_force
from conductor.settings.model import Settings, load_settings

_MIB = 1 << 20


@click.group(invoke_without_command=True)
@click.pass_context
def limits(context: click.Context) -> None:
    """Shows parked providers, running agents and memory; parks, forbids and lifts by hand.

    \b
    conductor limits                          what holds up tasks now
    conductor limits park anthropic --for 2h
    conductor limits lift anthropic
    """
    if context.invoked_subcommand is None:
        context.invoke(list_limits)


@limits.command("list")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def list_limits(home_flag: str | None, as_json: bool = False) -> None:
    """What holds up tasks now.

    \b
    conductor limits list --json
    """
    home = open_layout(home_flag, os.environ).home
    settings = load_settings(home, os.environ)
    found = _found(home, settings)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        click.echo("\n".join(_page(found)))


def _found(home: Home, settings: Settings) -> dict[str, Any]:
    doors, now, longest = make_doors(home, settings), time.time(), settings.limits.longest_park
    parked = [one for one in doors.parked() if is_in_force(one, now, longest)]
    available = AvailableMemory()()
    return {
        "parked": [_parked_fields(one, now, longest) for one in parked],
        "running": _running_fields(settings, doors.running(), now),
        "memory": {"available_bytes": available, "floor_bytes": settings.limits.memory_floor},
    }


def _parked_fields(one: Parked, now: float, longest: float) -> dict[str, Any]:
    end = ends_at(one, longest) if one.mode == Mode.PARKED else None
    fields = {"provider": one.provider, "account": one.account, "mode": one.mode, "until": end, "kind": one.kind}
    return {**fields, "by": one.by, "said": one.said, "text": describe(one, now, longest)}


def _running_fields(settings: Settings, entries: list[Any], now: float) -> list[dict[str, Any]]:
    """By provider and account, the empty ones with a concurrency too."""
    most = {setup.lane: setup.provider.concurrency for setup in settings.agent_setups().values() if setup.provider}
    keys = sorted({entry.key for entry in entries} | {key for key, number in most.items() if number is not None})
    return [
        {
            "provider": key[0],
            "account": key[1],
            "most": most.get(key),
            "agents": [
                {"agent": one.agent, "task": one.task, "bytes": one.memory, "for_seconds": round(now - one.since, 1)}
                for one in entries
                if one.key == key
            ],
        }
        for key in keys
    ]


def _page(found: dict[str, Any]) -> list[str]:
    lines = [one["text"] + (f": {_one_line(one['said'])}" if one["said"] else "") for one in found["parked"]]
    lines = lines or ["no provider is parked"]
    for group in found["running"]:
        name = group["provider"] if group["account"] == "default" else f"{group['provider']}:{group['account']}"
        most = f" of {group['most']}" if group["most"] is not None else ""
        lines.append(f"provider {name}: {len(group['agents'])}{most} agents run")
        for one in group["agents"]:
            taken = f"{one['bytes'] / _MIB:.0f} MiB"
            lines.append(f"  {one['agent']}  {one['task']}  {taken}  for {format_duration(one['for_seconds'])}")
    memory = found["memory"]
    if memory["available_bytes"] is not None:
        free = max(0, memory["available_bytes"] - memory["floor_bytes"])
        lines.append(f"memory: {free / _MIB:.0f} MiB free above a floor of {memory['floor_bytes'] / _MIB:.0f} MiB")
    return lines


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


@limits.command()
@click.argument("provider")
@click.pass_obj
def lift(home_flag: str | None, provider: str) -> None:
    """Ends parking, `forbid` and `allow` of PROVIDER[:ACCOUNT]; its tasks may start at once.

    \b
    conductor limits lift anthropic
    """
    home, parking, key = _parking(home_flag, provider)
    lifted = parking.lift(key)
    ring_doorbell(home, tasks=1000)
    click.echo(f"{provider}: lifted" if lifted else f"{provider}: was neither parked, forbidden nor allowed", err=True)


@limits.command()
@click.argument("provider")
@click.option("--for", "seconds", type=DURATION, required=True, help="How long: 30m, 2h, 1d.")
@click.pass_obj
def park(home_flag: str | None, provider: str, seconds: float) -> None:
    """Starts nothing on PROVIDER[:ACCOUNT] for a time. Agents that run go on.

    \b
    conductor limits park anthropic --for 2h
    """
    _, parking, key = _parking(home_flag, provider)
    now = time.time()
    parked = Parked(*key, since=now, until=now + seconds, by=BY_HAND)
    parking.put(parked)
    click.echo(describe(parked, now, seconds), err=True)


@limits.command()
@click.argument("provider")
@click.pass_obj
def forbid(home_flag: str | None, provider: str) -> None:
    """Starts nothing on PROVIDER[:ACCOUNT] until `lift`. Agents that run go on.

    \b
    conductor limits forbid openai            until `lift`
    """
    _put(home_flag, provider, Mode.FORBIDDEN)


@limits.command()
@click.argument("provider")
@click.pass_obj
def allow(home_flag: str | None, provider: str) -> None:
    """Never parks PROVIDER[:ACCOUNT], until `lift`: a limit holds up only the task that meets it.

    \b
    conductor limits allow openai:work
    """
    _put(home_flag, provider, Mode.NEVER)


def _put(home_flag: str | None, provider: str, mode: Mode) -> None:
    home, parking, key = _parking(home_flag, provider)
    now = time.time()
    parked = Parked(*key, since=now, mode=mode, by=BY_HAND)
    parking.put(parked)
    ring_doorbell(home, tasks=1000)
    click.echo(describe(parked, now, 0.0), err=True)


def _parking(home_flag: str | None, provider: str) -> tuple[Home, Parking, tuple[str, str]]:
    """Raises UsageError where no agent has that provider and account."""
    home = open_layout(home_flag, os.environ).home
    settings = load_settings(home, os.environ)
    name, _, account = provider.partition(":")
    known = {setup.lane for setup in settings.agent_setups().values()}
    key = (name, account) if account else next((one for one in sorted(known) if one[0] == name), (name, "default"))
    if key not in known:
        names = sorted({one[0] if one[1] == "default" else ":".join(one) for one in known})
        raise UsageError(f"no agent uses a provider {provider!r}: there is {', '.join(names)}")
    return home, Parking(home.path, settings.limits.rules(), time.time), key
