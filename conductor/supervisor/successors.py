"""Nurseries that are to take the place of others: only when one is up does the old one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from conductor.domain.wire import NurseryUp
from conductor.supervisor.nurseries import NurseryLink

_START_SECONDS = 30.0

StartNursery = Callable[[str, str], NurseryLink]
"""Pool and what its nursery is told, to a nursery. Raises OSError."""


class Succession(StrEnum):
    """How the last one stands."""

    NONE = "none"
    UNDER_WAY = "under way"
    DONE = "done"
    REFUSED = "refused"
    """One did not start: what was there goes on."""


class Successors:
    """At most one for each pool."""

    def __init__(self, start: StartNursery, let_go: Callable[[NurseryLink], None]) -> None:
        self._start = start
        self._let_go = let_go
        self._links: dict[str, NurseryLink] = {}
        self._kill_at = 0.0
        self.state = Succession.NONE
        self.why = ""

    def begin(self, configs: Mapping[str, str], now: float) -> None:
        """`configs`: by pool."""
        self.drop()
        self._kill_at, self.why = now + _START_SECONDS, ""
        self.state = Succession.UNDER_WAY if configs else Succession.DONE
        for pool, config in configs.items():
            try:
                self._links[pool] = self._start(pool, config)
                self._links[pool].on_trial = True
            except OSError:  # the machine is full: another time
                self.drop()
                return

    def hear(self) -> list[NurseryLink]:
        """Those that are up: from now on they are the caller's."""
        risen = []
        for pool, link in list(self._links.items()):
            messages = link.receive()
            if messages is None:
                self._lose(pool)
            elif any(isinstance(message, NurseryUp) for message in messages):
                link.on_trial = False
                risen.append(self._links.pop(pool))
        if self.state is Succession.UNDER_WAY and not self._links:
            self.state = Succession.DONE
        return risen

    def reaped(self, pid: int) -> None:
        for pool, link in list(self._links.items()):
            if link.pid == pid:
                self._lose(pool)

    def break_stuck(self, now: float) -> None:
        if now >= self._kill_at:
            for pool, link in list(self._links.items()):
                link.kill()
                self._lose(pool)

    def drop(self) -> None:
        """Those that are not up yet go; nothing is decided."""
        for link in self._links.values():
            self._let_go(link)
        self._links.clear()
        self.state = Succession.NONE

    def links(self) -> list[NurseryLink]:
        return list(self._links.values())

    def _lose(self, pool: str) -> None:
        self._let_go(self._links.pop(pool))
        self._refuse(pool, "it did not start: see its log line")

    def _refuse(self, pool: str, why: str) -> None:
        self.state, self.why = Succession.REFUSED, f"the nursery of pool {pool}: {why}"
