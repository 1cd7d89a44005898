"""A task that looks around: prints, as JSON, all of its process's context that an earlier task could have changed."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from typing import Any

_STATUS = ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd", "Threads", "NoNewPrivs", "Seccomp", "CapEff", "Groups")
_PR_GET_PDEATHSIG = 2


def context() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    with open("/proc/self/status", encoding="utf-8") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {
        "env": dict(os.environ),
        "cwd": os.getcwd(),
        "umask": mask,
        "rlimits": {
            name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name[:7] == "RLIMIT_"
        },
        "status": {name: status.get(name) for name in _STATUS},
        "files": files(),
        "leads_its_session": os.getsid(0) == os.getpid() == os.getpgrp(),
        "terminal": stat_field(4),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "cpus": sorted(os.sched_getaffinity(0)),
        "scheduler": os.sched_getscheduler(0),
        "oom_score_adj": read("/proc/self/oom_score_adj"),
        "parent_death_signal": parent_death_signal(),
    }


def files() -> dict[str, str]:
    """What each open descriptor is; the one that lists them is closed by then."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        found[name] = target.partition(":")[0]  # pipe:[123] is another pipe each time
    return found


def stat_field(after_state: int) -> str:
    return read("/proc/self/stat").rpartition(")")[2].split()[after_state]


def parent_death_signal() -> int:
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


if __name__ == "__main__":
    json.dump(context(), sys.stdout)
    print()
