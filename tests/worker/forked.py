"""Runs a function in a forked child, as a worker lives: a subreaper that has no other child and its own signals."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
from collections.abc import Callable
from typing import TypeVar

from conductor.kit.process import become_subreaper

T = TypeVar("T")
_PATIENCE_SECONDS = 60.0


def in_child(work: Callable[[], T]) -> T:
    """What `work` returned in the child. Fails with the child's traceback when it raised, or when it took too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(work, writing)
    os.close(writing)
    try:
        told = _read_all(reading)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert told, "the child ended without a word"
    ended_well, found = pickle.loads(told)
    assert ended_well, found
    return found  # type: ignore[no-any-return]


def _be_child(work: Callable[[], object], writing: int) -> None:
    try:
        os.closerange(3, writing)  # a nursery has nothing open but its own pipes; a test run may have inherited more
        os.closerange(writing + 1, 4096)
        become_subreaper()
        told = (True, work())
    except BaseException:
        told = (False, traceback.format_exc())
    try:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(told, pipe)
    finally:
        os._exit(0)


def _read_all(reading: int) -> bytes:
    told = b""
    while True:
        ready, _, _ = select.select([reading], [], [], _PATIENCE_SECONDS)
        assert ready, f"the child said nothing for {_PATIENCE_SECONDS:g} s"
        piece = os.read(reading, 65536)
        if not piece:
            return told
        told += piece
