"""Tasks that wait for others, moved on: let go when all of those ended well, failed when one did not."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace

from conductor.domain.errors import BadTask
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.task import Claim, TaskSpec
from conductor.domain.view import Tended
from conductor.domain.worker_id import worker_id
from conductor.kit.durable import sync_directory
from conductor.kit.process import own_identity
from conductor.queue.attempts import Attempts
from conductor.queue.endings import Failed
from conductor.queue.files import QueueFiles
from conductor.queue.names import Entry, parse_ordered

_AT_ONCE = 64
_LET_GO, _FAILED, _NEITHER = "let go", "failed", ""


class Dependents:
    """Looks only at those whose awaited task has ended."""

    def __init__(self, files: QueueFiles, attempts: Attempts) -> None:
        self._files = files
        self._attempts = attempts

    def move_on(self, tended: Tended) -> Tended:
        """One bounded round, counted into what was tended besides."""
        ended = [self._move_one(path) for path in self._files.after.due(_AT_ONCE)]
        return replace(
            tended,
            promoted=tended.promoted + ended.count(_LET_GO),
            failed=ended.count(_FAILED),
            more=tended.more or self._files.after.has_due(),
        )

    def recheck(self) -> None:
        """Finds what no event told, as after a power cut: those that wait for a task that has ended long ago."""
        for awaited in self._files.after.awaited():
            with self._files.lock:
                if self._files.endings.status_of(awaited) is not None:
                    self._files.after.has_ended(awaited)

    def _move_one(self, path: str) -> str:
        """Let go (to run now or at its time), failed, or neither: it waits for another, or is gone."""
        moved = self._judge(path)
        self._files.after.taken(os.path.dirname(path))
        return moved

    def _judge(self, path: str) -> str:
        entry = parse_ordered(os.path.basename(path))
        try:
            if entry is None:
                raise BadTask(f"{os.path.basename(path)!r} in after/ is no name of a task")
            spec = self._files.read_task(path)
        except FileNotFoundError:
            return _NEITHER  # cancelled meanwhile
        except BadTask as error:
            self._files.refuse(path, str(error))
            return _NEITHER
        with suppress(FileNotFoundError):
            with self._files.lock:
                decision = self._files.endings.decide(spec)
                if not isinstance(decision, Failed):
                    due_ms = spec.not_before_ms if spec.not_before_ms > self._files.now_ms() else 0
                    placed = self._files.place(spec, entry.tries, path, due_ms=due_ms)
                    return _NEITHER if placed.startswith(self._files.layout.after) else _LET_GO
                claim = self._take(path, entry, spec)
            self._fail(claim, decision.reason)
            return _FAILED
        return _NEITHER

    def _take(self, path: str, entry: Entry, spec: TaskSpec) -> Claim:
        """As a claim of nobody who lives: what does not come to its end here is recovered like any other."""
        nobody = replace(own_identity(), start_ticks=0)
        tries, owner = entry.tries.next_attempt(), worker_id("cli", nobody)
        claimed = self._files.owned_path(self._files.layout.claimed, entry.task_id, tries, owner)
        os.rename(path, claimed)
        return Claim(spec, tries, owner, self._files.home.attempt(entry.task_id, tries.started))

    def _fail(self, claim: Claim, reason: str) -> None:
        """Recorded like any attempt, with no further one: nothing would be different."""
        sync_directory(self._files.layout.claimed)
        now = self._files.clock()
        final = replace(claim, spec=replace(claim.spec, retries=0))
        self._attempts.finish(final, TaskResult(Outcome.FAILED, reason, reason, now, now))
