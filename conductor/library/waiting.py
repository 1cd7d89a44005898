"""Waiting for tasks: until each has ended, the time is up, or nobody is there who would end them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from conductor.app import daemon_runs, patient_queue
from conductor.domain.errors import DaemonNotRunning, NoSuchTask, NotEndedInTime
from conductor.domain.home import Home
from conductor.domain.outcome import Status
from conductor.domain.view import Ended, view_id
from conductor.library.result import Result, result_of
from conductor.library.result_lines import ResultLines
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout

_LOOK_SECONDS = 5.0
_DAEMON_CHECK_SECONDS = 1.0
_RECORDING_SECONDS = 0.05
_FEW = 8
"""So many are sought one by one; of more the whole queue is read once."""


class Waiting:
    """One wait for several tasks. A line of results.txt says where to look; what is true is what the queue says."""

    def __init__(self, layout: Layout, task_ids: Iterable[str], timeout: float | None, daemon_patience: float) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        self._home = layout.home
        self._queue = patient_queue(layout)
        self._pending = dict.fromkeys(task_ids)
        self._patience = _Patience(layout.home, daemon_patience, deadline)
        self._over: set[str] = set()
        """Those of which it was told that they have ended."""

    def results(self) -> Iterator[Result]:
        lines = ResultLines(self._home.results)  # first: what ends after the look below is told here
        try:
            next_look = 0.0
            while self._pending:
                if time.monotonic() >= next_look:
                    self._over.update(self._ended_among(list(self._pending)))
                    next_look = time.monotonic() + _LOOK_SECONDS
                yield from self._settled()
                if self._pending:
                    self._wait(lines, next_look)
        finally:
            lines.close()

    def _wait(self, lines: ResultLines, next_look: float) -> None:
        seconds = min(next_look - time.monotonic(), self._patience.left(self._pending))
        lines.wait(min(seconds, _RECORDING_SECONDS) if self._over else seconds)
        told = {line.task_id for line in lines.take() if line.status is not Status.RETRY}
        self._over.update(told & self._pending.keys())

    def _settled(self) -> Iterator[Result]:
        """Of those that are over. A line stands before its task has left the queue: it is not over before that."""
        if not self._over:
            return
        recording = {task_id: attempt for task_id, attempt, _ in self._queue.owned()}
        for task_id in list(self._over):
            ended = self._queue.ended(task_id)
            attempt = ended.record["attempt"] if ended is not None else 0
            if recording.get(task_id, 0) == attempt:
                continue
            self._over.discard(task_id)
            if ended is not None and ended.status is not Status.RETRY:
                del self._pending[task_id]
                yield result_of(self._home, ended)

    def _ended_among(self, task_ids: list[str]) -> list[str]:
        """Raises NoSuchTask: a task whose file was damaged goes to corrupt/ without a line, nothing would end it."""
        are_many = len(task_ids) > _FEW
        alive = _alive(self._queue) if are_many else frozenset[str]()
        return [one for one in task_ids if one not in alive and self._has_ended(one, sought=are_many)]

    def _has_ended(self, task_id: str, *, sought: bool) -> bool:
        """`sought`: the whole queue was read just now, and it was not in it."""
        ended = self._queue.ended(task_id) if sought else None
        if ended is not None and ended.status is not Status.RETRY:
            return True
        view = self._queue.find(task_id)
        if view is None:
            raise NoSuchTask(task_id)
        return isinstance(view, Ended)


def _alive(queue: DirectoryQueue) -> frozenset[str]:
    return frozenset(view_id(view) for view in queue.tasks() if not isinstance(view, Ended))


class _Patience:
    """For how long one waits on: until the deadline; without one, until conductord was away for too long."""

    def __init__(self, home: Home, daemon_patience: float, deadline: float | None) -> None:
        self._home = home
        self._most = daemon_patience
        self._deadline = deadline
        self._away_since: float | None = None
        self._next_check = 0.0

    def left(self, pending: Mapping[str, None]) -> float:
        """Seconds until this is to be asked again. Raises NotEndedInTime, DaemonNotRunning when it is at its end."""
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            raise NotEndedInTime(
                f"{_some(pending)}: not ended in time; `conductor why {next(iter(pending))}` says what it waits for"
            )
        if now >= self._next_check:
            self._away_since = None if daemon_runs(self._home) else self._away_since or now
            self._next_check = now + _DAEMON_CHECK_SECONDS
        if self._deadline is None and self._away_since is not None and now - self._away_since >= self._most:
            raise DaemonNotRunning(
                f"{_some(pending)}: not ended, and no conductord runs on {self._home.path}: start one with `conductord`"
            )
        return min(self._next_check - now, (self._deadline or float("inf")) - now)


def _some(pending: Mapping[str, None]) -> str:
    first, *others = pending
    return f"{first} and {len(others)} other{'s' if len(others) > 1 else ''}" if others else first
