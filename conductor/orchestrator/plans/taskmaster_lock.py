"""Alone with a Task Master file: our own processes are kept out, and Task Master's."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from conductor.domain.errors import LockTimeout

STALE_SECONDS = 10.0
"""After this Task Master takes a lock for forgotten, and so do we."""
_WAIT_SECONDS = 0.005


@contextmanager
def alone_with(path: str, deadline_seconds: float = 30.0) -> Iterator[None]:
    """Holds the file's folder by flock, which leaves nothing behind and ends with its process; then `<path>.lock`, by
    whose existence Task Master's processes keep each other out. Not reentrant. Raises LockTimeout, OSError."""
    deadline = time.monotonic() + deadline_seconds
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _until(lambda: _flocked(folder), path, deadline, deadline_seconds)
        theirs = f"{path}.lock"
        _until(lambda: _made(theirs), path, deadline, deadline_seconds)
        try:
            yield
        finally:
            with suppress(OSError):
                os.rmdir(theirs)
    finally:
        os.close(folder)


def _until(succeeds: Callable[[], bool], path: str, deadline: float, seconds: float) -> None:
    while not succeeds():
        if time.monotonic() > deadline:
            raise LockTimeout(path, seconds, None)
        time.sleep(_WAIT_SECONDS)


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _made(path: str) -> bool:
    """A folder, as the newer Task Master makes it; the older makes a file and is kept out by either."""
    try:
        os.mkdir(path)
    except FileExistsError:
        _remove_forgotten(path)
        return False
    return True


def _remove_forgotten(path: str) -> None:
    with suppress(OSError):
        if time.time() - os.stat(path, follow_symlinks=False).st_mtime < STALE_SECONDS:
            return
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
