"""The queue as programs use it: tasks submitted, waited for, looked at, changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from conductor.app import accepting_queue, patient_queue, ring_doorbell
from conductor.app.submitting import Defaults, described, new_task_id
from conductor.domain.errors import DuplicateTask, NoSuchTask
from conductor.domain.lines import ResultLine
from conductor.domain.task import TaskSpec
from conductor.domain.view import Ended, TaskView
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity
from conductor.library.options import TaskOptions, spec_of
from conductor.library.result import Result, result_of
from conductor.library.result_lines import ResultLines
from conductor.library.waiting import Waiting
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout
from conductor.settings.source import raw_settings


@dataclass(frozen=True, slots=True)
class TaskHandle:
    """One task that was accepted. Two handles are equal when they are of the same task."""

    id: str
    _tasks: Tasks = field(repr=False, compare=False)

    def wait(self, timeout: float | None = None) -> Result:
        """How it ended, once it has. Raises NotEndedInTime after `timeout` seconds, DaemonNotRunning where there is
        no timeout and nobody would ever end it, NoSuchTask when it is gone."""
        (result,) = self._tasks.as_ended([self.id], timeout)
        return result

    def result(self) -> Result | None:
        """How it ended; None while it has not. Does not wait."""
        return self._tasks.result(self.id)

    def view(self) -> TaskView:
        """Where it stands: Queued, Waiting, Running or Ended. Raises NoSuchTask."""
        return self._tasks.view(self.id)

    def cancel(self) -> bool:
        return self._tasks.cancel(self.id)

    def retry(self) -> None:
        self._tasks.retry(self.id)


class Tasks:
    """A home's tasks. Threads may share it: it keeps nothing between two calls but the home."""

    def __init__(self, layout: Layout, daemon_patience: float) -> None:
        """`daemon_patience`: for how many seconds a conductord that is waited for may be away."""
        self._layout = layout
        self._daemon_patience = daemon_patience
        self._accepting = threading.Lock()

    def handle(self, task_id: str) -> TaskHandle:
        return TaskHandle(task_id, self)

    # -- submitting

    def submit(self, description: str, task_id: str, options: TaskOptions, *, if_absent: bool) -> TaskHandle:
        spec = spec_of(described(description), options, self._defaults(), task_id or new_task_id())
        try:
            with self._accepting:  # two threads with one id would share a temporary file
                accepting_queue(self._layout).submit(spec, fresh=not task_id)
        except DuplicateTask:
            if not if_absent:
                raise
        else:
            ring_doorbell(self._layout.home, tasks=1, submitted=spec.id)
        return self.handle(spec.id)

    def submit_many(self, asked: Iterable[str | TaskSpec], options: TaskOptions) -> list[TaskHandle]:
        """All or, when one is refused, none."""
        defaults, specs, fresh = self._defaults(), [], set()
        for one in asked:
            plain = described(one) if isinstance(one, str) else one
            task_id = plain.id or new_task_id()
            if not plain.id:
                fresh.add(task_id)
            specs.append(spec_of(plain, options, defaults, task_id))
        with self._accepting:
            accepting_queue(self._layout).submit_many(specs, fresh=fresh)
        if specs:
            ring_doorbell(self._layout.home, tasks=len(specs))
        return [self.handle(spec.id) for spec in specs]

    def _defaults(self) -> Defaults:
        return Defaults.of(self._layout.home, raw_settings(self._layout.home, os.environ))

    # -- changing one's mind

    def cancel(self, task_id: str) -> bool:
        answer = self._queue().cancel(task_id, worker_id("lib", own_identity()))
        if answer == "stopping":
            ring_doorbell(self._layout.home, cancelled=task_id)
        return answer != "ended"

    def retry(self, task_id: str) -> None:
        self._queue().retry(task_id)
        ring_doorbell(self._layout.home, tasks=1)

    # -- looking

    def find(self, task_id: str) -> TaskView | None:
        return self._queue().find(task_id)

    def view(self, task_id: str) -> TaskView:
        found = self.find(task_id)
        if found is None:
            raise NoSuchTask(task_id)
        return found

    def result(self, task_id: str) -> Result | None:
        view = self.view(task_id)
        return result_of(self._layout.home, view) if isinstance(view, Ended) else None

    def unfinished(self) -> Iterator[TaskView]:
        return (view for view in self._queue().tasks() if not isinstance(view, Ended))

    def results(self, *, follow: bool, new_only: bool, timeout: float | None) -> Iterator[ResultLine]:
        """Begins to listen at once, not when the first line is asked for."""
        lines = ResultLines(self._layout.home.results, None if new_only else 0)
        return _told(lines, time.monotonic() + timeout if timeout is not None else None, follow=follow)

    # -- waiting

    def as_ended(self, task_ids: Sequence[str], timeout: float | None) -> Iterator[Result]:
        """Each task's result as it ends, those that have ended already first."""
        return Waiting(self._layout, task_ids, timeout, self._daemon_patience).results()

    def _queue(self) -> DirectoryQueue:
        return patient_queue(self._layout)


def _left(deadline: float | None) -> float:
    return float("inf") if deadline is None else deadline - time.monotonic()


def _told(lines: ResultLines, deadline: float | None, *, follow: bool) -> Iterator[ResultLine]:
    try:
        while True:
            yield from lines.take()
            left = _left(deadline)
            if not follow or left <= 0:
                return
            lines.wait(left)
    finally:
        lines.close()
