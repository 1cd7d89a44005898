"""results.txt as it grows: whole lines, each once, woken by the kernel where it is willing."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import suppress

from conductor.domain.errors import BadTask
from conductor.domain.lines import ResultLine, parse_result
from conductor.kit.inotify import Inotify
from conductor.kit.segments import Follower

_POLL_SECONDS = 0.05
_LOOK_ANYWAY_SECONDS = 1.0
"""An event that the kernel dropped costs no more than this."""


class ResultLines:
    """Lines that stand in results.txt from `position` on (None: those that come from now on), and those that come.

    Each line once, also while results.txt is begun anew. For one thread.
    """

    def __init__(self, path: str, position: int | None = None) -> None:
        self._path = path
        self._watch: Inotify | None = None
        self._follower = Follower(path, position)
        with suppress(OSError):  # its limits are small and shared by all of a user's programs
            self._watch = Inotify()
        self._watch_it()

    def take(self) -> Iterator[ResultLine]:
        """What came since the last call; a line that can't be read is passed over."""
        self._watch_it()
        while lines := self._follower.read():
            for line in lines.decode("utf-8", "replace").split("\n")[:-1]:
                with suppress(BadTask):
                    yield parse_result(line)

    def wait(self, seconds: float) -> None:
        """Until something was perhaps appended since the last `take`, at most so long."""
        if self._watch is None:
            time.sleep(max(0.0, min(seconds, _POLL_SECONDS)))
            return
        poll = select.poll()
        poll.register(self._watch.fileno(), select.POLLIN)
        poll.poll(max(0.0, min(seconds, _LOOK_ANYWAY_SECONDS)) * 1000)

    def close(self) -> None:
        self._follower.close()
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
