"""conductor.yaml and variables as plain values, read without the checking library: what `submit` can afford."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home

SHELL_NAMES = {
    "WORKERS": "workers",
    "POLL_INTERVAL": "poll_interval",
    "MAX_IDLE_TIME": "max_idle_time",
    "OPENCLAW_BIN": "openclaw_bin",
    "DISCORD_CHANNEL": "discord_channel",
}
"""Variables that users of the shell version know."""

OWN_NAMES = (
    "agent",
    "workers",
    "poll_interval",
    "max_idle_time",
    "timeout",
    "stall_timeout",
    "retries",
    "stop_timeout",
    "grace",
    "autonomy",
    "simulate",
)
"""Settings that `CONDUCTOR_<NAME>` sets."""


def find_home(environment: Mapping[str, str], flag: str | None = None) -> Home:
    """The home: the flag, CONDUCTOR_HOME, or `conductor` in the XDG state directory."""
    chosen = flag or environment.get("CONDUCTOR_HOME")
    if not chosen:
        state = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local/state")
        chosen = os.path.join(state, "conductor")
    return Home(os.path.abspath(os.path.expanduser(chosen)))


def raw_settings(home: Home, environment: Mapping[str, str]) -> dict[str, Any]:
    """The file's mapping with what variables say laid over it, unchecked. Raises SettingsInvalid."""
    settings = read_file(home.settings_file)
    for variable, name in SHELL_NAMES.items():
        if environment.get(variable):
            settings[name] = environment[variable]
    for name in OWN_NAMES:
        value = environment.get("CONDUCTOR_" + name.upper())
        if value:
            settings[name] = value
    return settings


def read_file(path: str) -> dict[str, Any]:
    """The mapping in a YAML file, empty where there is no file. Raises SettingsInvalid with the line of the fault."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"can't read {path}: {error}") from error
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return {}
    import yaml

    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise SettingsInvalid(f"{path} is not YAML: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise SettingsInvalid(f"{path} must hold settings as `name: value`, not a {type(found).__name__}")
    return {str(name): value for name, value in found.items()}
