"""What supervisor, nursery and workers tell each other: one short line a message, text, so that strace shows it.

supervisor to nursery:  fork <slot>
nursery to supervisor:  up | born <slot> <pid> | died <pid> <wait status>
worker to supervisor:   ready <worker-id> | busy <worker-id> <task-id> <attempt> <seconds it may take, 0: no limit>
                        note <task-id> <attempt> <action> <JSON>
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_ONE_PIECE = 4096
"""Bytes that a pipe takes in one piece."""


@dataclass(frozen=True, slots=True)
class Fork:
    slot: int

    def line(self) -> bytes:
        return b"fork %d\n" % self.slot


@dataclass(frozen=True, slots=True)
class NurseryUp:
    def line(self) -> bytes:
        return b"up\n"


@dataclass(frozen=True, slots=True)
class Born:
    slot: int
    pid: int

    def line(self) -> bytes:
        return b"born %d %d\n" % (self.slot, self.pid)


@dataclass(frozen=True, slots=True)
class Died:
    pid: int
    wait_status: int

    def line(self) -> bytes:
        return b"died %d %d\n" % (self.pid, self.wait_status)


@dataclass(frozen=True, slots=True)
class Ready:
    worker_id: str

    def line(self) -> bytes:
        return f"ready {self.worker_id}\n".encode()


@dataclass(frozen=True, slots=True)
class Busy:
    worker_id: str
    task_id: str
    attempt: int
    limit_seconds: float

    def line(self) -> bytes:
        return f"busy {self.worker_id} {self.task_id} {self.attempt} {self.limit_seconds:.0f}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to an attempt and is worth an event: its action, and facts as JSON values."""

    task_id: str
    attempt: int
    action: str
    facts: dict[str, Any]

    def line(self) -> bytes:
        """At most so long that it is written in one piece; facts that do not fit are left out."""
        begin = f"note {self.task_id} {self.attempt} {self.action} ".encode()
        facts = json.dumps(self.facts).encode()
        return begin + (facts if len(begin) + len(facts) < _ONE_PIECE else b"{}") + b"\n"


Message = Fork | NurseryUp | Born | Died | Ready | Busy | Note


def parse_message(line: bytes) -> Message | None:
    """The message in `line`, or None where it is none: a garbled hint is dropped, the scan finds what is true."""
    try:
        match line.decode().split(maxsplit=4):
            case ["fork", slot]:
                return Fork(int(slot))
            case ["up"]:
                return NurseryUp()
            case ["born", slot, pid]:
                return Born(int(slot), int(pid))
            case ["died", pid, status]:
                return Died(int(pid), int(status))
            case ["ready", worker]:
                return Ready(worker)
            case ["busy", worker, task, attempt, limit]:
                return Busy(worker, task, int(attempt), float(limit))
            case ["note", task, attempt, action, facts] if isinstance(told := json.loads(facts), dict):
                return Note(task, int(attempt), action, told)
    except (ValueError, RecursionError):
        pass
    return None


class LineBuffer:
    """Cuts a byte stream into whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + received).split(b"\n")
        return lines
