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
from conductor.queue import listing
from conductor.queue.accepting import new_batch_name
from conductor.queue.files import QueueFiles
from conductor.queue.inbox import Batch, lines_of
from conductor.queue.names import parse_ordered

_LINES_AT_ONCE = 8
_LINES_A_CHECKPOINT = 128
_PROMOTED_AT_ONCE = 64


class Unpacker:
    """Holds the lines of the batch that it is in the middle of, so that each is read once."""

    def __init__(self, files: QueueFiles) -> None:
        self._files = files
        self._inbox = listing.inbox_of(files)
        self._name = ""
        self._lines: list[bytes] = []
        self._placed_before: frozenset[str] = frozenset()
        self._done = 0
        self._unsynced: set[str] = set()

    def tend(self, default_agent: str, reserve: Callable[[str], bool]) -> Tended:
        """One bounded round of housekeeping."""
        refused = self._inbox.take_in(lambda: new_batch_name(self._files.clock()), default_agent, reserve)
        batches = self._inbox.batches()
        accepted = self._unpack(batches[0], refused) if batches else 0
        promoted = self._promote()
        more = len(batches) > 1 or bool(self._name) or promoted == _PROMOTED_AT_ONCE
        return Tended(accepted, promoted, tuple(refused), more, self._files.waiting.next_due_ms())

    def _unpack(self, batch: Batch, refused: list[str]) -> int:
        """Places the next few lines of `batch`; returns how many were placed.

        The batch's name says from time to time how far it is; after a crash what was placed since is found by a scan.
        """
        if batch.name != self._name:
            batch = self._open(batch)
            self._done = batch.done
        try:
            lines = self._lines[self._done : self._done + _LINES_AT_ONCE]
            placed = self._place_all(self._read(lines, batch, refused))
            self._done += len(lines)
            self._unsynced.update(os.path.dirname(path) for path in placed)
            if self._done >= len(self._lines) or self._done - batch.done >= _LINES_A_CHECKPOINT:
                self._checkpoint(batch)
        except BaseException:
            self._name = ""  # some of these lines may be placed: open the batch anew, which looks
            raise
        return len(placed)

    def _checkpoint(self, batch: Batch) -> None:
        """What was placed is durable, then the batch's name says so, or the batch goes."""
        for folder in self._unsynced:
            self._files.sync(f"{folder}/.")
        sync_directory(self._files.layout.claimed)  # some may have been claimed a moment ago
        self._unsynced = set()
        if self._done < len(self._lines):
            os.rename(batch.path, batch.path_after(self._done))
            return
        os.unlink(batch.path)
        sync_directory(self._files.layout.inbox)
        self._name = ""

    def _open(self, batch: Batch) -> Batch:
        self._lines = lines_of(read_bytes(batch.path))
        self._name, self._unsynced = batch.name, set()
        if batch.touched:  # an earlier process was in the middle: its last few lines may lie in ready/ already
            self._placed_before = self._known(self._lines[batch.done :])
            return batch
        self._placed_before = frozenset()
        started = Batch(batch.name, batch.path_after(0), 0, touched=True)
        os.rename(batch.path, started.path)
        sync_directory(self._files.layout.inbox)
        return started

    def _known(self, lines: list[bytes]) -> frozenset[str]:
        """Ids among `lines` that have a file in some state, or an attempt behind them.

        Whoever placed them may have died before it synced their folders: the next checkpoint does.
        """
        ids = {line.split(b"|", 1)[0].decode("utf-8", "replace") for line in lines}
        found = set()
        for shelf in (self._files.ready, self._files.waiting, self._files.after):
            for path, entry in shelf.walk():
                if entry.task_id in ids:
                    found.add(entry.task_id)
                    self._unsynced.add(os.path.dirname(path))
        for folder in (self._files.layout.claimed, self._files.layout.finishing):
            found |= {entry.task_id for _, entry in self._files.owned_entries(folder)}
        found |= {name.partition("~")[0] for name in os.listdir(self._files.layout.dead)}
        return frozenset(task_id for task_id in ids if task_id in found or self._files.last_attempt(task_id))

    def _read(self, lines: list[bytes], batch: Batch, refused: list[str]) -> list[tuple[TaskSpec, str]]:
        """Each new task with its durable file in tmp/; what can't be read goes to corrupt/."""
        found = []
        for line in lines:
            try:
                spec = parse_task(unseal(line.decode() + "\n"))
            except (BadTask, UnicodeDecodeError) as error:
                self._refuse(line, batch, str(error))
                refused.append(str(error))
                continue
            if spec.id not in self._placed_before:
                temporary = f"{self._files.layout.tmp}/{spec.id}.{os.getpid()}"
                write_synced(temporary, line + b"\n")
                found.append((spec, temporary))
        return found

    def _place_all(self, read: list[tuple[TaskSpec, str]]) -> list[str]:
        """Renames them into ready/ or waiting/ under one lock, looking for the end of each shelf once."""
        placed = []
        ends: dict[tuple[str, int], int] = {}
        with self._files.lock:
            for spec, temporary in read:
                if spec.not_before_ms or spec.after:
                    placed.append(self._files.place(spec, Tries(), temporary, due_ms=spec.not_before_ms))
                    continue
                shelf = (spec.pool, spec.priority)
                ends[shelf] = ends[shelf] + 1 if shelf in ends else self._files.ready.edge(*shelf)
                target = self._files.ready.place_at(ends[shelf], *shelf, spec.id, Tries())
                os.rename(temporary, target)
                placed.append(target)
        return placed

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
            if entry is None:
                raise BadTask(f"{os.path.basename(path)!r} in waiting/ is no name of a task")
            spec: TaskSpec = self._files.read_task(path)
        except FileNotFoundError:
            return  # cancelled meanwhile
        except BadTask as error:
            self._files.refuse(path, str(error))
            return
        with self._files.lock, suppress(FileNotFoundError):
            self._files.place(spec, entry.tries, path)
            self._files.waiting.taken(os.path.dirname(path))
