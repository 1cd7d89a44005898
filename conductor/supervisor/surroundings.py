"""What the daemon's loop has around it besides queue, fleet and services, as far as it knows them."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Something that makes the loop look at the inbox."""

    def fileno(self) -> int: ...

    def take(self) -> bool: ...


class Keys(Protocol):
    """A terminal, until `is_gone`."""

    is_gone: bool

    def fileno(self) -> int: ...

    def take(self) -> str: ...


class StatusPage(Protocol):
    def write(self) -> None: ...

    def show(self) -> None: ...


class Looker(Protocol):
    """Something that is looked after with every scan while the daemon runs on."""

    def look(self, now: float) -> None: ...
