"""The error tree is as its module draws it, each error tells the next step, each has its exit code."""

from __future__ import annotations

import inspect
import re

import pytest

from conductor.cli.main import exit_code_of
from conductor.domain import errors
from conductor.domain.errors import (
    BadTask,
    ConductorError,
    DaemonNotRunning,
    DuplicateTask,
    Fenced,
    HomeRefused,
    LockTimeout,
    NoSuchTask,
    SettingsInvalid,
    UsageError,
)
from conductor.domain.exits import DAEMON_CONFIG_EXIT, CliExit, WorkerExit

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ConductorError)]


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─ ]*)([A-Z]\w+)(?:\s|$)", line)
        if match and match[2] in {kind.__name__ for kind in CLASSES}:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            drawn[match[2]] = path[depth - 1] if depth else "Exception"

    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}


def test_every_error_says_in_its_docstring_what_it_is() -> None:
    assert all(kind.__doc__ for kind in CLASSES)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), CliExit.USAGE),
        (BadTask("x"), CliExit.USAGE),
        (DuplicateTask("a"), CliExit.USAGE),
        (NoSuchTask("a"), CliExit.NO_SUCH_TASK),
        (DaemonNotRunning("x"), CliExit.NO_DAEMON),
        (HomeRefused("x"), CliExit.HOME_OR_SETTINGS),
        (SettingsInvalid("x"), CliExit.HOME_OR_SETTINGS),
        (LockTimeout("lock", 30.0, 4711), CliExit.TASK_FAILED),
        (Fenced("x"), CliExit.TASK_FAILED),
    ],
)
def test_every_error_has_its_exit_code(error: ConductorError, code: CliExit) -> None:
    assert exit_code_of(error) == code


def test_a_taken_id_and_a_missing_task_are_named_with_the_next_step() -> None:
    assert "'build-7' is taken" in str(DuplicateTask("build-7"))
    assert "--if-absent" in str(DuplicateTask("build-7"))
    assert "'build-7'" in str(NoSuchTask("build-7"))
    assert "conductor list" in str(NoSuchTask("build-7"))


def test_a_held_lock_is_named_with_its_holder() -> None:
    assert "process 4711 for 30 s" in str(LockTimeout("lock", 30.0, 4711))
    assert "another process for 30 s" in str(LockTimeout("lock", 30.0, None))


def test_exit_codes_are_a_fixed_language() -> None:
    """Scripts and the systemd unit know these numbers: a change breaks them."""
    assert {code.name: int(code) for code in CliExit} == {
        "WELL": 0, "TASK_FAILED": 1, "USAGE": 2, "NO_SUCH_TASK": 3, "NO_DAEMON": 4,
        "WAITS_FOR_APPROVAL": 5, "HOME_OR_SETTINGS": 78, "INTERRUPTED": 130, "OUTPUT_GONE": 141,
    }  # fmt: skip
    assert {code.name: int(code) for code in WorkerExit} == {
        "DONE": 0, "IDLE": 10, "RETIRED": 11, "GAVE_BACK": 12, "FENCED": 13, "CANNOT_RECORD": 14, "BROKEN": 70,
        "CANNOT_START": 78,
    }  # fmt: skip
    assert DAEMON_CONFIG_EXIT == 78
