"""The home: whether it is there, on what disk, and how much room is left on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.sign import Sign, graded, ok, warning, wrong
from conductor.kit.filesystem import NETWORK_TYPES, filesystem_type
from conductor.queue.layout import FORMAT_VERSION, Layout

_MIB = 1 << 20
_FORGETFUL_TYPES = frozenset({"tmpfs", "ramfs", "devtmpfs"})


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds a path. `inodes`: 0 where it does not count them."""

    path: str
    kind: str
    free_bytes: int
    free_inodes: int
    inodes: int
    read_only: bool


def look_at_home(case: Case) -> Iterator[Sign]:
    path = case.home.path
    if not os.path.lexists(path):
        yield ok("home", f"{path} is not there yet: the first command that needs it makes it")
    elif not case.is_there:
        yield wrong("home", f"{path} is not a folder", "move it away, or name another with CONDUCTOR_HOME")
        return
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        remedy = "be the user that it belongs to, or name another with CONDUCTOR_HOME"
        yield wrong("home", f"{path} can't be used by you (user {os.geteuid()})", remedy)
        return
    else:
        yield judge_format(path, _format_in(Layout(case.home).version))
    yield from judge_disk(disk_of(path))
    with suppress(OSError):
        yield judge_full(os.readlink(Layout(case.home).full), runs=bool(case.status))


def disk_of(path: str) -> Disk:
    """Of the nearest folder that exists."""
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return Disk(
        path,
        filesystem_type(path),
        found.f_bavail * found.f_frsize,
        found.f_favail,
        found.f_files,
        bool(found.f_flag & os.ST_RDONLY),
    )


def judge_disk(disk: Disk) -> Iterator[Sign]:
    if disk.kind in NETWORK_TYPES:
        what = f"{disk.path} is on {disk.kind}, where locks and renames can't be trusted"
        yield wrong("disk", what, "choose a home on a local disk")
    elif disk.kind in _FORGETFUL_TYPES:
        what = f"{disk.path} is on {disk.kind}: all of it is gone after a reboot"
        yield warning("disk", what, "choose a home on a disk, unless that is what you want")
    else:
        yield ok("disk", f"{disk.kind}, local")
    if disk.read_only:
        yield wrong("disk", f"{disk.path} is mounted read-only", "see `dmesg` for why, then mount it for writing")
    yield graded(
        "space",
        f"{disk.free_bytes / _MIB:,.0f} MiB free",
        left=disk.free_bytes,
        warn_below=1024 * _MIB,
        wrong_below=100 * _MIB,
        remedy=f"make room on the disk of {disk.path}: results and logs of tasks are kept until they are cleaned",
    )
    if disk.inodes:
        yield graded(
            "space",
            f"{disk.free_inodes:,} inodes free",
            left=disk.free_inodes,
            warn_below=20_000,
            wrong_below=1_000,
            remedy=f"remove files on the disk of {disk.path}: each task keeps about ten",
        )


def judge_full(reason: str, *, runs: bool) -> Sign:
    """`reason`: why conductord stopped claiming. It alone looks whether there is room again."""
    if runs:
        remedy = "`conductor clean` makes room, then it goes on by itself"
        return wrong("space", f"conductord claims nothing, {reason}", remedy)
    return warning(
        "space", f"conductord claimed nothing any more, {reason}", "start it: it looks whether that is so still"
    )


def judge_format(path: str, version: int | None) -> Sign:
    """`version`: of the home's queue; 0: none yet, None: unreadable."""
    if version is None:
        remedy = f"put {FORMAT_VERSION} back into queue/VERSION if this is a home of conductor"
        return wrong("home", f"{path} has a queue whose VERSION can't be read", remedy)
    if version > FORMAT_VERSION:
        what = f"{path} has format {version}, this conductor reads up to {FORMAT_VERSION}"
        return wrong("home", what, "update the conductor that you call")
    return ok("home", f"{path}, format {version}" if version else f"{path}, still empty")


def _format_in(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(64))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        return None
