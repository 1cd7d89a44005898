"""A home of the attempt's own, for CLIs that keep state all over the user's."""

from __future__ import annotations

import os

from conductor.agents.private_state import private_tmp
from conductor.ports import Prompt


def private_home(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """Variables that put HOME, the XDG folders and TMPDIR into the state directory; git still knows who commits."""
    state = prompt.state_directory
    git = f"{prompt.environment.get('HOME', '')}/.gitconfig"
    return (
        ("HOME", f"{state}/home"),
        *((f"XDG_{name.upper()}_HOME", f"{state}/{name}") for name in ("config", "data", "cache", "state")),
        ("TMPDIR", private_tmp(prompt)),
        *((("GIT_CONFIG_GLOBAL", git),) if os.path.isabs(git) and os.path.exists(git) else ()),
    )


def home_folder(prompt: Prompt) -> tuple[str, str]:
    """The entry of `Launch.files` that makes HOME."""
    return f"{prompt.state_directory}/home/.keep", ""


def shared_cache(prompt: Prompt, name: str) -> str:
    """A folder in conductor's home that all attempts share, for what is the same in each: compiled code, no context."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(prompt.attempt_directory)))
    return f"{home}/cache/{name}"
