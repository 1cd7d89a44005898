"""Each agent's facts as JSON-able values: what is installed, how it logs in, how it is confined, how it did."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from conductor.agents.presence import find_login, find_program, probe_versions, program_of
from conductor.agents.registry import make_agent
from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.home import Home
from conductor.domain.lines import format_timestamp
from conductor.kit.keys import key_fault, read_key

if TYPE_CHECKING:
    from conductor.ports import Abilities
    from conductor.settings.model import Settings

_LIBRARIES = {"anthropic": "anthropic"}
"""What a kind without a program needs."""

_CONFINED = {
    "codex": "by its own sandbox, which the kernel enforces",
    "claude": "by its own permission rules",
    "gemini": "by its own approval rules",
    "opencode": "by its own permission rules",
    "openclaw": "by its own tool rules",
    "anthropic": "conductor's tools keep to the workspace",
    "chat": "conductor's tools keep to the workspace",
}


def chosen_setups(settings: Settings, kinds: Mapping[str, str]) -> dict[str, AgentSetup]:
    """Every agent that a task can name: those of the settings, and each installed kind under its own name."""
    setups = settings.agent_setups()
    named = {name: one for name, one in setups.items() if one.kind in kinds or name in settings.agents}
    plain = {kind: AgentSetup(kind, kind, autonomy=Autonomy.FULL) for kind in kinds if kind not in setups}
    return dict(sorted({**named, **plain}.items()))


def agent_facts(
    setups: Mapping[str, AgentSetup], kinds: Mapping[str, str], home: Home, environment: Mapping[str, str], now: float
) -> list[dict[str, Any]]:
    """One object for each agent. Starts each program once, for its version."""
    abilities = {name: abilities_of(setup, kinds) for name, setup in setups.items()}
    paths = {name: program_path(setup, abilities[name], environment) for name, setup in setups.items()}
    versions = probe_versions({name: path for name, path in paths.items() if path}, environment)
    return [
        {
            "name": name,
            "kind": setup.kind,
            "installed": is_installed(setup, abilities[name], paths[name]),
            "binary": paths[name],
            "version": versions.get(name, ""),
            **access_of(setup, environment),
            "needs_access": bool(setup.provider and setup.provider.key),
            "limited": _limited(home, setup, now),
            "experience": _experience(home, name),
            "memory_bytes": setup.memory_bytes or abilities[name].memory_bytes or None,
            "autonomy": setup.autonomy.value,
            "confined": confined(setup),
        }
        for name, setup in setups.items()
    ]


def abilities_of(setup: AgentSetup, kinds: Mapping[str, str]) -> Abilities:
    """What the adapter declares; nothing where it can't be loaded."""
    from conductor.ports import Abilities

    try:
        return make_agent(setup, kinds).abilities
    except Exception:  # an adapter may be anybody's code: what it raises is told when a task names it
        return Abilities()


def program_path(setup: AgentSetup, abilities: Abilities, environment: Mapping[str, str]) -> str:
    return find_program(program_of(setup, abilities.binary, environment), environment)


def is_installed(setup: AgentSetup, abilities: Abilities, path: str) -> bool:
    """Its program is here, or, where it is none of its own, the library that it needs."""
    if setup.binary or program_of(setup, abilities.binary, {}):
        return bool(path)
    library = _LIBRARIES.get(setup.kind, "")
    return not library or find_spec(library) is not None


def access_of(setup: AgentSetup, environment: Mapping[str, str]) -> dict[str, Any]:
    """{key, login, access_fault}: where the key of its provider is, where its user's login is, and what is wrong."""
    login = find_login(setup.kind, environment)
    provider = setup.provider
    if provider is None or not provider.key:
        return {"provider": provider.name if provider else "", "key": "", "login": login, "access_fault": ""}
    where = "the simulated model" if provider.key.startswith("literal:") else provider.key
    try:
        key = read_key(provider.key, environment)
        fault = key_fault(provider.form, key) if key else ""
    except BadTask as error:
        key, fault = "", str(error)
    return {"provider": provider.name, "key": where if key else "", "login": login, "access_fault": fault}


def has_access(setup: AgentSetup, environment: Mapping[str, str]) -> str:
    """Where its key or login is, in words; empty: it has none, and needs one."""
    if setup.provider is not None and not setup.provider.key:
        return "no key needed"
    found = access_of(setup, environment)
    if found["key"] or found["login"]:
        return str(found["key"] or found["login"])
    return "" if setup.provider else "no key needed"


def confined(setup: AgentSetup) -> str:
    if setup.autonomy is Autonomy.FULL or setup.kind == "command":
        return "not at all"
    return f"{setup.autonomy.value}: {_CONFINED.get(setup.kind, 'as its own settings say')}"


def _limited(home: Home, setup: AgentSetup, now: float) -> dict[str, Any] | None:
    """What parks its provider: {mode, until, said}, `until` empty where only a person ends it; None: nothing."""
    provider, account = setup.lane
    parked = _fields(f"{home.path}/limits/parked/{provider}~{account}.json")
    mode, until = parked.get("mode"), parked.get("until")
    said = str(parked.get("said") or parked.get("kind") or "")
    if mode == "forbidden":
        return {"mode": mode, "until": "", "said": said}
    if mode == "parked" and isinstance(until, int | float) and until > now:
        return {"mode": mode, "until": format_timestamp(until), "said": said}
    return None


def _experience(home: Home, name: str) -> dict[str, Any]:
    """{runs, successes, peak_bytes: the most that one of the last runs took}."""
    known = _fields(f"{home.path}/limits/agents/{name}.json")
    peaks = [peak for peak in known.get("peaks", ()) if isinstance(peak, int)]
    return {
        "runs": known.get("runs", 0),
        "successes": known.get("successes", 0),
        "peak_bytes": max(peaks, default=None),
    }


def _fields(path: str) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        with open(os.path.realpath(path), encoding="utf-8") as file:
            found = json.load(file)
            return found if isinstance(found, dict) else {}
    return {}
