"""A log that never ends, in segments: `results.txt` is written to, `results.txt.<end>` are those that were before it.

A position counts the bytes of all segments that ever were: it means the same byte whatever is renamed or removed
meanwhile. <end> is the position behind a segment's last byte, fifteen digits, so names sort; the file that is written
to begins where the newest of them ends.

What holds at every moment, whoever is killed where:

1. Whoever appends or rotates holds the log's lock, or is its only writer, and opens the file by its name under it. So
   nothing is ever written to a segment that has been renamed.
2. A segment is cut behind its last whole line and synced, then renamed in one step, and the folder synced before any
   line goes into its successor. So no line is in two segments or in none, and what was synced stays found.
3. A reader asks first whether its open file still has the name, and reads then. Has it lost the name, that was all of
   it, and the next line is the first of the segment that begins there. It may be many rotations late: names tell where
   it goes on, as long as `prune` has left them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from conductor.kit.durable import sync_directory

_CHUNK = 1 << 18
_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITING = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_END = re.compile(r"\d{15}")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part that is written no more. `end` is a position."""

    path: str
    end: int


def older_segments(path: str) -> list[Segment]:
    """What was before the file at `path`, oldest first."""
    begin = os.path.basename(path) + "."
    ends = [name[len(begin) :] for name in os.listdir(os.path.dirname(path)) if name.startswith(begin)]
    return [Segment(f"{path}.{end}", int(end)) for end in sorted(filter(_END.fullmatch, ends))]


def begin_of(path: str) -> int:
    """The position of the first byte of the file at `path`."""
    older = older_segments(path)
    return older[-1].end if older else 0


def end_of(path: str) -> int:
    """The position behind the last byte; while somebody rotates perhaps an earlier one, never a later."""
    begin = begin_of(path)  # first: a begin that came after it would count the old size on top
    try:
        return begin + os.stat(path).st_size
    except FileNotFoundError:
        return begin


def lines_backwards(path: str) -> Iterator[bytes]:
    """Whole lines from the last to the first, without their ends, of all segments that are there; read as they are
    asked for."""
    for segment in [path, *(older.path for older in reversed(older_segments(path)))]:
        descriptor = _opened(segment)
        if descriptor is not None:
            try:
                yield from _backwards(descriptor)
            finally:
                os.close(descriptor)


def _backwards(descriptor: int) -> Iterator[bytes]:
    at, rest = _behind_last_line(descriptor, os.fstat(descriptor).st_size) - 1, b""  # without the last line's end
    while at > 0:
        start = max(0, at - _CHUNK)
        rest, *lines = (os.pread(descriptor, at - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        at = start
    if at == 0:
        yield rest


def open_to_append(path: str) -> int:
    """A descriptor of the file at `path`, made where a rotation was killed before it made it; its name is durable."""
    try:
        return os.open(path, _WRITING)
    except FileNotFoundError:
        descriptor = os.open(path, _WRITING | os.O_CREAT, 0o600)
    sync_directory(os.path.dirname(path))
    return descriptor


def rotate(path: str) -> bool:
    """The file at `path` becomes a segment and an empty one takes its place; False where it is empty or not there.

    The caller holds the log's lock. Killed anywhere, nothing has to be done: `open_to_append` makes what is missing.
    """
    try:
        descriptor = os.open(path, _WRITING)
    except FileNotFoundError:
        return False
    try:
        size = drop_torn_tail(descriptor)
        if not size:
            return False
        os.fsync(descriptor)  # who appended and has not synced yet will sync the new file
    finally:
        os.close(descriptor)
    os.rename(path, f"{path}.{begin_of(path) + size:015d}")
    os.close(os.open(path, _WRITING | os.O_CREAT, 0o600))
    sync_directory(os.path.dirname(path))
    return True


def prune(path: str, keep: int, needed_from: int) -> None:
    """Removes the oldest segments but the last `keep` (at least one, which tells where the file begins), and none that
    holds something from the position `needed_from` on."""
    for segment in older_segments(path)[: -max(1, keep)]:
        if segment.end <= needed_from:
            with suppress(FileNotFoundError):
                os.unlink(segment.path)


def drop_torn_tail(descriptor: int) -> int:
    """Cuts what follows the last line end, and returns the size then."""
    end = os.fstat(descriptor).st_size
    if end == 0 or os.pread(descriptor, 1, end - 1) == b"\n":
        return end
    start = _behind_last_line(descriptor, end)
    os.ftruncate(descriptor, start)
    return start


def _behind_last_line(descriptor: int, end: int) -> int:
    while end > 0:
        start = max(0, end - _CHUNK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


class Follower:
    """Reads whole lines, each once, from a position on, over any number of rotations.

    `position`: where to begin; None: behind the last whole line that is there now. What was removed before it was read
    is passed over. A file that others cut or replaced is read from its start.
    """

    def __init__(self, path: str, position: int | None = None) -> None:
        self._path = path
        self._descriptor = -1
        self._begin = 0
        self.moves = 0
        """How many files it has opened."""
        self.position = sys.maxsize if position is None else position
        if not self._go_on():
            self.position = min(self.position, begin_of(path))
        elif position is None:
            self.position = self._begin + _behind_last_line(self._descriptor, self.position - self._begin)

    def read(self, at_most: int = _CHUNK) -> bytes:
        """The next whole lines, about `at_most` bytes of them; empty: there are none yet."""
        while True:
            is_complete = not self._has_name()  # asked before reading: what has lost its name is written no more
            lines = self._whole_lines(at_most) if self._descriptor >= 0 else b""
            if lines or not is_complete or not self._go_on():
                return lines

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _has_name(self) -> bool:
        return self._descriptor >= 0 and _is_file_at(self._path, self._descriptor)

    def _whole_lines(self, at_most: int) -> bytes:
        if os.fstat(self._descriptor).st_size < self.position - self._begin:
            self.position = self._begin
        found = b""
        while more := os.pread(self._descriptor, at_most, self.position - self._begin + len(found)):
            found += more
            end = found.rfind(b"\n") + 1
            if end:
                self.position += end
                return found[:end]
        return b""

    def _go_on(self) -> bool:
        """Over to the file that holds the next byte; False: there is none at present."""
        while True:
            found = _open_at(self._path, self.position)
            if found is None:
                return False
            descriptor, begin, end = found
            if self._descriptor < 0 or not os.path.sameopenfile(descriptor, self._descriptor):
                break
            os.close(descriptor)
            self.position = end  # what is left of it is a torn line
        is_first = not self.moves
        self.close()
        if is_first:
            self.position = min(max(self.position, begin), end)
        elif self.position < begin:
            self.position = begin
        elif self.position > begin:
            begin = self.position  # others put it there: names say nothing of it
        self._descriptor, self._begin, self.moves = descriptor, begin, self.moves + 1
        return True


def _open_at(path: str, position: int) -> tuple[int, int, int] | None:
    """(descriptor, begin, end) of the segment that holds the byte at `position`, or the nearest after it; None: the
    file with the name, which should, is not there at present."""
    while True:
        current = _opened(path)
        older = older_segments(path)
        if current is None or _is_file_at(path, current):  # else it was renamed while names were read
            holding = next((segment for segment in older if segment.end > position), None)
            begin = older[-1].end if older else 0
            if holding is None:
                return (current, begin, begin + os.fstat(current).st_size) if current is not None else None
            descriptor = _opened(holding.path)
            if descriptor is not None:
                if current is not None:
                    os.close(current)
                return descriptor, holding.end - os.fstat(descriptor).st_size, holding.end
        if current is not None:
            os.close(current)


def _opened(path: str) -> int | None:
    try:
        return os.open(path, _READING)
    except FileNotFoundError:
        return None


def _is_file_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
