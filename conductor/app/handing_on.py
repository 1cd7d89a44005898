"""The settings that conductord has in force, handed to an orchestrator: it never reads the files itself, which may be
wrong, or changed and not reloaded. What is handed on also tells conductord which orchestrators a reload concerns."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING

from conductor.app.routing import registry_path
from conductor.domain.home import Home

if TYPE_CHECKING:
    from conductor.settings.model import Settings

_OF_NO_MATTER = frozenset(
    {
        "poll_interval",
        "max_idle_time",
        "restart",
        "stop_timeout",
        "grace",
        "log_cap",
        "cgroup",
        "discord_channel",
        "space",
        "retention",
    }
)
"""Settings that no orchestrator looks at: one that is missing here costs a restart too many, no more."""


def settings_for(home: Home, settings: Settings, project: str) -> str:
    """What the orchestrator of `project` is given on its standard input; another text when anything that matters to it
    is another, the files that settings name included."""
    said = settings.model_dump(mode="json", exclude_unset=True, exclude=set(_OF_NO_MATTER))
    if "projects" in said:
        said["projects"] = {name: one for name, one in said["projects"].items() if name == project}
    named = (registry_path(home, settings), os.path.join(home.path, os.path.expanduser(settings.prices)))
    return json.dumps({"settings": said, "files": {path: _digest(path) for path in named if path}})


def handed_settings() -> Settings | None:
    """Those on standard input; None where none were handed on: started by hand."""
    from conductor.settings.model import Settings

    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    return Settings.model_validate(json.loads(text)["settings"]) if text else None


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
