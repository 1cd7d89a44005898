"""The port ResultsFeed on results.txt, with the project's doorbell on the same descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from conductor.domain.errors import BadTask
from conductor.domain.lines import parse_result
from conductor.domain.outcome import Status
from conductor.kit.inotify import Inotify

_AT_ONCE = 1 << 20


class FileResultsFeed:
    """Tells what is appended after it was made: make it first, then look at what the queue says of older tasks.

    A file that was replaced or cut is read from its start, so an id may come again; none is left out.
    """

    def __init__(self, results_path: str, doorbell_folder: str = "") -> None:
        """Raises FileNotFoundError where there is no results.txt."""
        self._path = results_path
        self._descriptor = _open(results_path)
        self._position = _start_of_last_line(self._descriptor)
        self._watch = self._begin_to_watch(doorbell_folder)

    def fileno(self) -> int:
        """Readable when results.txt has grown or somebody rang; -1 where the kernel refuses: call `take` regularly."""
        return self._watch.fileno() if self._watch is not None else -1

    def take(self) -> Iterator[str]:
        if self._watch is not None:
            self._watch.take()
        yield from self._read_on()
        if self._follow():
            yield from self._read_on()

    def close(self) -> None:
        os.close(self._descriptor)
        if self._watch is not None:
            self._watch.close()

    def _begin_to_watch(self, doorbell_folder: str) -> Inotify | None:
        try:
            watch = Inotify()
        except OSError:
            return None
        try:
            watch.watch_file(self._path)
            if doorbell_folder:
                watch.watch_folder(doorbell_folder)
        except OSError:
            watch.close()
            return None
        return watch

    def _read_on(self) -> Iterator[str]:
        """Of whole lines only: a torn one is read again when the rest has come."""
        if os.fstat(self._descriptor).st_size < self._position:
            self._position = 0
        torn = b""
        while chunk := os.pread(self._descriptor, _AT_ONCE, self._position + len(torn)):
            *lines, torn = (torn + chunk).split(b"\n")
            for line in lines:
                self._position += len(line) + 1
                task_id = _ended_for_good(line)
                if task_id:
                    yield task_id

    def _follow(self) -> bool:
        """Goes over to the file that has the name now, when it is another one."""
        try:
            descriptor = _open(self._path)
        except FileNotFoundError:
            return False  # renamed away, and nothing in its place yet
        if os.path.sameopenfile(descriptor, self._descriptor):
            os.close(descriptor)
            return False
        os.close(self._descriptor)
        self._descriptor, self._position = descriptor, 0
        if self._watch is not None:
            with suppress(OSError):
                self._watch.watch_file(self._path)
        return True


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _start_of_last_line(descriptor: int) -> int:
    """The end of the last whole line: one that is being appended now belongs to what is new."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _AT_ONCE)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _ended_for_good(line: bytes) -> str:
    """The task's id; empty for one that will be tried again, and for a line that says nothing."""
    try:
        result = parse_result(line.decode())
    except (BadTask, UnicodeDecodeError):
        return ""
    return "" if result.status is Status.RETRY else result.task_id
