"""Life signs, which come from the loop itself: a loop that hangs says nothing."""

from __future__ import annotations

import time
from contextlib import suppress

from conductor.domain.run import Heartbeat
from conductor.domain.service import ServiceFolder, format_heartbeat
from conductor.kit.durable import replace_file
from conductor.orchestrator.rules import Tools


class Heart:
    """Beats into the store, for people, and into the file `heartbeat`, for conductord."""

    def __init__(self, tools: Tools, every_seconds: float, owner: str) -> None:
        self._tools = tools
        self._every = every_seconds
        self._owner = owner
        self._next = 0.0

    def is_due(self, now: float) -> bool:
        return now >= self._next

    def beat(self, state: dict[str, object], now: float | None = None) -> None:
        self._next = (time.monotonic() if now is None else now) + self._every
        at = self._tools.clock()
        self._tools.store.beat(Heartbeat(self._tools.project, self._owner, at, state))
        with suppress(OSError):  # a full disk: the old one grows stale, which is true
            replace_file(ServiceFolder(self._tools.folder).heartbeat, format_heartbeat(self._owner, at))
