"""Plans and requests as programs start them, and the runs that come of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conductor.app import daemon_runs
from conductor.domain.errors import DaemonNotRunning, NoSuchRun, NotEndedInTime, UsageError
from conductor.domain.plan import Plan
from conductor.domain.run import Activity, Asks, Run, RunStatus, StepState
from conductor.queue.layout import Layout

if TYPE_CHECKING:
    from conductor.app.orchestration import RunOptions
    from conductor.ports.orchestration import Store
    from conductor.settings.model import Settings

_PAUSE_SECONDS = 0.2
_DAEMON_CHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunHandle:
    """One run that was started. Two handles are equal when they are of the same run."""

    id: str
    _runs: Runs = field(repr=False, compare=False)

    def wait(self, timeout: float | None = None) -> Run:
        """The run once it is over, or once it stands still until a person says yes: `status` is WAITING then, and
        `asks` says for what. Raises NotEndedInTime after `timeout` seconds, DaemonNotRunning as a task's does."""
        return self._runs.wait(self.id, timeout)

    def state(self) -> Run:
        """The run as it stands now."""
        return self._runs.run(self.id)

    def steps(self) -> list[StepState]:
        """Each step and where it stands, in the plan's order."""
        return self._runs.steps(self.id)

    def events(self, *, follow: bool = False) -> Iterator[Activity]:
        """What happened, oldest first; with `follow` also what happens, until the run is over."""
        return self._runs.events(self.id, follow=follow)

    def approve(self) -> None:
        """Says yes to what it asks for now. Raises UsageError where it asks for nothing."""
        self._runs.approve(self.id)

    def stop(self) -> None:
        """What runs is ended, its work is kept, what is merged stays merged. Returns before it is done."""
        self._runs.stop(self.id)


class Runs:
    """A home's runs. Threads may share it. The store is opened when it is first needed."""

    def __init__(self, layout: Layout, daemon_patience: float) -> None:
        self._layout = layout
        self._daemon_patience = daemon_patience
        self._opening = threading.Lock()
        self._store: Store | None = None

    def close(self) -> None:
        with self._opening:
            if self._store is not None:
                self._store.close()
                self._store = None

    def handle(self, run_id: str) -> RunHandle:
        return RunHandle(run_id, self)

    def start_plan(self, plan: Plan | str | os.PathLike[str], project: str, options: RunOptions) -> RunHandle:
        """`plan`: one that was made here, or the path of any form that `conductor run` reads."""
        if not isinstance(plan, Plan):
            from conductor.orchestrator.plans import read_plan

            if not os.path.exists(plan):
                raise UsageError(f"no file or folder {os.fspath(plan)!r} to read a plan from")
            plan = read_plan(os.fspath(plan))
        return self._start(plan, "", project or plan.project, options)

    def start_request(self, request: str, project: str, options: RunOptions) -> RunHandle:
        """A model takes `request` apart; the project is made where there is none."""
        from conductor.app.orchestration import ensure_project

        if not request.strip():
            raise UsageError("the request is empty: say what is to be built")
        ensure_project(self._layout, self._settings(), project)
        return self._start(None, request, project, options)

    def _start(self, plan: Plan | None, request: str, project: str, options: RunOptions) -> RunHandle:
        from conductor.app.orchestration import start_run

        run = start_run(self._layout, self._settings(), plan=plan, request=request, project=project, options=options)
        return self.handle(run.id)

    # -- looking

    def run(self, run_id: str) -> Run:
        found = self._opened().run(run_id)
        if found is None:
            raise NoSuchRun(run_id)
        return found

    def runs(self, project: str, limit: int) -> list[Run]:
        return self._opened().runs(project, limit=limit)

    def steps(self, run_id: str) -> list[StepState]:
        return self._opened().steps(self.run(run_id).id)

    def events(self, run_id: str, *, follow: bool) -> Iterator[Activity]:
        last = 0
        while True:
            is_over = self.run(run_id).is_over  # asked before: what is told after it is over is told too
            for event in self._opened().activity(last, run_id=run_id):
                last = event.sequence
                yield event
            if is_over or not follow:
                return
            time.sleep(_PAUSE_SECONDS)

    # -- waiting

    def wait(self, run_id: str, timeout: float | None) -> Run:
        deadline = None if timeout is None else time.monotonic() + timeout
        away_since, next_check = None, 0.0
        while True:
            run, now = self.run(run_id), time.monotonic()
            if run.is_over or self._stands_still(run):
                return run
            if deadline is not None and now >= deadline:
                raise NotEndedInTime(
                    f"{run_id} is not over in time; `conductor runs show {run_id}` says where it stands"
                )
            if now >= next_check:
                away_since = None if daemon_runs(self._layout.home) else away_since or now
                next_check = now + _DAEMON_CHECK_SECONDS
            if deadline is None and away_since is not None and now - away_since >= self._daemon_patience:
                raise DaemonNotRunning(
                    f"{run_id} is not over, and no conductord runs on {self._layout.home.path}: "
                    "start one with `conductord`"
                )
            time.sleep(_PAUSE_SECONDS)

    def _stands_still(self, run: Run) -> bool:
        """It asks, nobody said yes, and nothing that was handed out is under way."""
        if run.status is not RunStatus.WAITING or run.asks is Asks.NOTHING:
            return False
        store = self._opened()
        opened = (one for one in store.open_delegations(run.project) if one.run_id == run.id)
        return store.wish(run.id).approved < run.asked and next(opened, None) is None

    # -- wishes

    def approve(self, run_id: str) -> None:
        from conductor.app.orchestration import ring_orchestrator

        run = self.run(run_id)
        if run.status is not RunStatus.WAITING or run.asks is Asks.NOTHING:
            raise UsageError(f"{run.id} asks for nothing: it is {run.status.value.replace('_', ' ')}")
        self._opened().approve(run.id, run.asked)
        ring_orchestrator(self._layout.home, run.project)

    def stop(self, run_id: str) -> None:
        from conductor.app.orchestration import ring_orchestrator

        run = self.run(run_id)
        if not run.is_over:
            self._opened().stop(run.id)
            ring_orchestrator(self._layout.home, run.project)

    # -- inside

    def _settings(self) -> Settings:
        from conductor.settings.model import load_settings

        return load_settings(self._layout.home, os.environ)

    def _opened(self) -> Store:
        from conductor.app.stores import open_store

        with self._opening:
            if self._store is None:
                self._store = open_store(self._layout.home, self._settings())
            return self._store
