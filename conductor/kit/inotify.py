"""inotify, as little of it as a poll loop needs: something was written or renamed there, look for yourself."""

from __future__ import annotations

import ctypes
import os
from functools import cache

_NON_BLOCKING, _CLOSED_ON_EXEC = os.O_NONBLOCK, os.O_CLOEXEC
_MODIFIED, _ATTRIBUTES, _MOVED_IN, _CREATED = 0x002, 0x004, 0x080, 0x100
_DELETED_SELF, _MOVED_SELF = 0x400, 0x800
_ONLY_A_FOLDER, _NO_LINKS = 0x0100_0000, 0x0200_0000
_FILE_CHANGES = _MODIFIED | _ATTRIBUTES | _DELETED_SELF | _MOVED_SELF
_FOLDER_CHANGES = _CREATED | _MOVED_IN
_SOME_EVENTS = 65536


class Inotify:
    """`fileno()` is readable when something watched has changed; only a hint, as the kernel may drop events.

    Raises OSError where the kernel refuses (its limits are small and shared by all of a user's programs): poll then.
    """

    def __init__(self) -> None:
        self._descriptor = _checked(_libc().inotify_init1(_NON_BLOCKING | _CLOSED_ON_EXEC), "inotify_init1")

    def fileno(self) -> int:
        return self._descriptor

    def watch_file(self, path: str) -> None:
        """Its content from now on, and that it is renamed or removed; watched already: as it is. Who opens what was
        put in its place watches it anew."""
        self._watch(path, _FILE_CHANGES | _NO_LINKS)

    def watch_folder(self, path: str) -> None:
        """Names that appear in it: made or renamed there."""
        self._watch(path, _FOLDER_CHANGES | _ONLY_A_FOLDER | _NO_LINKS)

    def take(self) -> bool:
        """Whether anything happened since the last call. Look at the files after it, not before."""
        happened = False
        try:
            while os.read(self._descriptor, _SOME_EVENTS):
                happened = True
        except BlockingIOError:
            pass
        return happened

    def close(self) -> None:
        os.close(self._descriptor)

    def _watch(self, path: str, mask: int) -> None:
        _checked(_libc().inotify_add_watch(self._descriptor, os.fsencode(path), mask), f"inotify_add_watch({path})")


def _checked(answer: int, what: str) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return answer


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
