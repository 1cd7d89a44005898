"""What a dead worker left: its outcome is recorded if it was known, else the attempt counts as lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from conductor.domain.errors import BadTask, Fenced
from conductor.domain.outcome import Outcome, Status, TaskResult
from conductor.domain.retry import Verdict
from conductor.domain.task import Claim
from conductor.domain.view import Recovered
from conductor.queue.files import QueueFiles
from conductor.queue.names import Entry

_STALE_TMP_SECONDS = 3600.0

Finish = Callable[[Claim, TaskResult], Verdict]


def recover(files: QueueFiles, owner_lives: Callable[[str], bool], finish: Finish) -> list[Recovered]:
    """Finishes every claim whose owner is gone. Killed anywhere, doing it again brings the same end."""
    done = []
    for folder in (files.layout.finishing, files.layout.claimed):
        for name, entry in files.owned_entries(folder):
            if not owner_lives(entry.owner):
                with suppress(FileNotFoundError, Fenced):  # its owner was just finishing
                    done.append(_recover_one(files, f"{folder}/{name}", entry, finish))
    sweep_tmp(files)
    return [recovered for recovered in done if recovered is not None]


def _recover_one(files: QueueFiles, path: str, entry: Entry, finish: Finish) -> Recovered | None:
    name = os.path.basename(path)
    record = files.read_attempt(entry)
    if record is not None:
        if path.startswith(files.layout.claimed):
            os.rename(path, f"{files.layout.finishing}/{name}")
        files.complete(name, record)
        return Recovered(entry.task_id, entry.tries.started, entry.owner, Status(record["status"]), was_recorded=True)
    try:
        spec = files.read_task(path)
    except BadTask as error:
        files.refuse(path, str(error))
        return None
    if path.startswith(files.layout.finishing):
        os.rename(path, f"{files.layout.claimed}/{name}")
    claim = Claim(spec, entry.tries, entry.owner, files.home.attempt(entry.task_id, entry.tries.started))
    verdict = finish(claim, _lost(files, claim, path))
    return Recovered(entry.task_id, entry.tries.started, entry.owner, verdict.status, was_recorded=False)


def _lost(files: QueueFiles, claim: Claim, path: str) -> TaskResult:
    now = files.clock()
    try:
        began = min(os.stat(f"{claim.directory}/TASK.txt").st_mtime, now)
    except OSError:
        began = now
    reason = f"attempt {claim.attempt} was lost: its worker or the machine went away"
    return TaskResult(Outcome.LOST, reason, reason, began, now)


def sweep_tmp(files: QueueFiles) -> None:
    """Removes what a killed writer left in tmp/; nothing there was ever accepted."""
    now = files.clock()
    for name in os.listdir(files.layout.tmp):
        path = f"{files.layout.tmp}/{name}"
        with suppress(FileNotFoundError):
            if now - os.lstat(path).st_mtime > _STALE_TMP_SECONDS:
                os.unlink(path)
