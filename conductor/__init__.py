"""conductor: a durable file queue and supervisor that gives every agent task a fresh process.

    from conductor import Conductor

What programs use is loaded when it is first named, so that `import conductor` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conductor.app.orchestration import RunOptions
    from conductor.domain.errors import (
        BadTask,
        ConductorError,
        DaemonNotRunning,
        DuplicateTask,
        HomeRefused,
        NoSuchProject,
        NoSuchRun,
        NoSuchTask,
        NotEndedInTime,
        PlanInvalid,
        SettingsInvalid,
        UsageError,
    )
    from conductor.domain.outcome import Status
    from conductor.domain.task import TaskSpec
    from conductor.library.client import Conductor
    from conductor.library.options import TaskOptions
    from conductor.library.result import Result
    from conductor.library.runs import RunHandle
    from conductor.library.tasks import TaskHandle

__version__ = "0.1.0"

__all__ = [
    "BadTask",
    "Conductor",
    "ConductorError",
    "DaemonNotRunning",
    "DuplicateTask",
    "HomeRefused",
    "NoSuchProject",
    "NoSuchRun",
    "NoSuchTask",
    "NotEndedInTime",
    "PlanInvalid",
    "Result",
    "RunHandle",
    "RunOptions",
    "SettingsInvalid",
    "Status",
    "TaskHandle",
    "TaskOptions",
    "TaskSpec",
    "UsageError",
]

_ROOMS = {
    "Conductor": "conductor.library.client",
    "Result": "conductor.library.result",
    "RunHandle": "conductor.library.runs",
    "RunOptions": "conductor.app.orchestration",
    "Status": "conductor.domain.outcome",
    "TaskHandle": "conductor.library.tasks",
    "TaskOptions": "conductor.library.options",
    "TaskSpec": "conductor.domain.task",
}
"""Where each name is; the others are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'conductor' has no attribute {name!r}")
    return getattr(import_module(_ROOMS.get(name, "conductor.domain.errors")), name)
