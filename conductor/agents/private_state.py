"""An agent's private state: made for one attempt from the user's login, and what a run refreshed taken home.

State that is shared corrupts itself and carries one run's failure into the next, so each attempt has a folder of its
own, with copies of the few files that log the user in. A run that renews a login makes the user's own copy worthless
(refresh tokens are used once): `take_home` writes the renewed one back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from conductor.domain.errors import LockTimeout
from conductor.kit.durable import append_bytes, read_bytes, replace_file
from conductor.kit.lock import QuickLock
from conductor.ports import Prompt

_LARGEST_LOGIN = 1_048_576
_LOCK_SECONDS = 10.0
_SEEDS = "seeded.json"
"""In the state directory: {"seeds": {private path: SHA-256 of what it was made with}, "logins": [...]}."""


@dataclass(frozen=True, slots=True)
class Login:
    """A JSON file that logs the user in. A path into it is a tuple of keys, `*` for all of a level."""

    home: str
    """The user's own, absolute."""
    private: str
    """Its copy, absolute, inside the state directory."""
    keys: tuple[str, ...] = ()
    """The top-level keys that are copied; none: all."""
    renewed: tuple[str, ...] = ()
    """Path to a number or an RFC 3339 time that grows when it is renewed; none: it never comes home."""
    account: tuple[str, ...] = ()
    """Path to whose login it is, where it says so: a login of another account is never replaced."""


def private_files(prompt: Prompt, logins: Sequence[Login] = ()) -> tuple[tuple[str, str], ...]:
    """`Launch.files` that make the attempt's TMPDIR and the copies of those of `logins` that there are."""
    files, seeds = [(f"{private_tmp(prompt)}/.keep", "")], {}
    for login in logins:
        content = _copy_of(login)
        if content is not None:
            files.append((login.private, content))
            seeds[login.private] = _digest(content.encode())
    made = {"seeds": seeds, "logins": [asdict(login) for login in logins if login.private in seeds]}
    files.append((f"{prompt.state_directory}/{_SEEDS}", json.dumps(made)))
    return tuple(files)


def private_tmp(prompt: Prompt) -> str:
    """The attempt's own TMPDIR: some CLIs leave megabytes there with each run."""
    return os.path.join(prompt.state_directory, "tmp")


def user_folder(prompt: Prompt, variable: str, default: str) -> str:
    """The user's folder that `variable` names, else `default` inside the user's HOME; empty where there is no HOME."""
    environment = prompt.environment
    home = environment.get("HOME", "")
    return environment.get(variable, "") or (f"{home}/{default}" if home else "")


def take_home(prompt: Prompt, logins: Iterable[Login]) -> None:
    """Writes each login that the run renewed back to the user's file, under a lock and atomically. Where the user's
    own is newer, gone or of another account it stays as it is, and agent.log says so. Never raises."""
    seeds = _seeds(prompt)
    for login in logins:
        if not login.renewed or login.private not in seeds:
            continue
        try:
            why_left = _take_one_home(login, seeds[login.private])
        except (OSError, ValueError, LockTimeout) as error:
            why_left = str(error)
        if why_left:
            _say(prompt, f"conductor: the login that this run renewed was not kept in {login.home}: {why_left}")


def take_left_home(state_directory: str) -> None:
    """The same for a state directory whose worker was killed before it could: else the user is logged out."""
    made = _read_object(f"{state_directory}/{_SEEDS}") or {}
    logins = made.get("logins")
    for fields in logins if isinstance(logins, list) else ():
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, LockTimeout):
            login = Login(**{**fields, **{name: tuple(fields[name]) for name in ("keys", "renewed", "account")}})
            if login.renewed and login.private.startswith(f"{state_directory}/"):
                _take_one_home(login, made["seeds"][login.private])


def _take_one_home(login: Login, seed: str) -> str:
    """Why the user's file was left as it is, though the run's copy changed; empty: nothing to say."""
    content = read_bytes(login.private, _LARGEST_LOGIN)
    if _digest(content) == seed:
        return ""
    renewed = _parsed(content)
    if renewed is None:
        return "the run left something else in its place"
    own = os.path.realpath(login.home)  # it may be a link into somebody's dotfiles
    with QuickLock(f"{own}.conductor-lock", _LOCK_SECONDS):
        if not os.path.exists(own):
            return "it is gone: the user logged out"
        present = read_bytes(own, _LARGEST_LOGIN)
        if present == content:
            return ""
        why_not = _why_not(login, _parsed(present) or {}, renewed, unchanged=_digest(present) == seed)
        if not why_not:
            replace_file(own, content, synced=True)
    return why_not


def _why_not(login: Login, present: Mapping[str, Any], renewed: Mapping[str, Any], *, unchanged: bool) -> str:
    if set(present) - set(renewed):
        return "the run's copy lacks a part of it"
    if login.account and list(_found(present, login.account)) != list(_found(renewed, login.account)):
        return "it is of another account"
    if not unchanged and _age(renewed, login.renewed) <= _age(present, login.renewed):
        return "it was renewed meanwhile"
    return ""


def _copy_of(login: Login) -> str | None:
    """What the run gets of the user's file; None where there is nothing of use."""
    found = _read_object(os.path.realpath(login.home)) if login.home else None
    if found is None:
        return None
    if not login.keys:
        return read_bytes(os.path.realpath(login.home), _LARGEST_LOGIN).decode()
    return json.dumps({key: found[key] for key in login.keys if key in found})


def _read_object(path: str) -> dict[str, Any] | None:
    try:
        return _parsed(read_bytes(path, _LARGEST_LOGIN))
    except OSError:
        return None


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _seeds(prompt: Prompt) -> dict[str, str]:
    return (_read_object(f"{prompt.state_directory}/{_SEEDS}") or {}).get("seeds") or {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _age(login: Mapping[str, Any], path: tuple[str, ...]) -> float:
    """The newest of the times at `path`; nothing where there is none."""
    return max((_as_number(value) for value in _found(login, path)), default=0.0)


def _found(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif isinstance(value, Mapping):
        for key in value if path[0] == "*" else path[:1]:
            if key in value:
                yield from _found(value[key], path[1:])


def _as_number(value: object) -> float:
    if isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value).timestamp()
    return float(value) if isinstance(value, int | float) else 0.0


def _say(prompt: Prompt, line: str) -> None:
    with suppress(OSError):
        append_bytes(f"{prompt.attempt_directory}/agent.log", f"{line}\n".encode("utf-8", "replace"))
