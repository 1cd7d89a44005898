"""A process killed at a chosen change of the disk, without a process: that change and all after it do not happen.

Cleanup that the code does on its way out fails too, as a killed process does none. Locks are let go, as the kernel
would. Reading goes on working, so that the test can look.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

_BY_PATH = ("rename", "unlink", "mkdir", "rmdir", "symlink")
_BY_DESCRIPTOR = ("write", "ftruncate")


class Killed(BaseException):
    """Nothing in the product catches it for good."""


@dataclass
class Kill:
    """`changes` is what happened before the end, as (deed, path or descriptor)."""

    happened: bool = False
    changes: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def killed_when(is_last: Callable[[str, str], bool]) -> Iterator[Kill]:
    """The block ends before the first change for which `is_last(deed, path)` holds; a write is then half done."""
    kill, real = Kill(), {name: getattr(os, name) for name in (*_BY_PATH, *_BY_DESCRIPTOR, "open")}

    def check(deed: str, target: object) -> None:
        if not kill.happened:
            kill.happened = is_last(deed, str(target))
            kill.changes.append((deed, str(target)))
        if kill.happened:
            raise Killed

    def changing(name: str) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            check(name, arguments[0])
            return real[name](*arguments, **options)

        return change

    def write(descriptor: int, content: bytes) -> int:
        was_dead = kill.happened
        try:
            check("write", descriptor)
        except Killed:
            if not was_dead:
                real["write"](descriptor, bytes(content)[: len(content) // 2])
            raise
        return int(real["write"](descriptor, content))

    def open_file(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_TRUNC or (flags & os.O_CREAT and not os.path.lexists(path)):
            check("open", path)
        return int(real["open"](path, flags, *rest, **options))

    fakes = {name: changing(name) for name in (*_BY_PATH, "ftruncate")} | {"write": write, "open": open_file}
    try:
        with patch.multiple(os, **fakes):
            yield kill
    except Killed:
        pass


def without_fsync() -> Any:
    """A kill does not undo what was written, so tests of kills need not wait for the disk. Also a decorator."""
    return patch.object(os, "fsync", lambda descriptor: None)


@contextmanager
def killed_before_change(nth: int) -> Iterator[Kill]:
    """The block ends before its `nth` change of the disk, counted from 1."""
    made = 0

    def is_last(deed: str, path: str) -> bool:
        nonlocal made
        made += 1
        return made == nth

    with killed_when(is_last) as kill:
        yield kill
