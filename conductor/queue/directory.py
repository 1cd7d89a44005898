"""DirectoryQueue: the TaskQueue port on plain files. DESIGN's steps for submit, claim and finish are here, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from conductor.domain.errors import BadTask, DuplicateTask, Fenced, NoSuchTask, UsageError
from conductor.domain.lines import format_task, seal
from conductor.domain.masking import masked_spec
from conductor.domain.outcome import Outcome, Status, TaskResult, cancelled
from conductor.domain.retry import Verdict, after_attempt
from conductor.domain.task import GENERATED_ID, Claim, TaskSpec, Tries, check_spec
from conductor.domain.view import Counts, Ended, Queued, Recovered, Running, TaskView, Tended, Waiting
from conductor.kit.durable import sync_directory, write_all, write_plain, write_synced
from conductor.queue import listing, recovery, unpacking
from conductor.queue.files import QueueFiles, Surroundings
from conductor.queue.inbox import batch_text
from conductor.queue.layout import Layout
from conductor.queue.names import owned_name, parse_ordered
from conductor.queue.records import make_record, write_record


class DirectoryQueue:
    """One process's handle on the queue directory. Holds no state of its own but a half unpacked batch."""

    def __init__(self, layout: Layout, surroundings: Surroundings) -> None:
        self._files = QueueFiles(layout, surroundings)
        self._layout = layout
        self._home = layout.home
        self._unpacker = unpacking.Unpacker(self._files)

    # -- accepting

    def submit(self, spec: TaskSpec) -> None:
        check_spec(spec)
        generated = bool(GENERATED_ID.fullmatch(spec.id))
        temporary = f"{self._layout.tmp}/{spec.id}.{os.getpid()}"
        try:
            write_synced(temporary, seal(format_task(spec)).encode())
            with self._files.lock:
                if not generated:
                    self._reserve(spec.id)
                target = self._files.place(spec, Tries(), temporary, due_ms=spec.not_before_ms)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        self._files.sync(target)
        if not generated:
            sync_directory(self._home.tasks)

    def submit_many(self, specs: Sequence[TaskSpec]) -> None:
        if not specs:
            return
        for spec in specs:
            check_spec(spec)
        named = [spec.id for spec in specs if not GENERATED_ID.fullmatch(spec.id)]
        seen: set[str] = set()
        for task_id in named:
            if task_id in seen:
                raise DuplicateTask(task_id)
            seen.add(task_id)
        name = unpacking.new_batch_name(self._files.clock())
        temporary = f"{self._layout.tmp}/{name}.batch"
        try:
            write_synced(temporary, batch_text(list(specs)))
            with self._files.lock:
                self._reserve_all(named)
                os.rename(temporary, f"{self._layout.inbox}/{name}.batch")
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_directory(self._layout.inbox)
        if named:
            sync_directory(self._home.tasks)

    def _reserve_all(self, task_ids: list[str]) -> None:
        """Takes all ids or none: a refused batch leaves no trace."""
        made = []
        try:
            for task_id in task_ids:
                if self._reserve(task_id):
                    made.append(task_id)  # noqa: PERF401 - what was made must be known when one is refused
        except BaseException:
            for task_id in made:
                with suppress(OSError):
                    os.rmdir(self._home.task(task_id))
            raise

    def _reserve(self, task_id: str) -> bool:
        """Takes an id by making its folder; False where a submit that was killed had made it. The lock is held."""
        try:
            os.mkdir(self._home.task(task_id), 0o700)
            return True
        except FileExistsError:
            if self._files.last_attempt(task_id) or listing.locate(self._files, task_id) is not None:
                raise DuplicateTask(task_id) from None
            return False

    def tend(self, default_agent: str) -> Tended:
        return self._unpacker.tend(default_agent, self._try_reserve)

    def _try_reserve(self, task_id: str) -> bool:
        with self._files.lock:
            try:
                self._reserve(task_id)
            except DuplicateTask:
                return False
        return True

    # -- running

    def claim(self, pool: str, worker_id: str) -> Claim | None:
        while True:
            taken = self._take_first(pool, worker_id)
            if taken is None:
                return None
            claim = self._open_claim(*taken, worker_id)
            if claim is not None:
                return claim

    def _take_first(self, pool: str, worker_id: str) -> tuple[str, Tries, str] | None:
        """Renames the first name of the pool into claimed/: (task id, tries, path there)."""
        with self._files.lock:
            while True:
                if os.path.exists(self._layout.paused):
                    return None
                first = self._files.ready.first(pool)
                if first is None:
                    return None
                entry = parse_ordered(first.name)
                if entry is not None:
                    break
                self._files.refuse(f"{first.path}/{first.name}", f"{first.name!r} in ready/ is no name of a task")
            tries = entry.tries.next_attempt()
            path = self._files.owned_path(self._layout.claimed, entry.task_id, tries, worker_id)
            os.rename(f"{first.path}/{first.name}", path)
            self._files.ready.taken(first)
        sync_directory(self._layout.claimed)  # before the agent starts: a task that kills the machine must count
        return entry.task_id, tries, path

    def _open_claim(self, task_id: str, tries: Tries, path: str, worker_id: str) -> Claim | None:
        """Reads the task and lays out its attempt; None when it could not be read and went to corrupt/."""
        try:
            spec = self._files.read_task(path)
            if spec.id != task_id:
                raise BadTask(f"the file is named for {task_id!r} and holds {spec.id!r}")
        except BadTask as error:
            self._files.refuse(path, str(error))
            return None
        claim = Claim(spec, tries, worker_id, self._home.attempt(task_id, tries.started))
        try:
            self._lay_out(claim)
        except OSError:
            with suppress(OSError, Fenced):
                self.give_back(claim)
            raise
        return claim

    def _lay_out(self, claim: Claim) -> None:
        for folder in (self._home.task(claim.spec.id), claim.directory):
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)
        write_plain(f"{claim.directory}/TASK.txt", format_task(masked_spec(claim.spec)).encode() + b"\n")
        link = f"{self._home.task(claim.spec.id)}/latest"
        if claim.attempt == 1:
            with suppress(FileExistsError):
                os.symlink("1", link)
            return
        with suppress(FileNotFoundError):
            os.unlink(f"{link}.{claim.attempt}")
        os.symlink(str(claim.attempt), f"{link}.{claim.attempt}")
        os.rename(f"{link}.{claim.attempt}", link)

    def finish(self, claim: Claim, result: TaskResult) -> Verdict:
        was_cancelled = self._files.is_cancelled(claim.spec.id)
        while True:
            verdict, record = self._judge(claim, cancelled(result) if was_cancelled else result)
            name = owned_name(claim.spec.id, claim.tries, claim.worker_id)
            self._check_owned(name, claim)
            write_record(claim.directory, self._home.tasks, record)
            with self._files.lock:
                if not was_cancelled and self._files.is_cancelled(claim.spec.id):
                    was_cancelled = True
                    continue
                appended = self._to_finishing(name, claim)
                if appended:
                    self._files.results.append(record["line"].encode())
            break
        if appended:
            self._files.results.sync()
            self._files.settle(name, record)
        else:
            self._files.complete(name, record)
        return verdict

    def _judge(self, claim: Claim, result: TaskResult) -> tuple[Verdict, dict[str, Any]]:
        policy = self._files.policy
        retries = policy.retries if claim.spec.retries is None else claim.spec.retries
        now_ms = self._files.now_ms()
        verdict = after_attempt(result.outcome, claim.tries, retries, policy, now_ms, self._files.chance())
        return verdict, make_record(claim, result, verdict, self._files.results.size())

    def _check_owned(self, name: str, claim: Claim) -> None:
        if not any(os.path.exists(f"{folder}/{name}") for folder in (self._layout.claimed, self._layout.finishing)):
            raise Fenced(f"attempt {claim.attempt} of {claim.spec.id} is not {claim.worker_id}'s any more")

    def _to_finishing(self, name: str, claim: Claim) -> bool:
        """Renames the claim; False when an earlier try at the same finish had got that far already."""
        try:
            os.rename(f"{self._layout.claimed}/{name}", f"{self._layout.finishing}/{name}")
            return True
        except FileNotFoundError:
            self._check_owned(name, claim)
            return False

    def give_back(self, claim: Claim) -> None:
        path = self._files.owned_path(self._layout.claimed, claim.spec.id, claim.tries, claim.worker_id)
        try:
            with self._files.lock:
                target = self._files.place(claim.spec, claim.tries.refund(), path, at_head=True)
        except FileNotFoundError:
            raise Fenced(f"attempt {claim.attempt} of {claim.spec.id} is not {claim.worker_id}'s any more") from None
        self._files.sync(target)

    def recover(self, owner_lives: Callable[[str], bool]) -> list[Recovered]:
        return recovery.recover(self._files, owner_lives, self.finish)

    def owned(self) -> list[tuple[str, int, str]]:
        folders = (self._layout.claimed, self._layout.finishing)
        entries = [entry for folder in folders for _, entry in self._files.owned_entries(folder)]
        return [(entry.task_id, entry.tries.started, entry.owner) for entry in entries]

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
        for folder in (self._home.task(task_id), self._home.tasks):
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
            with suppress(FileNotFoundError):
                os.unlink(self._layout.cancel_mark(task_id))
            found = listing.locate(self._files, task_id)
            if found is not None and not found.is_dead:
                raise UsageError(f"task {task_id} is queued already")
            if found is None:
                raise NoSuchTask(task_id)
            spec = self._files.read_task(found.path)
            target = self._files.place(spec, found.entry.tries.forgiven(), found.path)
        self._files.sync(target)

    # -- looking

    def find(self, task_id: str) -> TaskView | None:
        return listing.find(self._files, task_id)

    def ended(self, task_id: str) -> Ended | None:
        """What the last attempt of a task left that is in no folder of the queue any more."""
        return listing.ended(self._files, task_id, can_retry=False)

    def tasks(self) -> Iterator[TaskView]:
        return listing.tasks(self._files)

    def counts(self) -> Counts:
        return listing.counts(self._files)

    def has_ready(self, pool: str) -> bool:
        return self._files.ready.first(pool) is not None

    # -- holding

    def pause(self) -> None:
        with self._files.lock:
            descriptor = os.open(self._layout.paused, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                write_all(descriptor, b"")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(self._home.queue)

    def resume(self) -> None:
        with self._files.lock, suppress(FileNotFoundError):
            os.unlink(self._layout.paused)
        sync_directory(self._home.queue)

    def paused(self) -> bool:
        return os.path.exists(self._layout.paused)
