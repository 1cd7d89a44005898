"""What a dead worker left: its outcome is recorded if it was known, else the attempt counts as lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from conductor.domain.errors import BadTask, Fenced
from conductor.domain.outcome import Outcome, Status, TaskResult
from conductor.domain.task import Claim
from conductor.domain.view import Recovered
from conductor.queue.attempts import Attempts
from conductor.queue.files import BLOCKED, QueueFiles
from conductor.queue.names import Entry

_STALE_TMP_SECONDS = 3600.0


def recover(files: QueueFiles, attempts: Attempts, owner_lives: Callable[[str], bool]) -> list[Recovered]:
    """Finishes every claim whose owner is gone. Killed anywhere, doing it again brings the same end."""
    done, failed = [], None
    for folder in (files.layout.finishing, files.layout.claimed):
        for name, entry in files.owned_entries(folder):
            if owner_lives(entry.owner):
                continue
            path = f"{folder}/{name}"
            try:
                done.append(_recover_one(files, attempts, path, entry))
            except (FileNotFoundError, Fenced):
                continue  # its owner was just finishing
            except OSError as error:  # a disk that refuses one must not keep the others waiting
                if error.errno in BLOCKED:
                    files.refuse(path, f"attempt {entry.tries.started} of {entry.task_id} can't be recorded: {error}")
                else:
                    failed = error
    sweep_tmp(files)
    if failed is not None:
        raise failed
    return [recovered for recovered in done if recovered is not None]


def _recover_one(files: QueueFiles, attempts: Attempts, path: str, entry: Entry) -> Recovered | None:
    name = os.path.basename(path)
    record = attempts.read_attempt(entry)
    claimed = path.startswith(files.layout.claimed)
    overruled = claimed and files.is_cancelled(entry.task_id)
    if record is not None and (not overruled or attempts.is_told(record)):
        if claimed:
            os.rename(path, f"{files.layout.finishing}/{name}")
        attempts.complete(name, record)
        return Recovered(entry.task_id, entry.tries.started, entry.owner, Status(record["status"]), was_recorded=True)
    try:
        spec = files.read_task(path)
    except BadTask as error:
        files.refuse(path, str(error))
        return None
    if path.startswith(files.layout.finishing):
        os.rename(path, f"{files.layout.claimed}/{name}")
    claim = Claim(spec, entry.tries, entry.owner, files.home.attempt(entry.task_id, entry.tries.started))
    verdict = attempts.finish(claim, _lost(files, claim, path))
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
