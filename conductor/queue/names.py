"""File names carry the state: order or time, the counters, the id, the owner. `~` stands in none of the parts.

ready/     <sequence>~<counters>~<id>      waiting/   <due>~<counters>~<id>
claimed/   <id>~<counters>~<worker-id>     finishing/ the same            dead/ <id>~<counters>
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from conductor.domain.task import ID_PATTERN, Tries

_COUNTERS = re.compile(r"a(\d+)r(\d+)l(\d+)")


def counters(tries: Tries) -> str:
    return f"a{tries.started}r{tries.refunded}l{tries.lost}"


def parse_counters(text: str) -> Tries | None:
    match = _COUNTERS.fullmatch(text)
    return Tries(int(match[1]), int(match[2]), int(match[3])) if match else None


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in one of the state folders, read. `order` is the sequence or the due time, 0 where there is none."""

    task_id: str
    tries: Tries
    order: int = 0
    owner: str = ""


def ordered_name(order: int, tries: Tries, task_id: str) -> str:
    return f"{order:012x}~{counters(tries)}~{task_id}"


def owned_name(task_id: str, tries: Tries, owner: str) -> str:
    return f"{task_id}~{counters(tries)}~{owner}"


def dead_name(task_id: str, tries: Tries) -> str:
    return f"{task_id}~{counters(tries)}"


def parse_ordered(name: str) -> Entry | None:
    """The entry that a name in ready/ or waiting/ stands for, or None where it is no name of ours."""
    parts = name.split("~")
    if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{12}", parts[0]):
        return None
    return _entry(parts[2], parts[1], order=int(parts[0], 16))


def parse_owned(name: str) -> Entry | None:
    """The entry that a name in claimed/ or finishing/ stands for."""
    parts = name.split("~")
    return _entry(parts[0], parts[1], owner=parts[2]) if len(parts) == 3 else None


def parse_dead(name: str) -> Entry | None:
    parts = name.split("~")
    return _entry(parts[0], parts[1]) if len(parts) == 2 else None


def _entry(task_id: str, counts: str, order: int = 0, owner: str = "") -> Entry | None:
    tries = parse_counters(counts)
    if tries is None or not ID_PATTERN.fullmatch(task_id):
        return None
    return Entry(task_id, tries, order, owner)
