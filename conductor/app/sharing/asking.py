"""The other side of shared.sock: a guest in a home of somebody else."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from conductor.domain.errors import DaemonNotRunning, NoSuchTask, UsageError
from conductor.domain.home import Home
from conductor.settings.source import find_home

_PATIENCE_SECONDS = 30.0
_LARGEST_REQUEST = 4 << 20


def guest_home(flag: str | None, environment: Mapping[str, str]) -> Home | None:
    """The home, when it is somebody else's who shares it: one may pass through it, and no more."""
    home = find_home(environment, flag)
    try:
        found = os.stat(home.path)
    except OSError:
        return None
    is_shared = stat.S_ISDIR(found.st_mode) and found.st_mode & 0o077 == 0o010
    return home if is_shared and found.st_uid != os.geteuid() else None


def ask_shared(home: Home, verb: str, **facts: Any) -> dict[str, Any]:
    """Raises DaemonNotRunning, NoSuchTask, and UsageError with what conductord has against it."""
    request = json.dumps({"verb": verb, **facts}).encode() + b"\n"
    if len(request) > _LARGEST_REQUEST:
        raise UsageError(f"that is more than {_LARGEST_REQUEST >> 20} MiB at once: submit it in parts")
    answer = _exchange(home, request)
    if "missing" in answer:
        raise NoSuchTask(str(answer["missing"]))
    if "error" in answer:
        raise UsageError(str(answer["error"]))
    return answer


def _exchange(home: Home, request: bytes) -> dict[str, Any]:
    from conductor.kit.unixsocket import connect, peer_of

    try:
        with connect(home.shared_socket, _PATIENCE_SECONDS) as connection:
            if peer_of(connection).uid != os.stat(home.path).st_uid:
                raise DaemonNotRunning(f"{home.shared_socket} is not served by the owner of {home.path}: tell him")
            connection.sendall(request)
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except PermissionError:
        raise DaemonNotRunning(
            f"you may not ask at {home.shared_socket}: you are not in its group, or were not when you logged in"
        ) from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise DaemonNotRunning(f"no conductord serves the shared home {home.path}: its owner starts it") from None
    except OSError as error:
        raise DaemonNotRunning(f"conductord on {home.path} does not answer: {error}") from error
    if not line:
        raise DaemonNotRunning(f"conductord on {home.path} closed the connection: you are not let in, or ask too often")
    answer: dict[str, Any] = json.loads(line)
    return answer
