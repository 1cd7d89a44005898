"""Where an agent keeps its private state during one attempt: $CONDUCTOR_HOME/state/<worker id>."""

from __future__ import annotations

import os
from contextlib import suppress

from conductor.domain.worker_id import parse_worker_id
from conductor.kit.filesystem import remove_tree
from conductor.kit.process import owner_lives


def private_folder(home: str, worker_id: str) -> str:
    return f"{home}/state/{worker_id}"


def make_private_folder(home: str, worker_id: str) -> str:
    """An empty folder that only we may enter. What dead workers left goes first: it may hold a copy of a login."""
    sweep_private_folders(home)
    folder = private_folder(home, worker_id)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def sweep_private_folders(home: str) -> None:
    """Removes the folders of workers that are gone; what has no worker's name is a stranger's and stays."""
    with suppress(OSError):
        for name in os.listdir(f"{home}/state"):
            if parse_worker_id(name) and not owner_lives(name):
                remove_tree(f"{home}/state/{name}")
