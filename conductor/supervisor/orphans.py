"""Ends what a killed worker left running: found by descent and by the mark in their environment, never by name."""

from __future__ import annotations

import os
from collections.abc import Iterable

from conductor.kit.process import children_of, descendants_of, kill_all, kill_with_variable


def end_leftovers(variable: str, worker_ids: Iterable[str]) -> int:
    """Kills every process that carries the mark of one of these dead workers; returns how many."""
    return kill_with_variable(variable, worker_ids, spare=frozenset({os.getpid()}))


def end_strays(known: frozenset[int], nursery_commands: frozenset[bytes]) -> list[int]:
    """Kills children of this subreaper that nobody owns, with all below them.

    A living worker is a subreaper itself, so what comes to us is what a killed one left, even if it changed its
    environment. Workers of a nursery that died are ours too: they look like their nursery and are spared.
    """
    strays = [pid for pid in children_of(os.getpid()) if pid not in known and _command_of(pid) not in nursery_commands]
    kill_all(pid for stray in strays for pid in (stray, *descendants_of(stray)))
    return strays


def _command_of(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""
