"""results.txt as it grows: whole lines, each once, woken by the kernel where it is willing."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

from conductor.domain.errors import BadTask
from conductor.domain.lines import ResultLine, parse_result
from conductor.kit.inotify import Inotify

_AT_ONCE = 1 << 18
_POLL_SECONDS = 0.05
_LOOK_ANYWAY_SECONDS = 1.0
"""An event that the kernel dropped costs no more than this."""


class ResultLines:
    """Lines that stand in results.txt from `position` on (None: those that come from now on), and those that come.

    A file that is renamed is read to its end, then the one that has the name now. For one thread.
    """

    def __init__(self, path: str, position: int | None = None) -> None:
        self._path = path
        self._watch: Inotify | None = None
        self._reader = _Reader(path, position)
        with suppress(OSError):  # its limits are small and shared by all of a user's programs
            self._watch = Inotify()
        self._watch_it()

    def take(self) -> list[ResultLine]:
        """What came since the last call; a line that can't be read is passed over."""
        self._watch_it()
        found = []
        while lines := self._reader.read():
            for line in lines.decode("utf-8", "replace").split("\n")[:-1]:
                with suppress(BadTask):
                    found.append(parse_result(line))
        return found

    def wait(self, seconds: float) -> None:
        """Until something was perhaps appended since the last `take`, at most so long."""
        if self._watch is None:
            time.sleep(max(0.0, min(seconds, _POLL_SECONDS)))
            return
        poll = select.poll()
        poll.register(self._watch.fileno(), select.POLLIN)
        poll.poll(max(0.0, min(seconds, _LOOK_ANYWAY_SECONDS)) * 1000)

    def close(self) -> None:
        self._reader.close()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def __del__(self) -> None:
        self.close()  # an iterator that nobody began

    def _watch_it(self) -> None:
        """Before reading: what comes after it was read is told. The file that has the name now is watched too."""
        if self._watch is None:
            return
        self._watch.take()
        with suppress(FileNotFoundError):
            try:
                self._watch.watch_file(self._path)
            except FileNotFoundError:
                raise
            except OSError:
                self._watch.close()
                self._watch = None


class _Reader:
    """Whole lines of the file at `path` from `position` on, over renames."""

    def __init__(self, path: str, position: int | None) -> None:
        self._path = path
        self._descriptor = _opened(path)
        if position is None:
            position = _end_of_last_line(self._descriptor) if self._descriptor >= 0 else 0
        self._position = position

    def read(self) -> bytes:
        """The next whole lines; empty: there are none yet."""
        while True:
            has_name = self._has_name()  # asked before reading: what has lost its name is written no more
            lines = self._whole_lines()
            if lines or has_name or not self._go_on():
                return lines

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _has_name(self) -> bool:
        try:
            return self._descriptor >= 0 and os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _whole_lines(self) -> bytes:
        if self._descriptor < 0:
            return b""
        if os.fstat(self._descriptor).st_size < self._position:
            self._position = 0  # somebody cut it
        found = b""
        while more := os.pread(self._descriptor, _AT_ONCE, self._position + len(found)):
            found += more
            end = found.rfind(b"\n") + 1
            if end:
                self._position += end
                return found[:end]
        return b""

    def _go_on(self) -> bool:
        descriptor = _opened(self._path)
        if descriptor < 0:
            return False  # renamed away, and nothing in its place yet
        self.close()
        self._descriptor, self._position = descriptor, 0
        return True


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1


def _end_of_last_line(descriptor: int) -> int:
    """A line that is being appended now belongs to what is new."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _AT_ONCE)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
