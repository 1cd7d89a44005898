"""shared.sock: who comes in is a member of the group, as the kernel tells; a thread of conductord's own serves them.

The main loop never waits for a member, and a member never reaches control.sock: what operators may steer is handed on.
"""

from __future__ import annotations

import grp
import os
import select
import stat
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from conductor.app.sharing.desk import Desk
from conductor.domain.errors import ConductorError, HomeRefused, SettingsInvalid
from conductor.domain.home import Home
from conductor.domain.sharing import Person, Standing
from conductor.kit.unixsocket import Peer
from conductor.ports import Log
from conductor.queue.layout import Layout
from conductor.settings.shared import SharedSettings
from conductor.settings.source import raw_settings
from conductor.supervisor.control import ControlServer, Entry

LARGEST_REQUEST = 4 << 20
_MOST_CLIENTS = 32
_MOST_OF_ONE_USER = 4
_LOOK_SECONDS = 1.0
_ENDS_WITHIN_SECONDS = 5.0
_PASS_THROUGH = 0o710


class Groups:
    """The two groups, as numbers. Raises SettingsInvalid for one that this machine does not know."""

    def __init__(self, shared: SharedSettings) -> None:
        self.members = _number_of("group", shared.group)
        self._operators = _number_of("operators", shared.operators) if shared.operators else None

    def standing(self, peer: Peer) -> Standing:
        if peer.uid in (0, os.geteuid()) or self._operators in peer.groups:
            return Standing.OPERATOR
        return Standing.MEMBER if self.members in peer.groups else Standing.NOBODY


def _number_of(setting: str, name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SettingsInvalid(f"shared.{setting}: there is no group {name!r} here: `groupadd {name}`") from None


def tighten(home: Home, environment: Mapping[str, str]) -> None:
    """Takes from a home that its group may write (0770) what members of a shared home do not need, when the settings
    share it with that very group and nobody else has put anything into it. Any other is left for `open_home` to refuse.
    """
    with suppress(FileNotFoundError):
        found = os.stat(home.path)
        if found.st_mode & 0o022 != 0o020 or found.st_uid != os.geteuid():
            return
        os.chmod(home.path, _PASS_THROUGH)  # first: what is looked at now stays as it is
        if not (_has_only_ours(home.path) and _is_shared_with(found.st_gid, raw_settings(home, environment))):
            os.chmod(home.path, stat.S_IMODE(found.st_mode))


def _is_shared_with(number: int, settings: Mapping[str, Any]) -> bool:
    shared = settings.get("shared")
    group = shared.get("group") if isinstance(shared, dict) else None
    try:
        return bool(group) and grp.getgrnam(str(group)).gr_gid == number
    except KeyError:
        return False


def _has_only_ours(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return all(entry.stat(follow_symlinks=False).st_uid == os.geteuid() for entry in entries)


def close_home(home: Home) -> None:
    """A home that was shared and is no more."""
    with suppress(FileNotFoundError):
        os.unlink(home.shared_socket)
    found = os.stat(home.path)
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == _PASS_THROUGH:
        os.chmod(home.path, 0o700)


def open_to_group(home: Home, group: str, number: int) -> None:
    """Lets members pass through the home, and takes from what lies in it every right that others had. Raises
    HomeRefused when we may not give it to the group."""
    for name in os.listdir(home.path):
        path = f"{home.path}/{name}"
        found = os.lstat(path)
        if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode):
            os.chmod(path, stat.S_IMODE(found.st_mode) & 0o700)
    try:
        if os.stat(home.path).st_gid != number:
            os.chown(home.path, -1, number)
        os.chmod(home.path, _PASS_THROUGH)
    except OSError as error:
        raise HomeRefused(
            f"can't share {home.path} with the group {group}: {error.strerror}: conductord's own user must be in it "
            f"(Group={group} in the unit)"
        ) from error


@contextmanager
def shared_door(layout: Layout, shared: SharedSettings, environment: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, members of the group are served; without a group there is nothing. Raises SettingsInvalid,
    HomeRefused."""
    if not shared.group:
        if shared.operators:
            raise SettingsInvalid("shared.operators: name the group of all members too, as shared.group")
        close_home(layout.home)
        yield
        return
    groups = Groups(shared)
    open_to_group(layout.home, shared.group, groups.members)
    door = _Door(layout, groups, Desk(layout, _log, environment))
    door.start()
    try:
        yield
    finally:
        door.close()


def _log() -> Log:
    """Asked for each time: it is made after the door."""
    log: Log = structlog.get_logger()
    return log


class _Door:
    def __init__(self, layout: Layout, groups: Groups, desk: Desk) -> None:
        self._groups = groups
        self._desk = desk
        entry = Entry(
            lambda peer: groups.standing(peer) is not Standing.NOBODY,
            groups.members,
            _MOST_CLIENTS,
            _MOST_OF_ONE_USER,
            LARGEST_REQUEST,
        )
        self._server = ControlServer(layout.home.shared_socket, self._answer, entry)
        self._wake, self._awaken = os.pipe2(os.O_CLOEXEC)
        self._ending = False
        self._thread = threading.Thread(target=self._serve, name="shared-door", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """A member who is being served is waited for, but not for long."""
        self._ending = True
        os.write(self._awaken, b"x")
        self._thread.join(_ENDS_WITHIN_SECONDS)
        if not self._thread.is_alive():
            os.close(self._wake)
            os.close(self._awaken)
        self._server.close()

    def _serve(self) -> None:
        while not self._ending:
            poll, clients = select.poll(), self._server.watched()
            for descriptor in (self._server.fileno(), self._wake, *clients):
                poll.register(descriptor, select.POLLIN)
            poll.poll(1000 * _LOOK_SECONDS if clients else None)
            self._server.accept()
            self._server.serve()
            self._server.drop_the_slow()

    def _answer(self, request: dict[str, Any], peer: Peer) -> dict[str, Any] | None:
        person = Person(peer.uid, self._groups.standing(peer))
        try:
            return self._desk.serve(person, request)
        except (ConductorError, ValueError, TypeError, KeyError, OverflowError):
            raise  # ControlServer tells it
        except OSError as error:
            return {"error": f"the system refused: {error.strerror or error}"}  # without the path: it is not theirs
        except Exception:  # the edge of the room: whatever a member asks, the next one is served
            _log().error("shared_request_failed", uid=peer.uid, error=traceback.format_exc())
            return {"error": "conductord failed at this request and has written why into its log"}
