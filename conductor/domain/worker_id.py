"""A worker's name says which process it is, so that anyone can tell from a file's name whether its owner lives."""

from __future__ import annotations

import re
from dataclasses import dataclass

OWNER_VARIABLE = "CONDUCTOR_WORKER_ID"
"""In every agent's environment, unique to the attempt: leftovers of a killed worker are found by it in /proc."""

_PATTERN = re.compile(r"([a-z]+\d*)-(\d+)-([0-9a-f]+)-([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process for ever: a pid alone is used again. `start_ticks` is field 22 of /proc/<pid>/stat."""

    pid: int
    start_ticks: int
    boot: str
    """The first eight hex digits of the kernel's boot id."""


def worker_id(role: str, identity: ProcessIdentity) -> str:
    """`role` is `w<slot>` for a worker, `cli` for a command that holds a claim for a moment, `s<number>` for what a
    conductord started beside its workers: the process is then that conductord."""
    return f"{role}-{identity.pid}-{identity.start_ticks:x}-{identity.boot}"


def parse_worker_id(text: str) -> ProcessIdentity | None:
    """The process that `text` names, or None where it is no worker id."""
    match = _PATTERN.fullmatch(text)
    return ProcessIdentity(int(match[2]), int(match[3], 16), match[4]) if match else None


def slot_of(text: str) -> int | None:
    """The slot number in a worker id, or None for a command's."""
    match = re.match(r"w(\d+)-", text)
    return int(match[1]) if match else None
