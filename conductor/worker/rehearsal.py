"""A rehearsal: the nursery walks a worker's path a few times before it forks the first one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from conductor.domain.exits import WorkerExit
from conductor.domain.worker_id import parse_worker_id, worker_id
from conductor.kit.filesystem import remove_tree
from conductor.kit.process import own_identity, owner_lives
from conductor.worker.life import Worker, WorkerTools

ATTEMPTS = 12
"""CPython 3.11 specialises a function after eight calls."""

_SCRATCH = "conductor-"
_RAM_DISK = "/dev/shm"  # noqa: S108 - a folder of our own is made in it, which nobody else can read


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder on a RAM disk, removed afterwards; empty where there is none to write to."""
    folder = f"{_RAM_DISK}/{_SCRATCH}{worker_id('nursery', own_identity())}"
    _sweep()
    try:
        os.mkdir(folder, 0o700)
    except OSError:
        yield ""
        return
    try:
        yield folder
    finally:
        remove_tree(folder)


def perform(tools: WorkerTools) -> None:
    """Runs what is queued on the scratch home, as workers do it, without their bonds to a nursery."""
    outcome = WorkerExit.DONE
    while outcome is WorkerExit.DONE:
        worker = Worker(0, tools, lambda line: None)
        try:
            outcome = worker.work_once()
        finally:
            worker.close()


def _sweep() -> None:
    """Removes what nurseries of this user left that were killed in the middle of theirs."""
    with suppress(OSError):
        for entry in os.scandir(_RAM_DISK):
            found = entry.stat(follow_symlinks=False)  # anyone may put a link there that leads elsewhere
            owner = entry.name.removeprefix(_SCRATCH)
            is_ours = owner != entry.name and parse_worker_id(owner) and entry.is_dir(follow_symlinks=False)
            if is_ours and found.st_uid == os.geteuid() and not owner_lives(owner):
                remove_tree(entry.path)
