"""DirectoryQueue: the TaskQueue port on plain files. Its parts put together, and changes of mind."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress

from conductor.domain.errors import BadTask, NoSuchTask, UsageError
from conductor.domain.outcome import Outcome, Status, TaskResult
from conductor.domain.retry import RetryPolicy, Verdict
from conductor.domain.task import Claim, TaskSpec
from conductor.domain.view import Counts, Ended, Queued, Recovered, Running, TaskView, Tended, Waiting
from conductor.kit.durable import sync_directory, write_synced
from conductor.ports import Doorkeeper
from conductor.queue import listing, recovery, unpacking
from conductor.queue.accepting import Accepting
from conductor.queue.attempts import Attempts
from conductor.queue.depending import Dependents
from conductor.queue.files import QueueFiles, Surroundings
from conductor.queue.layout import Layout


class DirectoryQueue:
    """One process's handle on the queue directory. Holds no state of its own but a half unpacked batch."""

    def __init__(self, layout: Layout, surroundings: Surroundings) -> None:
        self._files = QueueFiles(layout, surroundings)
        self._layout = layout
        self._home = layout.home
        self._accepting = Accepting(self._files)
        self._attempts = Attempts(self._files, surroundings.policy)
        self._unpacker = unpacking.Unpacker(self._files)
        self._dependents = Dependents(self._files, self._attempts)

    def use_policy(self, policy: RetryPolicy, doorkeeper: Doorkeeper | None = None) -> None:
        """From now on: after a reload."""
        self._attempts.policy = policy
        self._files.doorkeeper = doorkeeper

    def submit(self, spec: TaskSpec, *, fresh: bool = False) -> None:
        self._accepting.submit(spec, fresh=fresh)

    def submit_many(self, specs: Sequence[TaskSpec], *, fresh: Collection[str] = ()) -> None:
        self._accepting.submit_many(specs, fresh=fresh)

    def claim(self, pool: str, worker_id: str) -> Claim | None:
        return self._attempts.claim(pool, worker_id)

    def finish(self, claim: Claim, result: TaskResult) -> Verdict:
        return self._attempts.finish(claim, result)

    def give_back(self, claim: Claim) -> None:
        self._attempts.give_back(claim)

    def tend(self, default_agent: str) -> Tended:
        return self._dependents.move_on(self._unpacker.tend(default_agent, self._accepting.reserver()))

    def recover(self, owner_lives: Callable[[str], bool]) -> list[Recovered]:
        recovered = recovery.recover(self._files, self._attempts, owner_lives)
        self._dependents.recheck()
        return recovered

    def owned(self) -> list[tuple[str, int, str]]:
        folders = (self._layout.claimed, self._layout.finishing)
        entries = [entry for folder in folders for _, entry in self._files.owned_entries(folder)]
        return [(entry.task_id, entry.tries.started, entry.owner) for entry in entries]

    def rotate_results(self, largest: int, keep: int, told: int) -> bool:
        """See Attempts; `told`: the position up to which somebody who has to tell them all has read."""
        return self._attempts.rotate_results(largest, keep, told)

    # -- changing one's mind

    def cancel(self, task_id: str, worker_id: str) -> str:
        with self._files.lock:
            view = self.find(task_id)
            if view is None:
                raise NoSuchTask(task_id)
            if isinstance(view, Ended) or (isinstance(view, Running) and view.recording):
                return "ended"
            os.makedirs(self._home.task(task_id), mode=0o700, exist_ok=True)
            write_synced(self._layout.cancel_mark(task_id), b"")
            claim = self._take(task_id, worker_id) if isinstance(view, Queued | Waiting) else None
        for folder in (self._home.task(task_id), self._home.tasks, self._layout.claimed):
            sync_directory(folder)
        if claim is not None:
            now = self._files.clock()
            self.finish(claim, TaskResult(Outcome.CANCELLED, "cancelled before it ran", "cancelled", now, now))
            return "cancelled"
        return "stopping" if isinstance(view, Running) else "cancelled"

    def _take(self, task_id: str, worker_id: str) -> Claim | None:
        """Claims that very task for a command. None when it still lies in a batch: its mark will meet it."""
        found = listing.locate(self._files, task_id)
        if found is None or found.batch:
            return None
        tries = found.entry.tries.next_attempt()
        os.rename(found.path, self._files.owned_path(self._layout.claimed, task_id, tries, worker_id))
        path = self._files.owned_path(self._layout.claimed, task_id, tries, worker_id)
        return Claim(self._files.read_task(path), tries, worker_id, self._home.attempt(task_id, tries.started))

    def cancel_requested(self, claim: Claim) -> bool:
        return self._files.is_cancelled(claim.spec.id)

    def retry(self, task_id: str) -> None:
        view = self.find(task_id)
        if view is None:
            raise NoSuchTask(task_id)
        if not isinstance(view, Ended):
            raise UsageError(f"task {task_id} has not ended: `conductor show {task_id}` tells its state")
        if view.status is Status.SUCCESS:
            raise UsageError(f"task {task_id} ended well: submit it again to run it again")
        with self._files.lock:
            found = listing.locate(self._files, task_id)
            if found is not None and not found.is_dead:
                raise UsageError(f"task {task_id} is queued already")
            if found is None:
                raise NoSuchTask(task_id)
            try:
                spec = self._files.read_task(found.path)
            except BadTask as error:
                raise UsageError(f"task {task_id} can't run again: its file {found.path} is damaged: {error}") from None
            with suppress(FileNotFoundError):
                os.unlink(self._layout.cancel_mark(task_id))
            target = self._files.place(spec, found.entry.tries.forgiven(), found.path)
        self._files.sync(target)
        sync_directory(self._home.task(task_id))  # a mark that came back would cancel the new attempt

    # -- looking

    def find(self, task_id: str) -> TaskView | None:
        return listing.find(self._files, task_id)

    def ended(self, task_id: str) -> Ended | None:
        """What the last attempt of a task left, read without looking through the queue: right where that ended it."""
        return listing.last_end(self._files, task_id)

    def tasks(self, kinds: Collection[type] = (), beginning: str = "") -> Iterator[TaskView]:
        return listing.tasks(self._files, kinds, beginning)

    def counts(self) -> Counts:
        return listing.counts(self._files)

    def has_ready(self, pool: str) -> bool:
        return self._files.ready.first(pool, self._files.open_lanes(pool)) is not None

    def has_due(self) -> bool:
        return self._files.after.has_due()

    # -- holding

    def pause(self) -> None:
        with self._files.lock:
            write_synced(self._layout.paused, b"")
        sync_directory(self._home.queue)

    def resume(self) -> None:
        with self._files.lock, suppress(FileNotFoundError):
            os.unlink(self._layout.paused)
        sync_directory(self._home.queue)

    def paused(self) -> bool:
        return os.path.exists(self._layout.paused)

    def mark_full(self, reason: str) -> None:
        with self._files.lock:
            with suppress(FileNotFoundError):
                os.unlink(self._layout.full)
            if reason:  # a link: a short one takes no block of a disk that has none left
                os.symlink(reason, self._layout.full)
        sync_directory(self._home.queue)

    def full(self) -> str:
        try:
            return os.readlink(self._layout.full)
        except FileNotFoundError:
            return ""
