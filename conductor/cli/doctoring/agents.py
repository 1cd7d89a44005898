"""The agents as the service would see them: their programs, keys and logins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from conductor.agents.access import abilities_of, access_of, is_installed, program_path
from conductor.agents.presence import INSTALL, PROGRAMS, probe_versions
from conductor.app.setups import chosen_setups
from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.service import environment_of_service
from conductor.cli.doctoring.sign import Sign, ok, warning, wrong
from conductor.domain.agent_setup import AgentSetup
from conductor.supervisor.status_page import IS_SET


@dataclass(frozen=True, slots=True)
class Seen:
    """One agent, once with the service's environment and once with this shell's."""

    name: str
    kind: str
    wanted: bool
    """Settings name it: it is set up, or it is the default or a fallback."""
    installed: bool
    here: str
    """Where this shell finds its program."""
    there: str
    access: str
    """Where its key or login is; empty: it needs none or has none."""
    needs_access: bool
    fault: str = ""
    version: str = ""


def look_at_agents(case: Case) -> Iterator[Sign]:
    from conductor.agents.registry import installed_kinds

    if case.settings is None:
        return
    whose, theirs = environment_of_service(case)
    settings, kinds = case.settings, installed_kinds()
    named = {*settings.agents, settings.agent, *(one.partition(":")[0] for one in settings.fallback)}
    seen = []
    for name, setup in chosen_setups(settings, kinds).items():
        seen.append(_see(setup, kinds, case.environment, theirs, wanted=name in named))
    if case.deep:
        seen = _with_versions(seen, theirs)
    if settings.agent and settings.agent not in {one.name for one in seen}:
        what = f"the default agent {settings.agent} is none that is here"
        yield wrong("agents", what, "`conductor agents` shows which there are; name one of them as `agent`")
    for one in seen:
        yield from judge_agent(one, whose)


def judge_agent(one: Seen, whose: str) -> Iterator[Sign]:
    """One that nobody asked for is told only where this shell has it and the service has not. `whose`: empty where
    there is no service."""
    if one.here and not one.there and not one.installed:
        folder = one.here.rpartition("/")[0]
        what = f"{one.name}: {whose} does not find its program, which this shell has at {one.here}"
        remedy = f"add {folder} to Environment=PATH= in the unit, or name the program as `binary` in the settings"
        yield (wrong if one.wanted else warning)("agents", what, remedy)
    elif not one.installed:
        if one.wanted:
            remedy = INSTALL.get(one.kind, "install it, or name its program as `binary` in the settings")
            yield wrong("agents", f"{one.name}: its program or library is not here", remedy)
    elif one.fault:
        remedy = "put its own key there; `conductor agents` shows where it is looked for"
        yield (wrong if one.wanted else warning)("agents", f"{one.name}: {one.fault}", remedy)
    elif one.needs_access and not one.access:
        if one.wanted:
            by = f" by {whose}" if whose else ""
            what = f"{one.name}: no key and no login of it is seen{by}"
            yield wrong("agents", what, "log in as the service's user, or give it a key: `key: file:/PATH` or env:NAME")
    elif one.wanted:
        told = " ".join(part for part in (one.version, one.there) if part)
        yield ok("agents", ", ".join(part for part in (one.name, told, one.access) if part))


def _see(
    setup: AgentSetup, kinds: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str], *, wanted: bool
) -> Seen:
    abilities = abilities_of(setup, kinds)
    there = program_path(setup, abilities, theirs)
    found = access_of(setup, theirs)
    key = setup.provider.key if setup.provider else ""
    is_set = key.startswith("env:") and theirs.get(key.removeprefix("env:")) == IS_SET
    return Seen(
        setup.name,
        setup.kind,
        wanted,
        is_installed(setup, abilities, there),
        program_path(setup, abilities, ours),
        there,
        key if is_set else found["key"] or found["login"],
        bool(key) or (setup.kind in PROGRAMS and setup.provider is None),
        "" if is_set or found["login"] else found["access_fault"],
    )


def _with_versions(seen: list[Seen], theirs: Mapping[str, str]) -> list[Seen]:
    from dataclasses import replace

    versions = probe_versions({one.name: one.there for one in seen if one.there and one.kind in PROGRAMS}, theirs)
    return [replace(one, version=versions.get(one.name, "")) for one in seen]
