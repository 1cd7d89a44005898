"""The queue lock on the hot path: the same flock that filelock's FileLock takes, without its import or its polling."""

from __future__ import annotations

import fcntl
import os
import time
from types import TracebackType

from conductor.domain.errors import LockTimeout

_FIRST_WAIT = 0.0002
_LONGEST_WAIT = 0.004


class QuickLock:
    """`with QuickLock(path):` holds an exclusive flock on `path`; not reentrant, never held across a fork.

    Raises LockTimeout after `deadline_seconds`: somebody who holds it that long is stopped or broken.
    """

    def __init__(self, path: str, deadline_seconds: float = 30.0) -> None:
        self._path = path
        self._deadline_seconds = deadline_seconds
        self._descriptor = -1

    def __enter__(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._wait_for(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def _wait_for(self, descriptor: int) -> None:
        wait, deadline = _FIRST_WAIT, time.monotonic() + self._deadline_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockTimeout(self._path, self._deadline_seconds, lock_holder(self._path)) from None
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)


def lock_holder(path: str) -> int | None:
    """The process that holds a flock on `path` now, as far as the kernel tells."""
    found = os.stat(path)
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    with open("/proc/locks", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if "->" not in fields and fields[1] == "FLOCK" and fields[5] == wanted:
                return int(fields[4])
    return None
