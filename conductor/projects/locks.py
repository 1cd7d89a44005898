"""Lock files that a killed git left: which may go, and when."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from conductor.domain.worker_id import ProcessIdentity
from conductor.kit.process import all_pids, is_alive, own_identity, stat_fields

_OURS = ("/refs/conductor/", "/refs/heads/conductor/", "/refs/heads/conductor-step/")
_CLOCK_SLACK_SECONDS = 2.0


def remove_if_stale(path: str, deed: str) -> bool:
    """Whether the lock is gone: it was ours and no git lives that may hold it, or it went by itself.

    Ours is one on a ref that only we write, or one that is younger than a deed of ours that was never finished.
    """
    try:
        made = os.stat(path).st_mtime
    except FileNotFoundError:
        return True
    if not (any(part in path for part in _OURS) or _left_by_deed(made, deed)) or _may_be_held(made):
        return False
    with suppress(FileNotFoundError):
        os.unlink(path)
    return True


def _left_by_deed(made: float, deed: str) -> bool:
    """`deed` holds the pid, start and boot of who began it; this process comes one deed at a time."""
    try:
        with open(deed, encoding="ascii") as file:
            words = file.read().split()
        begun = os.stat(deed).st_mtime
        owner = ProcessIdentity(int(words[0]), int(words[1]), words[2])
    except (OSError, ValueError, IndexError):
        return False
    return made >= begun - _CLOCK_SLACK_SECONDS and (owner == own_identity() or not is_alive(owner))


def _may_be_held(made: float) -> bool:
    """Whether a git lives that is as old as the lock."""
    with open("/proc/uptime", encoding="ascii") as file:
        booted = time.time() - float(file.read().split()[0])
    ticks = os.sysconf("SC_CLK_TCK")
    for pid in all_pids():
        with suppress(OSError):
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                is_git = file.read().startswith("git")
            fields = stat_fields(pid) if is_git else None
            started = booted + int(fields[19]) / ticks if fields and fields[0] not in "ZX" else None
            if started is not None and started <= made + _CLOCK_SLACK_SECONDS:
                return True
    return False
