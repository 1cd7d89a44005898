"""Accepting tasks durably: the only part of the queue that `submit` needs, so it imports little."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from conductor.domain.errors import BadTask, DuplicateTask
from conductor.domain.lines import format_task, seal
from conductor.domain.task import GENERATED_ID, TaskSpec, Tries, check_spec
from conductor.kit.durable import sync_directory, write_synced
from conductor.kit.ids import stamped_id
from conductor.queue.files import QueueFiles


def new_batch_name(now: float) -> str:
    return stamped_id("b", now)


def batch_text(specs: Sequence[TaskSpec]) -> bytes:
    """The content of a batch file: a sealed line a task."""
    return "".join(seal(format_task(spec)) for spec in specs).encode()


class Accepting:
    """Takes ids and tasks."""

    def __init__(self, files: QueueFiles) -> None:
        self._files = files
        self._layout = files.layout
        self._home = files.home

    def submit(self, spec: TaskSpec, *, fresh: bool = False) -> None:
        check_spec(spec)
        awaited = self._check_awaited([spec]) if spec.after else []
        temporary = f"{self._layout.tmp}/{spec.id}.{os.getpid()}"
        try:
            write_synced(temporary, seal(format_task(spec)).encode())
            with self._files.lock:
                self._check_not_cleaned(awaited)
                if not fresh:
                    self._reserve(spec.id)
                    sync_directory(self._home.tasks)  # first: after a power cut a queued task's id must not look free
                target = self._files.place(spec, Tries(), temporary, due_ms=spec.not_before_ms)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        self._files.sync(target)

    def submit_many(self, specs: Sequence[TaskSpec], *, fresh: Collection[str] = ()) -> None:
        if not specs:
            return
        for spec in specs:
            check_spec(spec)
        named = [spec.id for spec in specs if spec.id not in fresh]
        seen: set[str] = set()
        for task_id in named:
            if task_id in seen:
                raise DuplicateTask(task_id)
            seen.add(task_id)
        awaited = self._check_awaited(specs) if any(spec.after for spec in specs) else []
        name = new_batch_name(self._files.clock())
        temporary = f"{self._layout.tmp}/{name}.batch"
        try:
            write_synced(temporary, batch_text(specs))
            with self._files.lock:
                self._check_not_cleaned(awaited)
                self._reserve_all(named)
                if named:
                    sync_directory(self._home.tasks)
                os.rename(temporary, f"{self._layout.inbox}/{name}.batch")
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_directory(self._layout.inbox)

    def _check_awaited(self, specs: Sequence[TaskSpec]) -> list[str]:
        """Raises BadTask where one waits for a task that is neither here nor before it: so none waits in a circle.
        Returns those ids that have a folder."""
        from conductor.queue import listing

        known: set[str] = set()
        with_folder = []
        for spec in specs:
            for awaited in spec.after:
                if awaited not in known and os.path.isdir(self._home.task(awaited)):
                    with_folder.append(awaited)
                elif awaited not in known and listing.find(self._files, awaited) is None:
                    raise BadTask(f"task {spec.id} waits for {awaited!r}: there is no such task here before it")
                known.add(awaited)
            known.add(spec.id)
        return with_folder

    def _check_not_cleaned(self, awaited: list[str]) -> None:
        """The lock is held, so from here on no clean removes what waits for them."""
        for task_id in awaited:
            if not os.path.isdir(self._home.task(task_id)):
                raise BadTask(f"the task {task_id!r} was removed just now: it can't be waited for")

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

    def _reserve(self, task_id: str, *, for_inbox: bool = False) -> bool:
        """Takes an id by making its folder; False where a submit that was killed had made it. The lock is held."""
        try:
            os.mkdir(self._home.task(task_id), 0o700)
            made = True
        except FileExistsError:
            made = False
        if made and not GENERATED_ID.fullmatch(task_id):
            return True
        from conductor.queue import listing  # only where an id may be taken: a made-up one has no folder until it runs

        # Asked first: a file that is being taken in goes when its batch is there to be found.
        taken = not for_inbox and listing.inbox_of(self._files).is_taking_in(task_id)
        if taken or self._files.last_attempt(task_id) or listing.locate(self._files, task_id) is not None:
            if made:
                os.rmdir(self._home.task(task_id))
            raise DuplicateTask(task_id)
        return made

    def reserver(self) -> Callable[[str], bool]:
        """Takes ids for the lines of the inbox, one at a time; says False to those that are taken.

        The whole queue is looked through once, when the first id is found taken, not once for each.
        """
        queued: set[str] = set()

        def reserve(task_id: str) -> bool:
            if os.path.isdir(self._home.task(task_id)) and not queued:
                from conductor.queue import listing

                queued.update(listing.queued_ids(self._files), ("",))
            return task_id not in queued and self._try_reserve(task_id)

        return reserve

    def _try_reserve(self, task_id: str) -> bool:
        with self._files.lock:
            try:
                self._reserve(task_id, for_inbox=True)
            except DuplicateTask:
                return False
        return True
