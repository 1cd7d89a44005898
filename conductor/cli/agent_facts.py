"""Each agent's facts as JSON-able values: what is installed, how it logs in, how it is confined, how it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from conductor.agents.presence import PROGRAMS, find_login, find_program, probe_versions, program_of
from conductor.agents.registry import make_agent
from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.home import Home
from conductor.domain.lines import format_timestamp
from conductor.kit.keys import key_fault, read_key
from conductor.limits.experience import Experience, Experiences
from conductor.limits.parking import Parked, Parking, ends_at

if TYPE_CHECKING:
    from conductor.ports import Abilities
    from conductor.settings.model import Settings

_LIBRARIES = {"anthropic": "anthropic"}
"""What a kind without a program needs."""

_SAYS_NOTHING = ("generic",)
"""Kinds that are an agent only with what the settings say."""

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
    """Every agent that a task can name: those of the settings, and each installed kind under its own name, where that
    alone says enough."""
    setups = settings.agent_setups()
    named = {name: one for name, one in setups.items() if one.kind in kinds or name in settings.agents}
    plain = (kind for kind in kinds if kind not in setups and kind not in _SAYS_NOTHING)
    return dict(
        sorted({**named, **{kind: AgentSetup(kind, kind, autonomy=settings.autonomy) for kind in plain}}.items())
    )


def agent_facts(
    settings: Settings, kinds: Mapping[str, str], home: Home, environment: Mapping[str, str], clock: Callable[[], float]
) -> list[dict[str, Any]]:
    """One object for each agent. Starts each program once, for its version."""
    setups = chosen_setups(settings, kinds)
    abilities = {name: abilities_of(setup, kinds) for name, setup in setups.items()}
    paths = {name: program_path(setup, abilities[name], environment) for name, setup in setups.items()}
    known = {name: path for name, path in paths.items() if path and setups[name].kind in PROGRAMS}
    versions = probe_versions(known, environment)
    parking, experiences = Parking(home.path, settings.limits.rules(), clock), Experiences(home.path)
    return [
        {
            "name": name,
            "kind": setup.kind,
            "default": name == settings.agent,
            "installed": is_installed(setup, abilities[name], paths[name]),
            "binary": paths[name],
            "version": versions.get(name, ""),
            **access_of(setup, environment),
            "needs_access": bool(setup.provider and setup.provider.key),
            "limited": _limited(parking.holding(setup.lane), settings.limits.longest_park),
            "experience": _experience(experiences.of(name)),
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
    if setup.kind == "generic":
        modes = setup.options.get("modes") or {}
        return f"{setup.autonomy.value}: by its own modes" if setup.autonomy in modes else "not at all"
    return f"{setup.autonomy.value}: {_CONFINED.get(setup.kind, 'as its adapter sees to it')}"


def _limited(held: Parked | None, longest_park: float) -> dict[str, Any] | None:
    """What parks its provider: {mode, until, said}, `until` empty where only a person ends it; None: nothing."""
    if held is None:
        return None
    end = ends_at(held, longest_park)
    return {
        "mode": held.mode.value,
        "until": "" if math.isinf(end) else format_timestamp(end),
        "said": held.said or held.kind,
    }


def _experience(known: Experience) -> dict[str, Any]:
    """{runs, successes, peak_bytes: the most that one of the last runs took}."""
    return {"runs": known.runs, "successes": known.successes, "peak_bytes": max(known.peaks, default=None)}
