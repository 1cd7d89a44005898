"""The queue contract on the shipped fake: a fake that passes the same tests cannot lie."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from conductor.domain.lines import ResultLine
from conductor.domain.outcome import TaskResult
from conductor.domain.retry import RetryPolicy
from conductor.domain.task import Claim
from conductor.ports import TaskQueue
from conductor.testing.clock import ManualClock
from conductor.testing.contract_base import result, task, tend_all
from conductor.testing.memory_queue import MemoryQueue
from conductor.testing.queue_contract import QueueContract, World


class TestMemoryQueue(QueueContract):
    def make_queue(self, world: World) -> TaskQueue:
        return MemoryQueue(world.clock, world.chance, world.policy)

    def results(self, world: World, queue: TaskQueue) -> Sequence[ResultLine]:
        assert isinstance(queue, MemoryQueue)
        return queue.results

    def die_in_finish(self, world: World, queue: TaskQueue, claim: Claim, result: TaskResult) -> None:
        assert isinstance(queue, MemoryQueue)
        queue.record_only(claim, result)


def test_threads_share_a_memory_queue_and_run_each_task_once() -> None:
    queue = MemoryQueue(ManualClock(), lambda: 0.0, RetryPolicy())
    queue.submit_many([task(f"task-{number}") for number in range(300)])
    tend_all(queue)

    def work(worker: str) -> list[str]:
        done = []
        while claim := queue.claim("default", worker):
            queue.finish(claim, result())
            done.append(claim.spec.id)
        return done

    with ThreadPoolExecutor(4) as threads:
        done = [task_id for ids in threads.map(work, ["w1", "w2", "w3", "w4"]) for task_id in ids]

    assert sorted(done) == sorted(f"task-{number}" for number in range(300))
    assert len(queue.results) == 300
