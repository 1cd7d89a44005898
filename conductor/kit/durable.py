"""Writing so that it survives: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

_CAREFULLY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""An agent may have put something else where our file goes: links are not followed, no pipe makes us wait."""


def write_all(descriptor: int, content: bytes) -> None:
    """Writes every byte; a short write is an error of the disk and raises what the next write raises."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def write_synced(path: str, content: bytes, mode: int = 0o600) -> None:
    """A file with `content`, its bytes on disk on return; its name is not until the directory is synced."""
    descriptor = _open_regular(path, os.O_TRUNC, mode)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_plain(path: str, content: bytes, mode: int = 0o600) -> None:
    """A new file with `content` in place of what stood there, not synced: for what may be lost in a power cut."""
    descriptor = create_file(path, mode)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


def append_bytes(path: str, content: bytes, mode: int = 0o600) -> None:
    """Appends to a file that is there, or makes it. Raises OSError (ENXIO) where it is a pipe or has another name."""
    descriptor = _open_regular(path, os.O_APPEND, mode)
    try:
        if os.fstat(descriptor).st_nlink > 1:
            raise OSError(errno.ENXIO, "it has another name", path)
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


def create_file(path: str, mode: int = 0o600) -> int:
    """A descriptor (to read, to append) of a file that is new, whatever stood there: a link, a pipe or another name
    of somebody's file goes, and what it led to is left alone. Raises IsADirectoryError where a folder stands."""
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | _CAREFULLY, mode)
        except FileExistsError:
            with suppress(FileNotFoundError):
                os.unlink(path)


def _open_regular(path: str, how: int, mode: int) -> int:
    """To write, made if it is not there. Raises OSError: ENXIO for a pipe, ELOOP for a link, EISDIR for a folder."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how | _CAREFULLY, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, "no regular file", path)
    return descriptor


def replace_file(path: str, content: bytes, mode: int = 0o600, *, synced: bool = False) -> None:
    """`path` holds either what it held or all of `content`, whenever someone looks."""
    # A name that can't be foreseen: an agent would put a folder there.
    temporary = f"{path}.{os.urandom(6).hex()}.tmp"
    try:
        (write_synced if synced else write_plain)(temporary, content, mode)
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if synced:
        sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """The names in `path` are on disk on return."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: str, at_most: int = -1) -> bytes:
    """The content of a file, or its first `at_most` bytes; empty where it is a pipe."""
    descriptor = os.open(path, os.O_RDONLY | _CAREFULLY)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return b""
        size = os.fstat(descriptor).st_size if at_most < 0 else at_most
        chunks = []
        while size > 0 and (chunk := os.read(descriptor, size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)
