"""Every error that conductor raises on purpose.

ConductorError
├── UsageError            what the caller asked for makes no sense (exit code 2)
│   └── BadTask           a task or task line that can't be accepted
│       └── DuplicateTask   the id is taken
│   └── PlanInvalid         a plan with faults, every one of them told
├── NoSuchTask            (exit code 3)
├── NoSuchProject         (exit code 3)
├── NoSuchRun             (exit code 3)
├── DaemonNotRunning      (exit code 4)
├── NotEndedInTime        what a program waited for goes on; a TimeoutError too
├── HomeRefused           the home can't be trusted or read (exit code 78)
├── SettingsInvalid       conductor.yaml or the environment is wrong (exit code 78)
├── LockTimeout           somebody held the queue lock for longer than anyone should
├── StoreRefused          the database can't be read or written
├── RepositoryBroken      git refuses, or the project's folder is not what it was
├── NoRoom                the disk of a repository is full: worth waiting for
└── Fenced                another attempt owns the task: this one's result is not recorded
"""

from __future__ import annotations


class ConductorError(Exception):
    """The root: its text is meant for a person and names the deed, the object and the next step."""


class UsageError(ConductorError):
    """What was asked for makes no sense."""


class BadTask(UsageError):
    """A task or task line that can't be accepted."""


class DuplicateTask(BadTask):
    """The id is taken: an id stays taken until its task is cleaned."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"task id {task_id!r} is taken: choose another, or --if-absent to accept that it exists")
        self.task_id = task_id


class NoSuchTask(ConductorError):
    """No task with that id was ever accepted here."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"no task {task_id!r} here: `conductor list --all` shows what there is")
        self.task_id = task_id


class DaemonNotRunning(ConductorError):
    """The deed needs a running conductord."""


class NotEndedInTime(ConductorError, TimeoutError):
    """What was waited for has not ended in the time given; it goes on."""


class HomeRefused(ConductorError):
    """The home directory can't be trusted, or was written by a newer version."""


class SettingsInvalid(ConductorError):
    """conductor.yaml or a variable is wrong."""


class LockTimeout(ConductorError):
    """The queue lock was held by somebody for longer than anyone should."""

    def __init__(self, path: str, seconds: float, holder: int | None) -> None:
        whom = f"process {holder}" if holder else "another process"
        super().__init__(f"{path} was held by {whom} for {seconds:.0f} s: it is stopped or stuck, end it")
        self.holder = holder


class Fenced(ConductorError):
    """Another attempt owns the task now, so the result of this one is not recorded."""


class PlanInvalid(UsageError):
    """A plan that can't be run: every fault of it, a line each."""

    def __init__(self, what: str, faults: tuple[str, ...]) -> None:
        told = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{what} has {len(faults)} fault{'s' if len(faults) != 1 else ''}:\n{told}")
        self.faults = faults


class NoSuchProject(ConductorError):
    """No project of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no project {name!r} here: `conductor project list` shows them, `project create` makes one")


class NoSuchRun(ConductorError):
    """No run with that id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run {run_id!r} here: `conductor runs` shows them")


class StoreRefused(ConductorError):
    """The database can't be read or written."""


class RepositoryBroken(ConductorError):
    """Git refuses, or the project's folder is not what it was."""


class NoRoom(ConductorError):
    """The disk of a repository is full: nothing half done counts, and all of it can be done again."""

    def __init__(self, where: str, told: str) -> None:
        super().__init__(f"no room is left for {where}: {told}; make room, and what was under way goes on")
