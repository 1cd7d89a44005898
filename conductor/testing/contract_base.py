"""What every part of the queue contract stands on: the world of a queue under test, and what a subclass says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.lines import ResultLine
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.retry import RetryPolicy
from conductor.domain.task import Claim, TaskSpec
from conductor.ports import TaskQueue
from conductor.testing.clock import ManualClock

WORKER, OTHER, CALLER = "w1-101-1-00000000", "w2-102-2-00000000", "cli-103-3-00000000"


@dataclass(frozen=True)
class World:
    """What a queue under test is made of. `folder` is empty and the queue's own."""

    folder: Path
    clock: ManualClock
    policy: RetryPolicy = RetryPolicy()
    chance: Callable[[], float] = lambda: 0.0


def task(task_id: str, **options: Any) -> TaskSpec:
    return TaskSpec(task_id, f"echo {task_id}", agent="command", **options)


def result(outcome: Outcome = Outcome.SUCCESS, preview: str = "") -> TaskResult:
    return TaskResult(
        outcome, "" if outcome is Outcome.SUCCESS else "a reason", preview, 1_800_000_000.0, 1_800_000_002.5
    )


def claimed(queue: TaskQueue, worker: str = WORKER, pool: str = "default") -> Claim:
    """The next task, of which there must be one."""
    tend_all(queue)
    claim = queue.claim(pool, worker)
    assert claim is not None
    return claim


def claim_order(queue: TaskQueue, pool: str = "default") -> list[str]:
    """Claims all that is ready and tells the order."""
    order = []
    while claim := queue.claim(pool, WORKER):
        order.append(claim.spec.id)
    return order


def tend_all(queue: TaskQueue) -> None:
    while queue.tend("command").more:
        pass


def everybody_is_gone(worker: str) -> bool:
    return False


def only_the_other_lives(worker: str) -> bool:
    return worker == OTHER


class ContractBase:
    """How the suite gets at a queue."""

    # -- what a subclass says

    def make_queue(self, world: World) -> TaskQueue:
        raise NotImplementedError

    def results(self, world: World, queue: TaskQueue) -> Sequence[ResultLine]:
        """Every result line that was recorded, oldest first."""
        raise NotImplementedError

    def die_in_finish(self, world: World, queue: TaskQueue, claim: Claim, result: TaskResult) -> None:
        """The worker calls `finish` and is killed when the attempt is recorded, before its task has moved on."""
        raise NotImplementedError

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return World(tmp_path, ManualClock())

    @pytest.fixture
    def queue(self, world: World) -> TaskQueue:
        return self.make_queue(world)

    def statuses(self, world: World, queue: TaskQueue) -> list[tuple[str, str]]:
        return [(line.task_id, line.status.value) for line in self.results(world, queue)]
