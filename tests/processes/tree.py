"""A task that starts everything which is hard to end: run as `python tree.py <ledger> <hang|end|ignore|talk>`.

Each process writes a line `<kind> <pid> <start ticks>` into the ledger. Kinds: `main`, `child`, `session` (a grandchild
with setsid), `daemon` (forked twice), `scrubbed` (the same, its environment emptied), `bomb` (BOMB_SIZE processes that
go on forking for about a second, and no further). `hang` waits for ever, `end` exits when most of it runs, `ignore`
hangs and ignores SIGTERM with all that it starts, `talk` says something until then and hangs.
An attempt after the first says which kinds of the first are still alive, and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

BOMB_SIZE = 150
FEW = 30
"""Bomb processes that exist when the rest may go on: it still forks then."""
KINDS = ("main", "child", "session", "daemon", "scrubbed")


def enter(ledger: str, kind: str) -> None:
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = file.read().rpartition(")")[2].split()[19]
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{kind} {os.getpid()} {ticks}\n".encode())
    os.close(descriptor)


def spawn(what: Callable[[], None]) -> None:
    """Runs `what` in a fork, which then hangs."""
    if os.fork() == 0:
        try:
            what()
            time.sleep(600)
        finally:
            os._exit(0)


def child(ledger: str) -> None:
    enter(ledger, "child")
    spawn(lambda: session(ledger))


def session(ledger: str) -> None:
    os.setsid()
    enter(ledger, "session")


def daemon(ledger: str, kind: str) -> None:
    """The first fork: makes the second and goes, so that the second has no parent of ours."""
    os.setsid()
    if os.fork():
        os._exit(0)
    enter(ledger, kind)
    if kind == "scrubbed":
        os.execve("/bin/sleep", ["sleep", "600"], {})


def bomb(ledger: str, size: int) -> None:
    """Grows to `size` processes: each gives half of what it may still start to the next."""
    enter(ledger, "bomb")
    while size > 1:
        given = size // 2
        spawn(lambda given=given: bomb(ledger, given))
        size -= given
        time.sleep(0.1)


def has_grown(ledger: str) -> bool:
    with open(ledger, encoding="ascii") as file:
        kinds = [line.split()[0] for line in file]
    return set(KINDS) <= set(kinds) and kinds.count("bomb") >= FEW


def living(ledger: str) -> Iterator[tuple[str, int]]:
    """(kind, pid) of everyone in the ledger who is neither gone nor a zombie."""
    with open(ledger, encoding="ascii") as file:
        members = [line.split() for line in file]
    for kind, pid, ticks in members:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[19] == ticks and fields[0] not in "ZX":
            yield kind, int(pid)


def main(ledger: str, mode: str) -> None:
    if os.environ["CONDUCTOR_ATTEMPT"] != "1":
        print(" ".join(sorted({kind for kind, _ in living(ledger)})))
        return
    if mode == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    enter(ledger, "main")
    spawn(lambda: child(ledger))
    for kind in ("daemon", "scrubbed"):
        spawn(lambda kind=kind: daemon(ledger, kind))
    spawn(lambda: bomb(ledger, BOMB_SIZE))
    while not has_grown(ledger):
        if mode == "talk":
            print("growing", flush=True)
        time.sleep(0.02)
    if mode != "end":
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
