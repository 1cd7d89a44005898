"""Writing so that it survives: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import os
from contextlib import suppress


def write_all(descriptor: int, content: bytes) -> None:
    """Writes every byte; a short write is an error of the disk and raises what the next write raises."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def write_synced(path: str, content: bytes, mode: int = 0o600) -> None:
    """A new file with `content`, its bytes on disk on return; its name is not until the directory is synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_plain(path: str, content: bytes, mode: int = 0o600) -> None:
    """A file with `content`, not synced: for what may be lost in a power cut."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


def replace_file(path: str, content: bytes, mode: int = 0o600, *, synced: bool = False) -> None:
    """`path` holds either what it held or all of `content`, whenever someone looks."""
    temporary = f"{path}.{os.getpid()}.tmp"
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
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not hang us
    try:
        size = os.fstat(descriptor).st_size if at_most < 0 else at_most
        chunks = []
        while size > 0 and (chunk := os.read(descriptor, size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)
