"""results.txt: one whole line a finished attempt, never a torn line before another. See `kit.segments` for positions.

A record holds the position at which results.txt ended before its line was written, so recovery finds that very line,
in whatever segment it lies now; a segment goes only when no attempt whose record is there has yet to move on.
"""

from __future__ import annotations

import os

from conductor.kit.segments import Follower, drop_torn_tail, end_of, open_to_append, prune, rotate

_CHUNK = 65536


class ResultsLog:
    """Writers hold the queue lock around `append` and sync afterwards, outside of it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def size(self) -> int:
        """The position of its end: no line that is still to be written will begin before this, torn tails apart."""
        return end_of(self._path)

    def is_larger(self, largest: int) -> bool:
        """Whether the file that is written to has more than `largest` bytes."""
        try:
            return os.stat(self._path).st_size > largest
        except FileNotFoundError:
            return False

    def append(self, line: bytes) -> None:
        """Writes `line` after the last whole line. On an error nothing of it stays."""
        descriptor = open_to_append(self._path)
        try:
            end = drop_torn_tail(descriptor)
            try:
                written = os.write(descriptor, line)
                while written < len(line):
                    written += os.write(descriptor, line[written:])
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)

    def sync(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # renamed since: synced before that
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def holds(self, line: bytes, from_position: int) -> bool:
        """Whether that very line stands at or after `from_position`. The queue lock is held."""
        # One line back: a torn tail before the position may have been cut and this line begin there.
        follower = Follower(self._path, max(0, min(from_position, self.size()) - _CHUNK))
        try:
            return any(line in lines.splitlines(keepends=True) for lines in iter(follower.read, b""))
        finally:
            follower.close()

    def rotate(self, largest: int, keep: int, needed_from: int) -> bool:
        """Begins anew when it has more than `largest` bytes; `keep` older segments stay, and what holds anything from
        the position `needed_from` on. The queue lock is held."""
        if not (self.is_larger(largest) and rotate(self._path)):
            return False
        prune(self._path, keep, needed_from - _CHUNK)
        return True
