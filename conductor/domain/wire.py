"""What supervisor, nursery and workers tell each other: one short line a message, text, so that strace shows it.

supervisor to nursery:  fork <slot>
nursery to supervisor:  up | born <slot> <pid> | died <pid> <wait status>
worker to supervisor:   ready <worker-id> | busy <worker-id> <task-id> <attempt> <seconds it may take, 0: no limit>
"""

from __future__ import annotations

from dataclasses import dataclass


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


Message = Fork | NurseryUp | Born | Died | Ready | Busy


def parse_message(line: bytes) -> Message | None:
    """The message in `line`, or None where it is none: a garbled hint is dropped, the scan finds what is true."""
    try:
        match line.decode().split():
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
    except ValueError:
        pass
    return None


class LineBuffer:
    """Cuts a byte stream into whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + received).split(b"\n")
        return lines
