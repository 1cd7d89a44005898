"""results.txt: append-only, one whole line a finished attempt, never a torn line before another."""

from __future__ import annotations

import os

_CHUNK = 65536


class ResultsLog:
    """Writers hold the queue lock around `append` and sync afterwards, outside of it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def size(self) -> int:
        """Bytes at present: no line that is still to be written will begin before this, torn tails apart."""
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0

    def append(self, line: bytes) -> None:
        """Writes `line` after the last whole line. On an error nothing of it stays."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            end = self._drop_torn_tail(descriptor)
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
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def holds(self, line: bytes, from_size: int) -> bool:
        """Whether that very line stands at or after `from_size`."""
        try:
            with open(self._path, "rb") as file:
                # One line back: a torn tail before `from_size` may have been cut and this line begin there.
                file.seek(max(0, min(from_size, self.size()) - _CHUNK))
                return line in file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return False

    def _drop_torn_tail(self, descriptor: int) -> int:
        """Cuts what follows the last line end, and returns the size then."""
        end = os.fstat(descriptor).st_size
        if end == 0 or os.pread(descriptor, 1, end - 1) == b"\n":
            return end
        start = end
        while start > 0:
            step = min(_CHUNK, start)
            position = os.pread(descriptor, step, start - step).rfind(b"\n")
            if position >= 0:
                start = start - step + position + 1
                break
            start -= step
        os.ftruncate(descriptor, start)
        return start
