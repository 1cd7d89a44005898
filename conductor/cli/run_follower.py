"""Looks at one run as the store, the queue and conductord tell of it: Snapshots, as cheaply as they can be had."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from conductor.app import daemon_runs, make_doors, patient_queue
from conductor.cli.snapshot import Snapshot, TaskLook
from conductor.domain.durations import format_duration
from conductor.domain.errors import NoSuchRun
from conductor.domain.run import Activity, Delegation, DelegationState
from conductor.domain.task import TaskSpec
from conductor.domain.view import Ended, Queued, Running, TaskView, Waiting

if TYPE_CHECKING:
    from conductor.limits.doorkeeper import Doors
    from conductor.ports.orchestration import Store
    from conductor.queue.layout import Layout
    from conductor.settings.model import Settings

_MOST_TASKS = 50
_EVENTS = 8
_DAEMON_CHECK_SECONDS = 5.0
_QUEUE_LOOK_SECONDS = 1.0


class RunFollower:
    """One run, looked at again and again. The store is asked for rows only when somebody has written."""

    def __init__(self, store: Store, layout: Layout, settings: Settings, run_id: str) -> None:
        self._store = store
        self._layout = layout
        self._settings = settings
        self._run_id = run_id
        self._last: Snapshot | None = None
        self._version = -1
        self._fresh: list[Activity] = []
        self._next_check = 0.0
        self._next_queue = 0.0

    def look(self) -> Snapshot:
        """The run as it stands now. Raises NoSuchRun when it is gone."""
        now = time.monotonic()
        last = self._last
        version = self._store.version()
        if last is None or version != self._version or now >= self._next_check:
            last = self._read(now)
            self._version = version
        elif now >= self._next_queue:
            last = replace(last, tasks=self._tasks(last.delegations, now))
        self._last = replace(last, at=time.time())
        return self._last

    def fresh(self) -> list[Activity]:
        """What the looks since the last call found to have happened: after the first look, all of it."""
        found, self._fresh = self._fresh, []
        return found

    def forget(self) -> None:
        """The next look asks for everything: what this very process wrote does not count as news to its store."""
        self._version = -1

    # -- inside

    def _read(self, now: float) -> Snapshot:
        store = self._store
        run = store.run(self._run_id)
        if run is None:
            raise NoSuchRun(self._run_id)
        opened = tuple(one for one in store.open_delegations(run.project) if one.run_id == run.id)
        earlier = self._last.activity if self._last is not None else ()
        events = store.activity(earlier[-1].sequence if earlier else 0, run_id=run.id)
        self._fresh.extend(events)
        return Snapshot(
            run=run,
            steps=tuple(store.steps(run.id)),
            at=time.time(),
            delegations=opened,
            tasks=self._tasks(opened, now),
            activity=(*earlier, *events)[-_EVENTS:],
            approved=store.wish(run.id).approved,
            beat=store.heartbeats().get(run.project),
            stale_seconds=self._settings.orchestrator.heartbeat.stale,
            daemon=run.is_over or self._daemon_runs(now),
        )

    def _daemon_runs(self, now: float) -> bool:
        if self._last is None or now >= self._next_check:
            self._next_check = now + _DAEMON_CHECK_SECONDS
            return daemon_runs(self._layout.home)
        return self._last.daemon

    def _tasks(self, delegations: Iterable[Delegation], now: float) -> Mapping[str, TaskLook]:
        """What the queue says; that a worker takes a task is written nowhere else."""
        self._next_queue = now + _QUEUE_LOOK_SECONDS
        working = [one.task_id for one in delegations if one.state is DelegationState.WORKING]
        queue = patient_queue(self._layout)
        return {task_id: self._look_at(queue.find(task_id)) for task_id in working[:_MOST_TASKS]}

    def _look_at(self, view: TaskView | None) -> TaskLook:
        match view:
            case Running():
                return TaskLook("works")
            case Waiting(spec=spec, due_ms=due_ms):
                left = max(0.0, due_ms / 1000 - time.time())
                return TaskLook(f"tries again in {format_duration(left)}", self._obstacle(spec))
            case Queued(spec=spec):
                return TaskLook("queued", self._obstacle(spec))
            case Ended():
                return TaskLook("has ended")
        return TaskLook("is submitted")

    def _obstacle(self, spec: TaskSpec) -> str:
        return self._doors.why(spec)

    @cached_property
    def _doors(self) -> Doors:
        return make_doors(self._layout.home, self._settings)
