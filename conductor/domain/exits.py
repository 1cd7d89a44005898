"""Exit codes are a language: the small tables that worker, daemon and CLI speak."""

from __future__ import annotations

from enum import IntEnum


class WorkerExit(IntEnum):
    """How a worker process ends. A hint for the supervisor: what is true is what the files say."""

    DONE = 0
    """It ran one attempt and recorded it (whatever the task's outcome)."""
    IDLE = 10
    """Nothing to do for max_idle_time."""
    RETIRED = 11
    """Told to leave while idle, or its nursery is gone."""
    GAVE_BACK = 12
    """Told to stop while running: the agent was stopped and the task given back."""
    FENCED = 13
    """Another attempt owns the task: nothing was recorded."""
    CANNOT_RECORD = 14
    """The disk refused the record (full, read-only, failing): the supervisor records what is known once it can."""
    BROKEN = 70
    """An unexpected error in conductor itself, logged with its traceback."""
    CANNOT_START = 78
    """Bad settings or a missing library: starting it again will not help."""


class CliExit(IntEnum):
    """How `conductor` ends."""

    WELL = 0
    """It did what was asked."""
    TASK_FAILED = 1
    """A task or run that was waited for failed, something is wrong (doctor, audit), or the system refused."""
    USAGE = 2
    """What was asked for makes no sense: a wrong option, a task that can't be accepted."""
    NO_SUCH_TASK = 3
    """No such task, run or project."""
    NO_DAEMON = 4
    """It needs a running conductord."""
    WAITS_FOR_APPROVAL = 5
    """A run that was watched or waited for goes on only after `conductor approve`."""
    HOME_OR_SETTINGS = 78
    """The home or its settings can't be used."""
    INTERRUPTED = 130
    """Ctrl+C; what was asked for goes on without it."""
    OUTPUT_GONE = 141
    """Whoever read its output had gone."""


class DaemonExit(IntEnum):
    """How `conductord` ends."""

    STOPPED = 0
    """It was told to; of --check: a restart is safe."""
    TAKEN = 1
    """Another conductord has this home; of --check: a restart would cut running tasks short."""
    ALL_GIVEN_UP = 70
    """Every slot has spent its restart budget: read in the log why the workers broke, then start it again."""
    CONFIG = 78
    """Settings, home or installation are wrong and a restart will not help: systemd does not try one."""


DAEMON_CONFIG_EXIT = DaemonExit.CONFIG
"""The systemd unit lists it in RestartPreventExitStatus."""
