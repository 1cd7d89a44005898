"""What every look may need to know: gathered once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conductor.app import ask_daemon
from conductor.domain.errors import ConductorError, SettingsInvalid
from conductor.domain.home import Home

if TYPE_CHECKING:
    from conductor.settings.model import Settings

_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Case:
    """One home, as somebody's shell sees it."""

    home: Home
    environment: Mapping[str, str]
    deep: bool = False
    settings: Settings | None = None
    settings_fault: str = ""
    status: Mapping[str, Any] = field(default_factory=dict)
    """What conductord says of itself; empty: it does not answer."""
    service_environment: Mapping[str, str] = field(default_factory=dict)
    """What a running conductord has in its environment: of most variables only that they are there."""

    @property
    def is_there(self) -> bool:
        return os.path.isdir(self.home.path)

    @property
    def daemon_pid(self) -> int:
        """0: none answers."""
        return int(self.status.get("pid", 0))


def open_case(home: Home, environment: Mapping[str, str], *, deep: bool) -> Case:
    """Whatever can't be had is left out: that is what the looks are for."""
    from conductor.settings.model import load_settings

    settings, fault = None, ""
    try:
        settings = load_settings(home, environment)
    except SettingsInvalid as error:
        fault = str(error)
    status = _asked(home, "status")
    told = _asked(home, "environment") if status else {}
    return Case(home, environment, deep, settings, fault, status, told.get("environment", {}))


def _asked(home: Home, verb: str) -> dict[str, Any]:
    """An answer; empty where nobody answers, or a conductord of an earlier version does not know the word."""
    try:
        return ask_daemon(home, {"verb": verb}, timeout_seconds=_PATIENCE_SECONDS)
    except (ConductorError, ValueError, OSError):
        return {}
