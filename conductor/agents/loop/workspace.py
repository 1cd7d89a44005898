"""Files of the workspace and no others: a path is resolved, then walked folder by folder without following a link.

The walk holds the answer of the resolving: a link that is put in its way in between is not followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LARGEST_FILE = 20 * 1_048_576
"""Bytes that are read or edited at once."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class ToolFailed(Exception):
    """What the agent is told instead of a result. `denied`: a change outside of where it may change something."""

    def __init__(self, text: str, *, denied: bool = False) -> None:
        super().__init__(text)
        self.denied = denied


class Workspace:
    """`confined`: nothing outside the folder is ever opened, made or changed. Else paths are the whole system's."""

    def __init__(self, folder: str, *, confined: bool) -> None:
        self.folder = os.path.realpath(folder)
        self._root = self.folder if confined else "/"

    def read(self, path: str) -> bytes:
        """Raises ToolFailed, OSError."""
        with self._parent(path) as (parent, name):
            _want_plain_file(parent, name, path)
            descriptor = os.open(name, _READ, dir_fd=parent)
        return read_descriptor(descriptor, path)

    def write(self, path: str, content: bytes) -> None:
        """All or nothing; missing folders are made. A hard link elsewhere keeps its own content. Raises ToolFailed,
        OSError."""
        with self._parent(path, changing=True) as (parent, name):
            mode = 0o666
            with suppress(FileNotFoundError):
                mode = stat.S_IMODE(_want_plain_file(parent, name, path).st_mode)
            temporary = f".conductor-{os.getpid()}.tmp"
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent
            )
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    if mode != 0o666:
                        os.fchmod(descriptor, mode)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                os.unlink(temporary, dir_fd=parent)
                raise

    @contextmanager
    def opened_folder(self, path: str) -> Iterator[int]:
        """A descriptor of the folder. Raises ToolFailed, OSError."""
        descriptor = self._walk(self._parts(path, changing=False), make=False)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(os.path.join(self._root, *self._parts(path, changing=False)))

    @contextmanager
    def _parent(self, path: str, *, changing: bool = False) -> Iterator[tuple[int, str]]:
        parts = self._parts(path, changing=changing)
        if not parts:
            raise ToolFailed(f"{path}: is a folder")
        descriptor = self._walk(parts[:-1], make=changing)
        try:
            yield descriptor, parts[-1]
        finally:
            os.close(descriptor)

    def _parts(self, path: str, *, changing: bool) -> list[str]:
        """The resolved path below the root."""
        if "\0" in path:
            raise ToolFailed("a path has no NUL in it")
        resolved = os.path.realpath(os.path.join(self.folder, path))
        if resolved != self._root and not resolved.startswith(self._root.rstrip("/") + "/"):
            raise ToolFailed(f"{path}: outside the workspace, which is all that may be used here", denied=changing)
        return [part for part in resolved[len(self._root) :].split("/") if part]

    def _walk(self, parts: list[str], *, make: bool) -> int:
        descriptor = os.open(self._root, _FOLDER)
        for part in parts:
            try:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                below = os.open(part, _FOLDER, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor


def read_descriptor(descriptor: int, path: str) -> bytes:
    """The whole file; closes it. Raises ToolFailed where it is no plain file or too large."""
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ToolFailed(f"{path}: is no plain file")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ToolFailed(f"{path}: larger than {LARGEST_FILE} bytes: look into it by other means")
    return content


def _want_plain_file(parent: int, name: str, path: str) -> os.stat_result:
    """Looks before it opens: opening a device or a pipe does something by itself."""
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        raise ToolFailed(f"{path}: is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise ToolFailed(f"{path}: is no plain file")
    return found
