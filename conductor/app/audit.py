"""What is unsafe about a home, its settings and its agents: gathered here, judged by `domain.exposure`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from conductor.agents.presence import LOGINS, login_path
from conductor.domain.errors import SettingsInvalid
from conductor.domain.exposure import (
    FileFacts,
    Finding,
    addresses_in,
    holds_key,
    judge_addresses,
    judge_agents,
    judge_home,
    judge_parent,
    judge_private_file,
    judge_settings_text,
    judge_socket,
    secrets_files_in,
)
from conductor.domain.home import Home
from conductor.kit.keys import key_faults
from conductor.settings.source import raw_settings

if TYPE_CHECKING:
    from conductor.settings.model import Settings

MOST_FILES = 20_000
_MOST_BYTES = 1_048_576
_SYSTEM_FILES = ("/etc/conductor/environment", "/etc/default/conductord")


def audit_findings(home: Home, environment: Mapping[str, str], most_files: int = MOST_FILES) -> Iterator[Finding]:
    """Changes nothing, and works on a home that is refused. `most_files`: so many of the home are read at most, where
    others can reach them."""
    us = os.geteuid()
    yield from _of_home(home, us, most_files)
    yield from _of_settings(home, environment)
    for kind in LOGINS:
        login = _facts(login_path(kind, environment))
        if login is not None:
            yield from judge_private_file(login, f"the login of {kind}", us)


def _of_home(home: Home, us: int, most_files: int) -> Iterator[Finding]:
    found = _facts(home.path)
    if found is None:
        return
    yield from judge_home(found, us)
    parent = os.path.dirname(os.path.realpath(home.path))
    while (above := _facts(parent)) is not None:
        yield from judge_parent(above, us)
        if parent == "/":
            break
        parent = os.path.dirname(parent)
    socket = _facts(home.control_socket)
    if socket is not None:
        yield from judge_socket(socket)
    if found.mode & 0o011:  # who may not enter it reads nothing in it
        yield from _readable_keys(home, us, most_files)


def _readable_keys(home: Home, us: int, left: int) -> Iterator[Finding]:
    """Files in the home that others can reach and that hold keys; the first ones, where there are very many."""
    most = left
    for folder, folders, names in os.walk(home.path):
        folders[:] = [name for name in folders if _is_open(f"{folder}/{name}", 0o011)]
        for name in names:
            left -= 1
            path = f"{folder}/{name}"
            if path != home.settings_file and _is_open(path, 0o044) and holds_key(_text(path)):
                found = _facts(path)
                yield from judge_private_file(found, "a file with a key in it", us) if found else ()
        if left <= 0:
            remedy = "close it to others, then this does not matter"
            yield Finding("settings", home.path, f"only {most} files were looked at", remedy, grave=False)
            return


def _of_settings(home: Home, environment: Mapping[str, str]) -> Iterator[Finding]:
    from conductor.settings.model import load_settings

    text = _text(home.settings_file)
    yield from judge_settings_text(home.settings_file, text)
    found = _facts(home.settings_file)
    if found is not None and found.mode & 0o022:
        yield Finding("permissions", found.path, "others can change the settings", f"chmod go-w {found.path}")
    try:
        raw = raw_settings(home, environment)
        yield from judge_addresses(addresses_in(raw))
        yield from _of_secrets(home, secrets_files_in(raw), environment)
        yield from _of_agents(load_settings(home, environment), environment)
    except SettingsInvalid as error:
        yield Finding("settings", home.settings_file, str(error), "put them right, then look again")


def _of_secrets(home: Home, projects: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Finding]:
    """Files that are there to hold keys: the projects' own, and those that give a service its environment."""
    own = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    usual = (f"{home.path}/environment", f"{home.path}/.env", f"{own}/conductor/environment", *_SYSTEM_FILES)
    named = {path: "an environment file with a key in it" for path in usual if holds_key(_text(path))}
    for path, what in {**named, **projects}.items():
        found = _facts(os.path.expanduser(path))
        if found is not None:
            yield from judge_private_file(found, what, os.geteuid())


def _of_agents(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    from conductor.agents.registry import installed_kinds
    from conductor.app.setups import chosen_setups

    setups = chosen_setups(settings, installed_kinds())
    yield from judge_agents(setups.values(), settings.agent)
    for fault in key_faults(setups.values(), environment):
        theirs = fault.provider.key.startswith("credential:")  # systemd shows it to the service alone
        where, remedy = f"providers.{fault.provider.name}.key", "put the provider's own key there, in a file of yours"
        yield Finding("key", where, fault.what, remedy, grave=fault.grave and not theirs)


def _facts(path: str) -> FileFacts | None:
    """None where there is nothing, or nothing that we may see."""
    with suppress(OSError):
        found = os.stat(path)
        return FileFacts(path, found.st_mode, found.st_uid)
    return None


def _is_open(path: str, bits: int) -> bool:
    with suppress(OSError):
        return bool(os.lstat(path).st_mode & bits) and not os.path.islink(path)
    return False


def _text(path: str) -> str:
    """The beginning of a regular file; nothing where it can't be read."""
    with suppress(OSError):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return file.read(_MOST_BYTES).decode("utf-8", "replace")
    return ""
