"""Each agent's facts as JSON-able values: what is installed, how it logs in, how it is confined, how it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from conductor.agents.access import abilities_of, access_of, is_installed, program_path
from conductor.agents.presence import PROGRAMS, probe_versions
from conductor.app.setups import chosen_setups
from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.home import Home
from conductor.domain.lines import format_timestamp
from conductor.limits.experience import Experience, Experiences
from conductor.limits.parking import Parked, Parking, ends_at

if TYPE_CHECKING:
    from conductor.settings.model import Settings

_CONFINED = {
    "codex": "by its own sandbox, which the kernel enforces",
    "claude": "by its own permission rules",
    "gemini": "by its own approval rules",
    "opencode": "by its own permission rules",
    "openclaw": "by its own tool rules",
    "anthropic": "conductor's tools keep to the workspace",
    "chat": "conductor's tools keep to the workspace",
}


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
