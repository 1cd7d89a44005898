"""Wakes the daemon when something appears in inbox/. A hint only: the scan finds what it misses."""

from __future__ import annotations

import logging
import os
from contextlib import suppress

from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer


class InboxWatch(FileSystemEventHandler):
    """`fileno()` becomes readable when the folder changed."""

    def __init__(self, folder: str) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        logging.getLogger("watchdog").setLevel(logging.ERROR)  # what it warns of is found all the same by the scan
        self._observer = Observer()
        self._observer.schedule(self, folder, recursive=False)
        self._observer.start()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in (EVENT_TYPE_CREATED, EVENT_TYPE_MOVED, EVENT_TYPE_CLOSED):
            with suppress(BlockingIOError):
                os.write(self._write, b"!")

    def fileno(self) -> int:
        return self._read

    def take(self) -> bool:
        """Whether anything happened since the last call."""
        try:
            return bool(os.read(self._read, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(timeout=5)
