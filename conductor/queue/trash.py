"""queue/trash/: what is to be deleted. Renamed here in one step it is gone for everybody; deleting takes its time.

Whatever an agent left is deleted without being followed or trusted: links are removed, folders that forbid it opened
first, and each inner folder is moved up here before its turn, so that no depth is too deep and no path too long.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress

_BLOCK = 512

Rest = Callable[[float], None]
"""Called after each folder with the seconds that it took."""


def no_rest(_seconds: float) -> None:
    pass


class Trash:
    """Any process may have one; two that delete at once do no harm."""

    def __init__(self, path: str) -> None:
        self._path = path

    def take(self, path: str) -> bool:
        """Renames what is at `path` in here; False where nothing is."""
        with suppress(FileNotFoundError):
            os.rename(path, self._fresh_name())
            return True
        if os.path.isdir(self._path):
            return False
        os.makedirs(self._path, mode=0o700, exist_ok=True)  # a home of an older version has none
        return self.take(path)

    def empty(self, rest: Rest = no_rest) -> tuple[int, int]:
        """Deletes all of it: (bytes that were freed, names that the system refused to delete)."""
        freed = 0
        refused: set[str] = set()
        while names := [name for name in _names(self._path) if name not in refused]:
            for name in names:
                began = time.monotonic()
                try:
                    freed += self._delete(f"{self._path}/{name}")
                except FileNotFoundError:
                    continue  # another deletes too
                except OSError:
                    refused.add(name)
                rest(time.monotonic() - began)
        return freed, len(refused)

    def _delete(self, path: str) -> int:
        """Bytes that went; what is in its inner folders goes later."""
        found = os.lstat(path)
        freed = _freed_by(found)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(path)
            return freed
        if found.st_mode & 0o700 != 0o700:
            os.chmod(path, 0o700)
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    os.rename(entry.path, self._fresh_name())
                else:
                    freed += _freed_by(entry.stat(follow_symlinks=False))
                    os.unlink(entry.path)
        os.rmdir(path)
        return freed

    def _fresh_name(self) -> str:
        return f"{self._path}/{os.urandom(8).hex()}"


def size_of(path: str) -> int:
    """Bytes that deleting `path` would free, as far as it can be looked into."""
    total, left = 0, [path]
    while left:
        one = left.pop()
        with suppress(OSError):
            found = os.lstat(one)
            if stat.S_ISDIR(found.st_mode):
                left.extend(f"{one}/{name}" for name in os.listdir(one))
            total += _freed_by(found)
    return total


def _freed_by(found: os.stat_result) -> int:
    """A file that has another name stays on the disk."""
    return found.st_blocks * _BLOCK if stat.S_ISDIR(found.st_mode) or found.st_nlink == 1 else 0


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
