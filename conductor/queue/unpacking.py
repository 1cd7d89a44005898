"""From inbox/ to ready/: batches are unpacked a few lines at a time, so that the daemon stays awake meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from conductor.domain.errors import BadTask
from conductor.domain.lines import parse_task, unseal
from conductor.domain.task import TaskSpec, Tries
from conductor.domain.view import Tended
from conductor.kit.durable import read_bytes, sync_directory, write_synced
from conductor.kit.ids import stamped_id
from conductor.queue import listing
from conductor.queue.files import QueueFiles
from conductor.queue.inbox import Batch
from conductor.queue.names import parse_ordered

_LINES_AT_ONCE = 32
_PROMOTED_AT_ONCE = 64


def new_batch_name(now: float) -> str:
    return stamped_id("b", now)


class Unpacker:
    """Holds the lines of the batch that it is in the middle of, so that each is read once."""

    def __init__(self, files: QueueFiles) -> None:
        self._files = files
        self._inbox = listing.inbox_of(files)
        self._name = ""
        self._lines: list[bytes] = []
        self._placed_before: frozenset[str] = frozenset()

    def tend(self, default_agent: str, reserve: Callable[[str], bool]) -> Tended:
        """One bounded round of housekeeping."""
        refused = self._inbox.take_in(lambda: new_batch_name(self._files.clock()), default_agent, reserve)
        batches = self._inbox.batches()
        accepted = self._unpack(batches[0], refused) if batches else 0
        promoted = self._promote()
        more = len(batches) > 1 or bool(self._name) or promoted == _PROMOTED_AT_ONCE
        return Tended(accepted, promoted, tuple(refused), more, self._files.waiting.next_due_ms())

    def _unpack(self, batch: Batch, refused: list[str]) -> int:
        """Places the next lines of `batch` and then says so in its name; returns how many were placed."""
        if batch.name != self._name:
            batch = self._open(batch)
        lines = self._lines[batch.done : batch.done + _LINES_AT_ONCE]
        placed = [target for line in lines if (target := self._place(line, batch, refused))]
        for folder_end in dict.fromkeys(os.path.dirname(target) for target in placed):
            self._files.sync(f"{folder_end}/.")
        done = batch.done + len(lines)
        if done >= len(self._lines):
            os.unlink(batch.path)
            self._name = ""
        else:
            os.rename(batch.path, batch.path_after(done))
        sync_directory(self._files.layout.inbox)
        return len(placed)

    def _open(self, batch: Batch) -> Batch:
        self._lines = read_bytes(batch.path).split(b"\n")[:-1]
        self._name = batch.name
        if batch.touched:  # an earlier process was in the middle: its last few lines may lie in ready/ already
            self._placed_before = self._known(self._lines[batch.done :])
            return batch
        self._placed_before = frozenset()
        started = Batch(batch.name, batch.path_after(0), 0, touched=True)
        os.rename(batch.path, started.path)
        sync_directory(self._files.layout.inbox)
        return started

    def _known(self, lines: list[bytes]) -> frozenset[str]:
        """Ids among `lines` that have a file in some state, or an attempt behind them."""
        found = {entry.task_id for shelf in (self._files.ready, self._files.waiting) for _, entry in shelf.walk()}
        for folder in (self._files.layout.claimed, self._files.layout.finishing):
            found |= {entry.task_id for _, entry in self._files.owned_entries(folder)}
        found |= {name.partition("~")[0] for name in os.listdir(self._files.layout.dead)}
        ids = {line.split(b"|", 1)[0].decode("utf-8", "replace") for line in lines}
        return frozenset(task_id for task_id in ids if task_id in found or self._files.last_attempt(task_id))

    def _place(self, line: bytes, batch: Batch, refused: list[str]) -> str:
        """The path of the new task, or nothing when it lies there already or could not be read."""
        try:
            spec = parse_task(unseal(line.decode() + "\n"))
        except (BadTask, UnicodeDecodeError) as error:
            self._refuse(line, batch, str(error))
            refused.append(str(error))
            return ""
        if spec.id in self._placed_before:
            return ""
        temporary = f"{self._files.layout.tmp}/{spec.id}.{os.getpid()}"
        try:
            write_synced(temporary, line + b"\n")
            with self._files.lock:
                return self._files.place(spec, Tries(), temporary, due_ms=spec.not_before_ms)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _refuse(self, line: bytes, batch: Batch, reason: str) -> None:
        path = f"{self._files.layout.tmp}/{batch.name}.line"
        write_synced(path, line + b"\n")
        self._files.refuse(path, reason)

    def _promote(self) -> int:
        """Moves what is due from waiting/ to ready/; a power cut that undoes it costs a moment, no task."""
        due = self._files.waiting.due(self._files.now_ms(), _PROMOTED_AT_ONCE)
        for path in due:
            self._promote_one(path)
        return len(due)

    def _promote_one(self, path: str) -> None:
        entry = parse_ordered(os.path.basename(path))
        try:
            spec: TaskSpec = self._files.read_task(path)
            if entry is None:
                raise BadTask("no name of a task")
        except FileNotFoundError:
            return  # cancelled meanwhile
        except BadTask as error:
            self._files.refuse(path, str(error))
            return
        with self._files.lock, suppress(FileNotFoundError):
            self._files.place(spec, entry.tries, path)
            self._files.waiting.taken(os.path.dirname(path))
