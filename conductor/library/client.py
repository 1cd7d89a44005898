"""Conductor: a home in the hands of a program."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Self, Unpack

from conductor.app import daemon_runs, open_layout
from conductor.domain.lines import ResultLine
from conductor.domain.plan import Plan
from conductor.domain.run import Run
from conductor.domain.task import TaskSpec
from conductor.domain.view import TaskView
from conductor.library.options import TaskOptions
from conductor.library.result import Result
from conductor.library.runs import RunHandle, Runs
from conductor.library.tasks import TaskHandle, Tasks

if TYPE_CHECKING:
    from conductor.app.orchestration import RunOptions

_DAEMON_PATIENCE_SECONDS = 10.0
"""A conductord that is being restarted is back by then."""


class Conductor:
    """Submits, waits, looks, changes. What it has accepted is durable, and needs a conductord only to run.

    with Conductor() as conductor:
        task = conductor.submit("pytest -q", agent="command", retries=1)
        result = task.wait(timeout=600)
        print(result.status, result.text)

    Threads may share one. A process that forks makes its own after the fork. Errors are ConductorErrors that say what
    to do next.
    """

    def __init__(
        self, home: str | os.PathLike[str] | None = None, *, daemon_patience: float = _DAEMON_PATIENCE_SECONDS
    ) -> None:
        """`home`: $CONDUCTOR_HOME or ~/.local/state/conductor where it is not said; made if absent.

        `daemon_patience`: for so many seconds a wait without a timeout bears that no conductord runs. Raises
        HomeRefused.
        """
        self._layout = open_layout(os.fspath(home) if home is not None else None, os.environ)
        self._tasks = Tasks(self._layout, daemon_patience)
        self._runs = Runs(self._layout, daemon_patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the database, where one was opened. Tasks and runs go on."""
        self._runs.close()

    @property
    def home(self) -> str:
        return self._layout.home.path

    @property
    def daemon_runs(self) -> bool:
        """Whether a conductord listens on this home."""
        return daemon_runs(self._layout.home)

    # -- tasks

    def submit(
        self,
        description: str,
        *,
        task_id: str = "",
        if_absent: bool = False,
        **options: Unpack[TaskOptions],
    ) -> TaskHandle:
        """Accepts one task. `[model:NAME]` and `[thinking:LEVEL]` in the description are taken out and used.

        With `if_absent` a taken `task_id` is a success: the handle is of the task that has it. Raises BadTask,
        DuplicateTask, UsageError, SettingsInvalid.
        """
        return self._tasks.submit(description, task_id, options, if_absent=if_absent)

    def submit_many(self, descriptions: Iterable[str | TaskSpec], **options: Unpack[TaskOptions]) -> list[TaskHandle]:
        """Accepts all, with one write to disk, or none. What `options` say goes over what a TaskSpec brings."""
        return self._tasks.submit_many(descriptions, options)

    def task(self, task_id: str) -> TaskHandle:
        """The handle of a task that was submitted elsewhere. Raises NoSuchTask."""
        self._tasks.view(task_id)
        return self._tasks.handle(task_id)

    def find(self, task: TaskHandle | str) -> TaskView | None:
        """Where it stands: Queued, Waiting, Running or Ended; None: there is no such task."""
        return self._tasks.find(_id(task))

    def list(self) -> Iterator[TaskView]:
        """Tasks that have not ended: running first, then in the order in which they will be claimed."""
        return self._tasks.unfinished()

    def cancel(self, task: TaskHandle | str) -> bool:
        """Cancels it for good; False: it had ended before. One that runs is being stopped: `wait` tells when it is."""
        return self._tasks.cancel(_id(task))

    def retry(self, task: TaskHandle | str) -> None:
        """Runs it again, counts from the start. Raises UsageError unless it ended without success."""
        self._tasks.retry(_id(task))

    def wait(self, tasks: Iterable[TaskHandle | str], timeout: float | None = None) -> Sequence[Result]:
        """The results, in the order of `tasks`, once all have ended. Raises as `as_ended`."""
        ids = [_id(task) for task in tasks]
        found = {result.task_id: result for result in self._tasks.as_ended(ids, timeout)}
        return [found[task_id] for task_id in ids]

    def as_ended(self, tasks: Iterable[TaskHandle | str], timeout: float | None = None) -> Iterator[Result]:
        """Each result as soon as its task has ended. Raises NotEndedInTime (a TimeoutError), NoSuchTask, and, without
        a timeout, DaemonNotRunning."""
        return self._tasks.as_ended([_id(task) for task in tasks], timeout)

    def results(
        self, *, follow: bool = False, new_only: bool = False, timeout: float | None = None
    ) -> Iterator[ResultLine]:
        """The lines of results.txt, one a finished attempt (RETRY: another follows), oldest first.

        `follow`: also those that come, for ever or for `timeout` seconds; `new_only`: without those that are there.
        """
        return self._tasks.results(follow=follow, new_only=new_only, timeout=timeout)

    # -- runs

    def run(
        self, plan: Plan | str | os.PathLike[str], *, project: str = "", options: RunOptions | None = None
    ) -> RunHandle:
        """Starts a plan, or what is in a file or folder that `conductor run` reads. Raises PlanInvalid, UsageError,
        NoSuchProject."""
        return self._runs.start_plan(plan, project, options or _as_set())

    def build(self, request: str, *, project: str, options: RunOptions | None = None) -> RunHandle:
        """Starts from plain words: a model takes them apart. The project is made where there is none."""
        return self._runs.start_request(request, project, options or _as_set())

    def runs(self, project: str = "", *, limit: int = 20) -> Sequence[Run]:
        """The latest first; 0: all."""
        return self._runs.runs(project, limit)

    def get_run(self, run_id: str) -> RunHandle:
        """The handle of a run that was started elsewhere. Raises NoSuchRun."""
        return self._runs.handle(self._runs.run(run_id).id)


def _as_set() -> RunOptions:
    from conductor.app.orchestration import RunOptions

    return RunOptions()


def _id(task: TaskHandle | str) -> str:
    return task if isinstance(task, str) else task.id
