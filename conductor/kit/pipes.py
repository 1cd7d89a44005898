"""Pipes for the output of programs that are watched."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

_BYTES = 524_288


def output_pipe() -> tuple[int, int]:
    """(read end, write end); only we do not wait on it."""
    ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    with suppress(OSError):  # a user has only so much of it: then it stays small
        fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _BYTES)
    os.set_blocking(theirs, True)
    return ours, theirs
