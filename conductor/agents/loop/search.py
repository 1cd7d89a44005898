"""Searching files of a workspace for a regular expression."""

from __future__ import annotations

import fnmatch
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from conductor.agents.loop.file_tools import LEFT_OUT
from conductor.agents.loop.workspace import ToolFailed, Workspace, read_descriptor

_MOST_MATCHES = 200
_LONGEST_LINE = 300
_DEADLINE_SECONDS = 20.0
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def search(workspace: Workspace, pattern: str, path: str = ".", glob: str = "*") -> str:
    """Raises ToolFailed, OSError."""
    try:
        sought = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ToolFailed(f"search: no regular expression: {error}") from None
    found: list[str] = []
    with _deadline(_DEADLINE_SECONDS):
        for name, content in _contents(workspace, path, glob):
            _matches(sought, name, content, found)
            if len(found) >= _MOST_MATCHES:
                return "\n".join(found) + f"\n[the first {_MOST_MATCHES}: search for something narrower]"
    return "\n".join(found) or "no match"


def _matches(sought: re.Pattern[str], name: str, content: bytes, found: list[str]) -> None:
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if sought.search(line):
            found.append(f"{name}:{number}: {line[:_LONGEST_LINE]}")
            if len(found) >= _MOST_MATCHES:
                return


def _contents(workspace: Workspace, path: str, glob: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each text file."""
    if not workspace.is_folder(path):
        yield path, workspace.read(path)
        return
    with workspace.opened_folder(path) as descriptor:
        for at, folders, files, folder in os.fwalk(".", dir_fd=descriptor):
            folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
            for name in sorted(fnmatch.filter(files, glob)):
                with suppress(OSError, ToolFailed):  # gone, a pipe, a link, too large: the others are searched
                    content = read_descriptor(os.open(name, _READ, dir_fd=folder), name)
                    if b"\0" not in content[:8192]:
                        yield os.path.normpath(os.path.join(path, at, name)), content


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """An expression that takes for ever is interrupted. Only in the main thread, as all of the loop."""

    def too_long(number: int, frame: FrameType | None) -> NoReturn:
        raise ToolFailed(f"search: took more than {seconds:g} s: search for something simpler, or in fewer files")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
