"""What keeps two worktrees apart that run at once: a port offset and caches of their own.

A slot is a link `<projects>/.ports/<number>` that names its worktree: disjoint over all projects of a home. The offset
is ten times the slot, from 10 on, so that the main checkout keeps the plain ports.
"""

from __future__ import annotations

import os
from contextlib import suppress

_PORTS_A_SLOT = 10
_MOST_SLOTS = 1000


def environment(side: str, slot: int) -> tuple[tuple[str, str], ...]:
    """Caches that tools fill by path or by name are private, so that no task sees what another left there: what
    follows XDG_CACHE_HOME (pip, uv, go, yarn), and pip and npm by name as a user's settings may point them elsewhere.
    """
    return (
        ("CONDUCTOR_PORT_OFFSET", str(slot * _PORTS_A_SLOT)),
        ("XDG_CACHE_HOME", f"{side}/cache"),
        ("PIP_CACHE_DIR", f"{side}/cache/pip"),
        ("npm_config_cache", f"{side}/cache/npm"),
    )


def take_slot(folder: str, name: str) -> int:
    """The slot of the worktree `name` of the project at `folder`: the one it has, or the lowest that is free."""
    root, owner = _root(folder), f"{os.path.basename(folder)}/{name}"
    os.makedirs(root, mode=0o700, exist_ok=True)
    taken = _owners(root)
    for slot, found in taken.items():
        if found == owner:
            return slot
    for slot in range(1, _MOST_SLOTS):
        if slot not in taken and _claim(f"{root}/{slot}", owner):
            return slot
    return 0


def free_slot(folder: str, name: str) -> None:
    root, owner = _root(folder), f"{os.path.basename(folder)}/{name}"
    for slot, found in _owners(root).items():
        if found == owner:
            with suppress(FileNotFoundError):
                os.unlink(f"{root}/{slot}")


def _root(folder: str) -> str:
    return f"{os.path.dirname(folder)}/.ports"


def _owners(root: str) -> dict[int, str]:
    found = {}
    for name in os.listdir(root) if os.path.isdir(root) else []:
        if name.isdigit():
            with suppress(OSError):
                found[int(name)] = os.readlink(f"{root}/{name}")
    return dict(sorted(found.items()))


def _claim(path: str, owner: str) -> bool:
    """A link is made with its content in one moment; it leads nowhere and is never followed."""
    try:
        os.symlink(owner, path)
    except FileExistsError:
        return False
    return True
