"""Where an agent keeps its private state during one attempt: $CONDUCTOR_HOME/state/<worker id>."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from conductor.domain.worker_id import parse_worker_id
from conductor.kit.filesystem import remove_tree
from conductor.kit.process import owner_lives


def private_folder(home: str, worker_id: str) -> str:
    return f"{home}/state/{worker_id}"


def make_private_folder(home: str, worker_id: str, settle_left: Callable[[str], None]) -> str:
    """An empty folder that only we may enter. What dead workers left goes first: it may hold a copy of a login."""
    sweep_private_folders(home, settle_left)
    folder = private_folder(home, worker_id)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def sweep_private_folders(home: str, settle_left: Callable[[str], None]) -> None:
    """Removes the folders of workers that are gone, after `settle_left` has taken home what must survive; what has no
    worker's name is a stranger's and stays."""
    with suppress(OSError):
        for name in os.listdir(f"{home}/state"):
            if parse_worker_id(name) and not owner_lives(name):
                settle_left(f"{home}/state/{name}")
                remove_tree(f"{home}/state/{name}")
