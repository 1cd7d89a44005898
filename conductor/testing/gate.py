"""A gate for tests: it passes nothing on, and tells the calls that it is given."""

from __future__ import annotations

import os

from conductor.domain.agent_events import Call
from conductor.ports import Endpoint


class ToldGate:
    """`tell` makes it readable, as a call's end does. What happened to it is kept."""

    def __init__(self, *calls: Call) -> None:
        self.endpoint = Endpoint("http://127.0.0.1:9", "worthless")
        self.started = self.closed = False
        self.refused = ""
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._calls: list[Call] = []
        for call in calls:
            self.tell(call)

    def start(self) -> None:
        self.started = True

    def tell(self, call: Call) -> None:
        self._calls.append(call)
        os.eventfd_write(self._event, 1)

    def fileno(self) -> int:
        return self._event

    def take(self) -> list[Call]:
        if self._calls and not self.closed:
            os.eventfd_read(self._event)
        calls, self._calls = self._calls, []
        return calls

    def refuse(self, reason: str) -> None:
        self.refused = reason

    def close(self) -> None:
        self.closed = True
        os.close(self._event)
