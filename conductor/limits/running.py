"""Which agents run now: one file each, named for the worker, so that those of a killed worker are known for dead.

`<home>/limits/running/<worker-id>.json` holds {agent, provider, account, memory, since, task}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from conductor.limits.files import read_as, write_fields
from conductor.ports import Log

SETTLING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One agent that runs. `memory` is what it is known to take at its peak, in bytes; `since` in seconds since
    1970."""

    agent: str
    provider: str
    account: str
    memory: int
    since: float
    task: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.provider, self.account

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Entry:
        return cls(
            agent=str(fields["agent"]),
            provider=str(fields["provider"]),
            account=str(fields["account"]),
            memory=int(fields["memory"]),
            since=float(fields["since"]),
            task=str(fields.get("task", "")),
        )


def still_to_take(entries: Sequence[Entry], now: float) -> int:
    """Bytes that agents which have just started are expected to take on top of what they have: all at once at their
    start, nothing after SETTLING_SECONDS, and evenly less between. One from the future (the clock was set back) is not
    new."""
    ages = ((entry, now - entry.since) for entry in entries)
    return int(sum(entry.memory * (1 - age / SETTLING_SECONDS) for entry, age in ages if 0 <= age < SETTLING_SECONDS))


class Running:
    """The entries of one home. Who checks and enters holds the room's lock meanwhile."""

    def __init__(self, home: str, owner_lives: Callable[[str], bool], log: Log | None = None) -> None:
        self._folder = f"{home}/limits/running"
        self._owner_lives = owner_lives
        self._log = log

    def entries(self, *, sweep: bool = False) -> list[Entry]:
        """Those of workers that live. `sweep`: what the others left is removed, which only a worker of this home should
        do: from elsewhere (another container) living ones may look dead."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        found = (self._entry(name, sweep) for name in sorted(names))
        return [entry for entry in found if entry is not None]

    def enter(self, worker_id: str, entry: Entry) -> None:
        write_fields(self._path(worker_id), asdict(entry))

    def leave(self, worker_id: str) -> None:
        """Never raises: what can't be removed goes when the worker is gone."""
        with suppress(OSError):
            os.unlink(self._path(worker_id))

    def _entry(self, name: str, sweep: bool) -> Entry | None:
        worker, _, rest = name.partition(".json")
        if not self._owner_lives(worker):
            if sweep:
                with suppress(OSError):
                    os.unlink(f"{self._folder}/{name}")
            return None
        return None if rest else read_as(f"{self._folder}/{name}", Entry.from_fields, self._log)

    def _path(self, worker_id: str) -> str:
        return f"{self._folder}/{worker_id}.json"
