"""What workers say of themselves, over the one pipe that they all inherit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from conductor.domain.wire import Busy, LineBuffer, Note, Ready, parse_message


class Reports:
    """The pipe: `write_fd` is for nurseries, the rest is ours."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._buffer = LineBuffer()

    def fresh(self) -> Iterator[Ready | Busy | Note]:
        """What has come since, in its order; what is garbled is dropped, the scan finds what is true."""
        with suppress(BlockingIOError):
            while received := os.read(self.read_fd, 65536):
                for line in self._buffer.feed(received):
                    message = parse_message(line)
                    if isinstance(message, Ready | Busy | Note):
                        yield message
