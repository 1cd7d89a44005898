"""The folders of the queue, how a home is made, and which homes are refused."""

from __future__ import annotations

import os
import stat

from conductor.domain.errors import HomeRefused
from conductor.domain.home import Home
from conductor.kit.durable import sync_directory, write_synced
from conductor.kit.filesystem import NETWORK_TYPES, filesystem_type

FORMAT_VERSION = 1
_FOLDERS = "tmp inbox ready waiting after claimed finishing dead corrupt".split()


class Layout:
    """Paths below `<home>/queue`, made once and used on the hot path as plain strings."""

    def __init__(self, home: Home) -> None:
        self.home = home
        root = home.queue
        self.lock = f"{root}/lock"
        self.paused = f"{root}/paused"
        self.full = f"{root}/full"
        self.version = f"{root}/VERSION"
        self.tmp = f"{root}/tmp"  # noqa: S108 - the queue's own
        self.inbox = f"{root}/inbox"
        self.ready = f"{root}/ready"
        self.waiting = f"{root}/waiting"
        self.after = f"{root}/after"
        self.claimed = f"{root}/claimed"
        self.finishing = f"{root}/finishing"
        self.dead = f"{root}/dead"
        self.corrupt = f"{root}/corrupt"

    def cancel_mark(self, task_id: str) -> str:
        return f"{self.home.tasks}/{task_id}/CANCEL"


def open_home(home: Home) -> Layout:
    """The layout of a home that exists, is ours, is local and has a version we read; made if absent.

    Raises HomeRefused.
    """
    layout = Layout(home)
    if not os.path.exists(layout.version):
        _make(home, layout)
    _check_trust(home)
    _check_version(layout)
    return layout


def _make(home: Home, layout: Layout) -> None:
    try:
        _make_lasting(home.path)
        _check_trust(home)
        for path in (home.queue, home.tasks, *(f"{home.queue}/{name}" for name in _FOLDERS)):
            os.makedirs(path, mode=0o700, exist_ok=True)
        for path in (home.results, layout.lock):
            os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        for path in (home.queue, home.path):
            sync_directory(path)
        temporary = f"{layout.tmp}/VERSION.{os.getpid()}"
        write_synced(temporary, b"%d\n" % FORMAT_VERSION)
        os.rename(temporary, layout.version)  # last: a home with a VERSION is whole
        sync_directory(home.queue)
    except OSError as error:
        raise HomeRefused(
            f"can't make the home {home.path}: {error.strerror}: choose another with CONDUCTOR_HOME"
        ) from error


def _make_lasting(folder: str) -> None:
    """makedirs, after which a power cut takes none of the new folders away."""
    parent = os.path.dirname(folder)
    if not os.path.isdir(parent):
        _make_lasting(parent)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    sync_directory(parent)


def _check_trust(home: Home) -> None:
    """A home that others may write, or whose locks do not hold, would lose or run what nobody accepted."""
    try:
        found = os.stat(home.path)
    except OSError as error:
        raise HomeRefused(f"can't read the home {home.path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise HomeRefused(f"the home {home.path} is not a directory")
    if found.st_uid not in (os.geteuid(), 0):
        whose = f"belongs to user {found.st_uid}, not to you ({os.geteuid()})"
        shared = ": members of its group submit, and see and cancel their own tasks; this is for its owner"
        raise HomeRefused(f"the home {home.path} {whose}{shared if _is_shared(found) else ''}")
    if found.st_mode & 0o022:
        whom = "everybody" if found.st_mode & 0o002 else "its group"
        raise HomeRefused(
            f"the home {home.path} is writable by {whom}: whoever writes there runs commands as you. chmod go-w it"
        )
    kind = filesystem_type(home.path)
    if kind in NETWORK_TYPES:
        raise HomeRefused(
            f"the home {home.path} is on {kind}, where locks and renames can't be trusted: choose a local disk"
        )


def _is_shared(found: os.stat_result) -> bool:
    return found.st_mode & 0o077 == 0o010


def _check_version(layout: Layout) -> None:
    try:
        with open(layout.version, encoding="ascii") as file:
            version = int(file.read())
    except (OSError, ValueError) as error:
        raise HomeRefused(f"can't read {layout.version}: {error}") from error
    if version > FORMAT_VERSION:
        raise HomeRefused(
            f"the home {layout.home.path} has format {version}, this conductor reads up to {FORMAT_VERSION}: upgrade it"
        )
