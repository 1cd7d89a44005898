"""Processes as Linux has them: who one is, whether it lives, what descends from it, and how all of it ends."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache

from conductor.domain.worker_id import ProcessIdentity, parse_worker_id

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NAME = 15
_PR_SET_DUMPABLE = 4


def _prctl(option: int, argument: int | bytes) -> None:
    libc = _libc()
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def set_parent_death_signal(number: int) -> None:
    """This process gets signal `number` when the thread that made it ends. Compare getppid() afterwards."""
    _prctl(_PR_SET_PDEATHSIG, number)


def end_with_parent(parent_pid: int, number: int = signal.SIGTERM) -> None:
    """This process, just started by `parent_pid`, gets signal `number` when that ends; at once if it has ended."""
    set_parent_death_signal(number)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), number)


def become_subreaper() -> None:
    """Orphaned descendants become children of this process instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_process_name(name: str) -> None:
    """What `ps` and `top` show as the command's name (15 bytes)."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def make_unreadable() -> None:
    """Other processes of this user can't read this one's memory, environment and files any more, until it execs."""
    _prctl(_PR_SET_DUMPABLE, 0)


@cache
def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read(8)


def stat_fields(pid: int | str) -> list[str] | None:
    """/proc/<pid>/stat from field 3 (state) on, or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(b")") + 2 :].decode().split()


def own_identity() -> ProcessIdentity:
    found = identity_of(os.getpid())
    assert found is not None  # we live
    return found


def identity_of(pid: int) -> ProcessIdentity | None:
    """Which process `pid` is now, or None when it has none or only a zombie's."""
    fields = stat_fields(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return ProcessIdentity(pid, int(fields[19]), boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs: neither gone, nor a zombie, nor replaced by one with the same pid."""
    return identity.boot == boot_id() and identity_of(identity.pid) == identity


def owner_lives(worker: str) -> bool:
    """Whether the process that the worker id names still runs."""
    identity = parse_worker_id(worker)
    return identity is not None and is_alive(identity)


def all_pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def children_of(pid: int) -> list[int]:
    """Live and dead children of `pid`, over all of its threads."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found.extend(int(word) for word in file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        if os.path.exists(f"/proc/{pid}") and not os.path.exists(f"/proc/{pid}/task/{pid}/children"):
            return [child for child in all_pids() if (stat := stat_fields(child)) and int(stat[1]) == pid]
    return found


def descendants_of(pid: int) -> list[int]:
    """Every process below `pid`, nearest first. A snapshot: they go on forking while it is taken."""
    found, fresh = [], children_of(pid)
    while fresh:
        found.extend(fresh)
        fresh = [grandchild for child in fresh for grandchild in children_of(child)]
    return found


def send_signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def reap_children(on_reaped: Callable[[int, int], None] | None = None) -> bool:
    """Collects every child that has ended; tells whether any child is left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if on_reaped is not None:
            on_reaped(pid, status)


def kill_descendants(on_reaped: Callable[[int, int], None] | None = None, deadline_seconds: float = 10.0) -> bool:
    """Kills all that descends from this process, which must be a subreaper; tells whether all of it is gone.

    Stops every process first so that none can fork while the others are killed, then repeats until waitpid finds no
    child: setsid, double forks and changed environments do not escape that.
    """
    deadline, wait = time.monotonic() + deadline_seconds, 0.0005
    while reap_children(on_reaped):
        kill_all(descendants_of(os.getpid()))
        if time.monotonic() > deadline:
            return False
        time.sleep(wait)
        wait = min(wait * 2, 0.02)
    return True


def kill_tree(pid: int, pidfd: int) -> None:
    """Kills the process that `pidfd` holds, which is `pid` as long as nobody has reaped it, and all below it."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
        kill_all(descendants_of(pid))
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def kill_all(pids: Iterable[int]) -> None:
    """Stops every one, then kills every one: none can fork while the others die."""
    doomed = list(pids)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in doomed:
            send_signal(pid, number)


def pids_with_variable(name: str, values: Iterable[str]) -> list[int]:
    """Processes that were started with `name` set to one of `values` in their environment."""
    wanted = {f"{name}={value}".encode() for value in values}
    found = []
    for pid in all_pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM):
                raise
            continue
        if wanted & set(environment.split(b"\0")):
            found.append(pid)
    return found


def kill_with_variable(name: str, values: Iterable[str], spare: frozenset[int], deadline_seconds: float = 5.0) -> int:
    """Kills every process that carries the variable, until none is found; returns how many different ones it killed."""
    wanted, deadline, killed = list(values), time.monotonic() + deadline_seconds, set[int]()
    while True:
        doomed = [pid for pid in pids_with_variable(name, wanted) if pid not in spare and identity_of(pid)]
        kill_all(doomed)
        killed.update(doomed)
        if not doomed or time.monotonic() > deadline:
            return len(killed)
        time.sleep(0.002)
