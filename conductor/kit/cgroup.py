"""cgroup v2, where it was delegated to us: a task in a group of its own can hide nothing from `cgroup.kill`."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from conductor.kit.process import send_signal

_DELEGATE_MARKS = ("user.delegate", "trusted.delegate")
_GONE_WITHIN_SECONDS = 5.0


def delegated_cgroup(process: int | str = "self") -> str:
    """The folder of a process's cgroup when systemd delegated it (Delegate=yes) and we may write there, else nothing.

    Another cgroup may be writable too (root's always is), but has an owner who does not expect groups in it.
    """
    mount, own = _mount_point(), _cgroup_of(process)
    folder = mount + own if mount and own else ""
    return folder if folder and os.access(folder, os.W_OK) and _is_delegated(folder) else ""


def make_cgroup(folder: str) -> bool:
    """A new empty group; False where the kernel refuses, and the task then runs without one."""
    try:
        os.mkdir(folder)
        return True
    except OSError:
        return False


def enter_cgroup(folder: str) -> None:
    """Moves this process into the group; its children will be born there."""
    descriptor = os.open(f"{folder}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"0")
    finally:
        os.close(descriptor)


def end_cgroup(folder: str) -> int:
    """Kills all that is in the group and removes it; returns how many processes were seen. Nothing there: 0."""
    seen: set[int] = set()
    deadline, wait = time.monotonic() + _GONE_WITHIN_SECONDS, 0.0005
    while os.path.isdir(folder):
        with suppress(OSError):
            os.rmdir(folder)
            break
        pids = _pids_in(folder)
        seen.update(pids)
        if pids and not _kill_at_once(folder):
            for pid in pids:
                send_signal(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(wait)
        wait = min(wait * 2, 0.02)
    return len(seen)


def groups_in(folder: str) -> list[str]:
    """Names of the groups right below `folder`."""
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _kill_at_once(folder: str) -> bool:
    """Linux 5.14 and later."""
    try:
        descriptor = os.open(f"{folder}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, b"1")
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _pids_in(folder: str) -> list[int]:
    """Processes in the group and in groups that a task made below it."""
    found: list[int] = []
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            with open(f"{path}/cgroup.procs", encoding="ascii") as file:
                found.extend(int(line) for line in file)
        if path != folder:
            with suppress(OSError):
                os.rmdir(path)
    return found


def _mount_point() -> str:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split(" ")
            if fields[fields.index("-") + 1] == "cgroup2":
                return fields[4]
    return ""


def _cgroup_of(process: int | str) -> str:
    with open(f"/proc/{process}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].rstrip("\n").rstrip("/")
    return ""


def _is_delegated(folder: str) -> bool:
    for name in _DELEGATE_MARKS:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False
