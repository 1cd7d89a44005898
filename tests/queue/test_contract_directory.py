"""The queue contract on the real thing, once with each kind of lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from conductor.domain.errors import DuplicateTask
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine
from conductor.domain.outcome import Status, TaskResult
from conductor.domain.task import Claim
from conductor.domain.view import Recovered
from conductor.ports import TaskQueue
from conductor.queue.layout import Layout
from conductor.testing.clock import ManualClock
from conductor.testing.contract_base import CALLER, WORKER, claim_order, everybody_is_gone, result, task
from conductor.testing.queue_contract import QueueContract, World
from tests.queue.homes import LockMaker, file_lock, open_queue, quick_lock, result_lines
from tests.queue.kills import killed_when


class TestDirectoryQueueWithQuickLock(QueueContract):
    make_lock: LockMaker = staticmethod(quick_lock)

    def make_queue(self, world: World) -> TaskQueue:
        return open_queue(world.folder, world.clock, world.policy, world.chance, self.make_lock)[0]

    def results(self, world: World, queue: TaskQueue) -> Sequence[ResultLine]:
        return result_lines(Layout(Home(str(world.folder))))

    def die_in_finish(self, world: World, queue: TaskQueue, claim: Claim, result: TaskResult) -> None:
        with killed_when(lambda deed, path: "/finishing/" in path) as kill:
            queue.finish(claim, result)
        assert kill.happened


class TestDirectoryQueueWithFileLock(TestDirectoryQueueWithQuickLock):
    make_lock = staticmethod(file_lock)


def test_another_process_sees_what_this_one_did(tmp_path: Path) -> None:
    """Two handles on one home, one with each lock: nothing is kept in memory."""
    clock = ManualClock()
    mine, _ = open_queue(tmp_path, clock)
    theirs, _ = open_queue(tmp_path, clock, make_lock=file_lock)

    mine.submit(task("one"))
    mine.submit_many([task("two"), task("three")])
    mine.pause()
    assert theirs.paused()
    assert theirs.claim("default", WORKER) is None
    theirs.resume()
    theirs.tend("")
    claim = mine.claim("default", WORKER)
    assert claim is not None
    assert claim.spec.id == "one"
    theirs.cancel("one", WORKER)
    assert mine.cancel_requested(claim)
    mine.finish(claim, result())

    assert theirs.find("one") == mine.find("one")
    assert claim_order(theirs) == ["two", "three"]


def test_a_cancel_after_the_record_and_before_the_line_still_counts(tmp_path: Path) -> None:
    """The worker was killed between the two: nobody has been told of a success yet."""
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("one"))
    claim = queue.claim("default", WORKER)
    assert claim is not None
    with killed_when(lambda deed, path: deed == "rename" and path.startswith(layout.claimed)):
        queue.finish(claim, result())

    assert queue.cancel("one", CALLER) == "stopping"

    assert queue.recover(everybody_is_gone) == [Recovered("one", 1, WORKER, Status.CANCELLED, False)]
    assert [line.status for line in result_lines(layout)] == [Status.CANCELLED]


def test_a_refused_batch_leaves_no_trace(tmp_path: Path) -> None:
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("taken"))

    with pytest.raises(DuplicateTask):
        queue.submit_many([task("new"), task("taken")])

    assert os.listdir(layout.home.tasks) == ["taken"]
    assert os.listdir(layout.inbox) == os.listdir(layout.tmp) == []
