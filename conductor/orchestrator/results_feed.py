"""The port ResultsFeed on results.txt, with the project's doorbell on the same descriptor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from conductor.domain.errors import BadTask
from conductor.domain.lines import parse_result
from conductor.domain.outcome import Status
from conductor.kit.inotify import Inotify
from conductor.kit.segments import Follower


class FileResultsFeed:
    """Tells what is appended after it was made: make it first, then look at what the queue says of older tasks.

    It goes along when results.txt is rotated. A file that others cut or replaced is read from its start, so an id may
    come again; none is left out.
    """

    def __init__(self, results_path: str, doorbell_folder: str = "") -> None:
        self._path = results_path
        self._follower = Follower(results_path)
        self._watch = self._begin_to_watch(doorbell_folder)

    def fileno(self) -> int:
        """Readable when results.txt has grown or somebody rang; -1 where the kernel refuses: call `take` regularly."""
        return self._watch.fileno() if self._watch is not None else -1

    def take(self) -> Iterator[str]:
        if self._watch is not None:
            self._watch.take()
        moves = -1
        while moves != self._follower.moves:
            moves = self._follower.moves
            yield from self._read_on()
            if moves != self._follower.moves and self._watch is not None:  # and reads again: what came in between
                with suppress(OSError):
                    self._watch.watch_file(self._path)

    def close(self) -> None:
        self._follower.close()
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
        while lines := self._follower.read():
            for line in lines.split(b"\n")[:-1]:
                task_id = _ended_for_good(line)
                if task_id:
                    yield task_id


def _ended_for_good(line: bytes) -> str:
    """The task's id; empty for one that will be tried again, and for a line that says nothing."""
    try:
        result = parse_result(line.decode())
    except (BadTask, UnicodeDecodeError):
        return ""
    return "" if result.status is Status.RETRY else result.task_id
