"""What the kernel allows: open files, processes, inotify, control groups."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.sign import Sign, graded, ok, warning
from conductor.kit.cgroup import delegated_cgroup
from conductor.kit.inotify import Inotify

_UNLIMITED = float("inf")
_FILES_A_WORKER = 8
_FILES_BESIDE = 64
_PROCESSES_A_WORKER = 50
"""Threads count too: an agent on Node has thirty."""


def look_at_limits(case: Case) -> Iterator[Sign]:
    """Those of conductord where it runs: a shell often has others."""
    pid = case.daemon_pid
    limits = limits_in(_text(f"/proc/{pid}/limits")) if pid else {}
    whose = f"conductord (pid {pid})" if limits else "this shell"
    limits = limits or _our_own()
    workers = _workers(case)
    yield judge_files(limits.get("open files", _UNLIMITED), workers, whose)
    yield judge_processes(limits.get("processes", _UNLIMITED), _processes_of_us(), workers, whose)
    yield _inotify()
    yield judge_cgroup(_delegated(pid), under_systemd=bool(case.status.get("under_systemd")), runs=bool(pid))


def limits_in(text: str) -> dict[str, float]:
    """Soft limits by name, from /proc/<pid>/limits."""
    found = {}
    for line in text.splitlines()[1:]:
        name, soft = line[:25].strip().removeprefix("Max "), line[25:].split()[:1]
        if soft:
            found[name] = _UNLIMITED if soft[0] == "unlimited" else float(soft[0])
    return found


def judge_files(limit: float, workers: int, whose: str) -> Sign:
    needed = _FILES_BESIDE + _FILES_A_WORKER * workers
    return graded(
        "limits",
        f"{_number(limit)} open files for {whose}, about {needed} needed for {workers} workers",
        left=limit,
        warn_below=2 * needed,
        wrong_below=needed,
        remedy="raise it: LimitNOFILE= in the unit, or `ulimit -n` before conductord is started",
    )


def judge_processes(limit: float, running: int, workers: int, whose: str) -> Sign:
    needed = _PROCESSES_A_WORKER * workers
    return graded(
        "limits",
        f"{_number(limit)} processes for {whose}, {running} run, about {needed} more needed for {workers} workers",
        left=limit - running,
        warn_below=needed,
        wrong_below=needed / 4,
        remedy="raise it: LimitNPROC= and TasksMax= in the unit, or `ulimit -u` before conductord is started",
    )


def judge_cgroup(folder: str, *, under_systemd: bool, runs: bool) -> Sign:
    if folder:
        return ok("limits", f"each attempt gets a control group of its own in {folder}")
    if under_systemd:
        what = "systemd delegated no control group: a task that clears its environment may leave processes behind"
        return warning("limits", what, "put Delegate=yes into the unit, then restart it")
    where = "conductord has none" if runs else "a conductord of this shell would have none"
    return ok("limits", f"control groups: {where} delegated; what tasks leave is found by their environment")


def _inotify() -> Sign:
    most = {name: _text(f"/proc/sys/fs/inotify/max_user_{name}").strip() for name in ("instances", "watches")}
    told = f"inotify: {most['instances'] or '?'} instances, {most['watches'] or '?'} watches for each user"
    try:
        Inotify().close()
    except OSError as error:
        remedy = "sysctl fs.inotify.max_user_instances=1024; without it files are looked at every poll_interval"
        return warning("limits", f"{told}; no more is to be had ({error.strerror})", remedy)
    return ok("limits", told)


def _our_own() -> dict[str, float]:
    kinds = {"open files": resource.RLIMIT_NOFILE, "processes": resource.RLIMIT_NPROC}
    soft = {name: resource.getrlimit(kind)[0] for name, kind in kinds.items()}
    return {name: _UNLIMITED if limit == resource.RLIM_INFINITY else limit for name, limit in soft.items()}


def _workers(case: Case) -> int:
    if case.status:
        return sum(case.status["pools"].values())
    return sum(pool.workers for pool in case.settings.all_pools().values()) if case.settings else 3


def _processes_of_us() -> int:
    """Of all processes of this user; their threads are not counted."""
    us, count = os.geteuid(), 0
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                try:
                    count += entry.stat().st_uid == us
                except OSError:
                    continue  # it ended meanwhile
    return count


def _delegated(pid: int) -> str:
    try:
        return delegated_cgroup(pid or "self")
    except OSError:
        return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _number(limit: float) -> str:
    return "unlimited" if limit == _UNLIMITED else f"{limit:.0f}"
