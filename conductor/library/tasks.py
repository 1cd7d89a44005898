"""The queue as programs use it: tasks submitted, waited for, looked at, changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from conductor.app import accepting_queue, daemon_runs, patient_queue, ring_doorbell
from conductor.app.submitting import Defaults, described, new_task_id
from conductor.domain.errors import DaemonNotRunning, DuplicateTask, NoSuchTask, NotEndedInTime
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine
from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec
from conductor.domain.view import Ended, TaskView, view_id
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity
from conductor.library.options import TaskOptions, spec_of
from conductor.library.result import Result, result_of
from conductor.library.result_lines import ResultLines
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout
from conductor.settings.source import raw_settings

_LOOK_SECONDS = 5.0
_DAEMON_CHECK_SECONDS = 1.0
_FEW = 8
"""So many are sought one by one; of more the whole queue is read once."""


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
        deadline = None if timeout is None else time.monotonic() + timeout
        pending = dict.fromkeys(task_ids)
        lines = ResultLines(self._layout.home.results)  # first: what ends after the look below is told here
        try:
            ended: list[str] = []
            patience, next_look = _Patience(self._layout.home, self._daemon_patience, deadline), 0.0
            while pending:
                if time.monotonic() >= next_look:
                    ended, next_look = self._ended_among(pending), time.monotonic() + _LOOK_SECONDS
                for result in self._results_of(ended):
                    del pending[result.task_id]
                    yield result
                if pending:
                    lines.wait(min(next_look - time.monotonic(), patience.left(list(pending))))
                    over = {line.task_id for line in lines.take() if line.status is not Status.RETRY}
                    ended = [task_id for task_id in pending if task_id in over]
        finally:
            lines.close()

    def _results_of(self, task_ids: list[str]) -> Iterator[Result]:
        """Of those that have not been tried anew meanwhile."""
        for task_id in task_ids:
            ended = self._queue().ended(task_id)
            if ended is not None and ended.status is not Status.RETRY:
                yield result_of(self._layout.home, ended)

    def _ended_among(self, task_ids: Iterable[str]) -> list[str]:
        """Raises NoSuchTask: a task whose file was damaged goes to corrupt/ without a line, nothing would end it."""
        wanted, queue = list(task_ids), self._queue()
        are_many = len(wanted) > _FEW
        alive = _alive(queue) if are_many else frozenset[str]()
        return [one for one in wanted if one not in alive and self._has_ended(queue, one, sought=are_many)]

    def _has_ended(self, queue: DirectoryQueue, task_id: str, *, sought: bool) -> bool:
        """`sought`: the whole queue was read just now, and it was not in it."""
        ended = queue.ended(task_id) if sought else None
        if ended is not None and ended.status is not Status.RETRY:
            return True
        view = queue.find(task_id)
        if view is None:
            raise NoSuchTask(task_id)
        return isinstance(view, Ended)

    def _queue(self) -> DirectoryQueue:
        return patient_queue(self._layout)


class _Patience:
    """For how long one waits on: until the deadline; without one, until conductord was away for too long."""

    def __init__(self, home: Home, daemon_patience: float, deadline: float | None) -> None:
        self._home = home
        self._most = daemon_patience
        self._deadline = deadline
        self._away_since: float | None = None
        self._next_check = 0.0

    def left(self, pending: Sequence[str]) -> float:
        """Seconds until this is to be asked again. Raises NotEndedInTime, DaemonNotRunning when it is at its end."""
        some = ", ".join(pending[:3]) + (", ..." if len(pending) > 3 else "")
        now = time.monotonic()
        if _left(self._deadline) <= 0:
            raise NotEndedInTime(f"{some}: not ended in time; `conductor why {pending[0]}` says what it waits for")
        if now >= self._next_check:
            self._away_since = None if daemon_runs(self._home) else self._away_since or now
            self._next_check = now + _DAEMON_CHECK_SECONDS
        if self._deadline is None and self._away_since is not None and now - self._away_since >= self._most:
            raise DaemonNotRunning(
                f"{some}: not ended, and no conductord runs on {self._home.path}: start one with `conductord`"
            )
        return min(_left(self._deadline), self._next_check - now)


def _alive(queue: DirectoryQueue) -> frozenset[str]:
    return frozenset(view_id(view) for view in queue.tasks() if not isinstance(view, Ended))


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
