"""Whether an agent can be used from here: its program or library, and a key or a login for its provider."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from conductor.agents.presence import find_login, find_program, program_of
from conductor.agents.registry import make_agent
from conductor.domain.agent_setup import AgentSetup
from conductor.domain.errors import BadTask
from conductor.kit.keys import key_fault, read_key
from conductor.ports import Abilities

_LIBRARIES = {"anthropic": "anthropic"}
"""What a kind without a program needs."""


def abilities_of(setup: AgentSetup, kinds: Mapping[str, str]) -> Abilities:
    """What the adapter declares; nothing where it can't be loaded."""
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
