"""What the state machine believes: the shipped fake, which can be led by hand to where a killed process stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.retry import RetryPolicy
from conductor.domain.task import Claim, Tries
from conductor.domain.view import Ended, Queued, Running, TaskView, Waiting
from conductor.testing.clock import ManualClock
from conductor.testing.memory_queue import MemoryQueue


class Model(MemoryQueue):
    """A MemoryQueue with hands inside."""

    def __init__(self, policy: RetryPolicy) -> None:
        self.clock = ManualClock()
        super().__init__(self.clock, lambda: 0.0, policy)

    def ids(self) -> set[str]:
        return set(self._views)

    def is_marked(self, task_id: str) -> bool:
        return task_id in self._marks

    def mark(self, task_id: str, *, cancelled: bool) -> None:
        (self._marks.add if cancelled else self._marks.discard)(task_id)

    def hand_out(self, task_id: str, worker: str) -> Claim:
        """Claims that very task, wherever it waits."""
        view = self._views[task_id]
        assert isinstance(view, Queued | Waiting), f"{worker} got {task_id}, which is {view}"
        return self._hand_out(view, worker)

    def move_like(self, view: Queued | Waiting) -> None:
        """Unpacks or promotes one task that a killed daemon had come to."""
        if isinstance(view, Queued) and not view.in_batch:
            self._place(view.spec, view.tries)
        elif isinstance(view, Waiting):
            self._place(view.spec, view.tries, due_ms=view.due_ms)

    def best_priority(self, pool: str) -> int | None:
        """Of what may be claimed now."""
        ready = self._ready(pool)
        return ready[0].spec.priority if ready else None

    def record_as(self, claim: Claim, record: dict[str, Any], at: float) -> None:
        """Records what a killed worker did, at the time when it did."""
        now, self.clock.now = self.clock.now, at
        verdict = self.record_only(claim, result_of(record))
        self.clock.now = now
        assert (verdict.status.value, verdict.due_ms) == (record["status"], record["next"]["due_ms"]), record


def result_of(record: dict[str, Any]) -> TaskResult:
    return TaskResult(Outcome(record["outcome"]), record["reason"], "", 0.0, 0.0)


def owned_claim(view: Running, directory: str = "") -> Claim:
    return Claim(view.spec, view.tries, view.worker_id, directory)


def essence(view: TaskView | None) -> object:
    """What must be the same in the queue and in the model; a batch's name and a claim's time are nobody's business."""
    match view:
        case Queued(in_batch=batch):
            return replace(view, in_batch="batched" if batch else "")
        case Running():
            return replace(view, since=0.0)
        case Ended(task_id, status, record, can_retry):
            return task_id, status, can_retry, record["attempt"], record["outcome"], record["worker"]
    return view


def unclaimed(tries: Tries) -> Tries:
    """The counters before the present attempt."""
    return replace(tries, started=tries.started - 1)
