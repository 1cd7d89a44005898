"""Writes down what this process really does to the disk, by standing in for the functions of `os` that change it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults.disk import Disk, take


class Recorder:
    """Inside of `with`, every change below `root` is done and told to `disk`.

    At the end the model must hold exactly what the disk holds: a way to change it that is not recorded would show.
    """

    def __init__(self, root: Path) -> None:
        self.disk = Disk(str(root))
        self._opened: dict[int, tuple[int, bool, int]] = {}
        self._real: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> Recorder:
        for name in ("open", "close", "write", "ftruncate", "fsync", "rename", "mkdir", "rmdir", "unlink", "symlink"):
            self._real[name] = getattr(os, name)
            setattr(os, name, getattr(self, f"_{name}"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name, function in self._real.items():
            setattr(os, name, function)
        if kind is None:
            at = len(self.disk.operations)
            assert self.disk.tree(at) == take(Path(self.disk.root)), "something was done that the recorder did not see"

    # -- descriptors

    def _open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        covered = self.disk.covers(path)
        known = covered and self.disk.exists(path)
        descriptor: int = self._real["open"](path, flags, mode, **more)
        if covered:
            if not known:
                self.disk.make("create", path, "file")
            number = self.disk.inode(path)
            if known and flags & os.O_TRUNC and self.disk.inodes[number].content:
                self.disk.write(number, 0, None)
            self._opened[descriptor] = (number, bool(flags & os.O_APPEND), 0)
        return descriptor

    def _close(self, descriptor: int) -> None:
        self._opened.pop(descriptor, None)
        self._real["close"](descriptor)

    def _write(self, descriptor: int, content: Any) -> int:
        written: int = self._real["write"](descriptor, content)
        if descriptor in self._opened:
            number, appends, position = self._opened[descriptor]
            offset = len(self.disk.inodes[number].content) if appends else position
            self.disk.write(number, offset, bytes(content[:written]))
            self._opened[descriptor] = (number, appends, offset + written)
        return written

    def _ftruncate(self, descriptor: int, size: int) -> None:
        self._real["ftruncate"](descriptor, size)
        if descriptor in self._opened:
            self.disk.write(self._opened[descriptor][0], size, None)

    def _fsync(self, descriptor: int) -> None:
        """Nothing really needs to reach the disk here: only the model forgets."""
        if descriptor in self._opened:
            self.disk.sync(self._opened[descriptor][0])

    # -- names

    def _rename(self, source: Any, target: Any) -> None:
        self._real["rename"](source, target)
        if self.disk.covers(source):
            self.disk.rename(source, target)

    def _mkdir(self, path: Any, mode: int = 0o777, **more: Any) -> None:
        self._real["mkdir"](path, mode, **more)
        if self.disk.covers(path):
            self.disk.make("mkdir", path, "folder")

    def _rmdir(self, path: Any, **more: Any) -> None:
        self._real["rmdir"](path, **more)
        if self.disk.covers(path):
            self.disk.remove("rmdir", path)

    def _unlink(self, path: Any, **more: Any) -> None:
        self._real["unlink"](path, **more)
        if self.disk.covers(path):
            self.disk.remove("unlink", path)

    def _symlink(self, target: Any, path: Any, **more: Any) -> None:
        self._real["symlink"](target, path, **more)
        if self.disk.covers(path):
            self.disk.make("symlink", path, "link", target)
