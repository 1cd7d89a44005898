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
    TASK_FAILED = 1
    USAGE = 2
    NO_SUCH_TASK = 3
    NO_DAEMON = 4
    WAITS_FOR_APPROVAL = 5
    """A run that was watched or waited for goes on only after `conductor approve`."""
    HOME_OR_SETTINGS = 78


DAEMON_CONFIG_EXIT = 78
"""conductord's exit when a restart will not help; the systemd unit lists it in RestartPreventExitStatus."""
