"""Small JSON files that may be torn or foreign: read with a check, set aside when they can't be used.

Nothing here is synced: what a power cut takes is learned anew.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from conductor.kit.durable import read_bytes, replace_file
from conductor.kit.lock import QuickLock
from conductor.ports import Log

T = TypeVar("T")
_NO_FILE = (errno.EISDIR, errno.ELOOP, errno.ENXIO)
_MOST_BYTES = 16 * 1_048_576
_LOCK_DEADLINE_SECONDS = 30.0


class FolderLock:
    """`with FolderLock(folder):` holds `<folder>/lock`; the folder is made where it is missing. Not reentrant. Raises
    LockTimeout."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = QuickLock(f"{folder}/lock", _LOCK_DEADLINE_SECONDS)

    def __enter__(self) -> None:
        try:
            self._lock.__enter__()
        except FileNotFoundError:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            self._lock.__enter__()

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(None, None, None)


def read_as(path: str, make: Callable[[dict[str, Any]], T], log: Log | None) -> T | None:
    """What `make` makes of the JSON object in `path`; None where there is no file, or none that can be used: that one
    is renamed to `<path>.bad`, with a warning. Raises OSError where reading fails: what is there may be good."""
    try:
        content = read_bytes(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        _set_aside(path, error, log)
        return None
    try:
        fields = json.loads(content)
        if not isinstance(fields, dict):
            raise TypeError(f"a {type(fields).__name__}, not an object")
        return make(fields)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        _set_aside(path, error, log)
        return None


def write_fields(path: str, fields: Mapping[str, Any]) -> None:
    """Replaces `path` by rename, making its folder where that is missing."""
    content = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    try:
        replace_file(path, content)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        replace_file(path, content)


def _set_aside(path: str, error: Exception, log: Log | None) -> None:
    with suppress(OSError):
        os.rename(path, f"{path}.bad")
    if log is not None:
        log.warning("limits_file_set_aside", path=f"{path}.bad", error=f"{type(error).__name__}: {error}"[:300])
