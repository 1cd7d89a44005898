"""The queue contract, third part: changing one's mind, holding, and looking."""

from __future__ import annotations

import pytest

from conductor.domain.errors import NoSuchTask, UsageError
from conductor.domain.outcome import Outcome, Status
from conductor.domain.retry import NextState
from conductor.domain.view import Counts, Ended, Queued, Running, TaskView, Waiting, view_id
from conductor.ports import TaskQueue
from conductor.testing.contract_base import (
    CALLER,
    ContractBase,
    World,
    claim_order,
    claimed,
    everybody_is_gone,
    result,
    task,
    tend_all,
)


def status_of(view: TaskView | None) -> Status:
    """How a task ended, which it must have."""
    assert isinstance(view, Ended)
    return view.status


class ChangingContract(ContractBase):
    """Cancel, retry, pause, list."""

    # -- cancel

    def test_a_cancelled_task_never_runs(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("ready"))
        queue.submit(task("waiting", not_before_ms=world.clock.now_ms + 1000))

        assert queue.cancel("ready", CALLER) == "cancelled"
        assert queue.cancel("waiting", CALLER) == "cancelled"

        world.clock.advance(1000)
        tend_all(queue)
        assert claim_order(queue) == []
        assert self.statuses(world, queue) == [("ready", "CANCELLED"), ("waiting", "CANCELLED")]
        assert status_of(queue.find("ready")) is Status.CANCELLED
        assert queue.counts() == Counts(dead=2)
        assert queue.cancel("ready", CALLER) == "ended"

    def test_a_batched_task_can_be_cancelled(self, world: World, queue: TaskQueue) -> None:
        queue.submit_many([task("wanted"), task("unwanted")])

        assert queue.cancel("unwanted", CALLER) == "cancelled"

        tend_all(queue)
        queue.finish(claimed(queue), result())
        claim = queue.claim("default", CALLER)
        if claim is not None:  # a queue may also end it while it unpacks
            assert queue.cancel_requested(claim)
            assert queue.finish(claim, result()).status is Status.CANCELLED
        assert self.statuses(world, queue) == [("wanted", "SUCCESS"), ("unwanted", "CANCELLED")]
        assert status_of(queue.find("unwanted")) is Status.CANCELLED

    @pytest.mark.parametrize("outcome", list(Outcome))
    def test_finish_obeys_the_mark_on_a_running_task(self, world: World, queue: TaskQueue, outcome: Outcome) -> None:
        queue.submit(task("one", retries=3))
        claim = claimed(queue)
        assert not queue.cancel_requested(claim)

        assert queue.cancel("one", CALLER) == "stopping"
        assert queue.cancel("one", CALLER) == "stopping"
        assert queue.cancel_requested(claim)
        verdict = queue.finish(claim, result(outcome))

        assert (verdict.state, verdict.status) == (NextState.DEAD, Status.CANCELLED)
        assert self.statuses(world, queue) == [("one", "CANCELLED")]

    def test_a_cancelled_task_whose_worker_died_is_not_run_again(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        claimed(queue)
        queue.cancel("one", CALLER)

        assert [one.status for one in queue.recover(everybody_is_gone)] == [Status.CANCELLED]
        assert self.statuses(world, queue) == [("one", "CANCELLED")]

    def test_the_mark_outlives_a_task_that_is_given_back(self, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        claim = claimed(queue)
        queue.cancel("one", CALLER)
        queue.give_back(claim)

        claim = claimed(queue)
        assert queue.cancel_requested(claim)
        assert queue.finish(claim, result()).status is Status.CANCELLED

    def test_a_result_that_came_first_stays(self, world: World, queue: TaskQueue) -> None:
        for name in ("good", "bad", "recorded"):
            queue.submit(task(name))
        queue.finish(claimed(queue), result())
        queue.finish(claimed(queue), result(Outcome.FAILED))
        self.die_in_finish(world, queue, claimed(queue), result())

        assert [queue.cancel(name, CALLER) for name in ("good", "bad", "recorded")] == ["ended", "ended", "ended"]

        queue.recover(everybody_is_gone)
        assert self.statuses(world, queue) == [("good", "SUCCESS"), ("bad", "FAILED"), ("recorded", "SUCCESS")]

    # -- retry

    def test_a_dead_task_runs_again_with_its_counts_forgiven(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one", retries=1))
        queue.submit(task("two"))
        queue.finish(claimed(queue), result(Outcome.FAILED))
        assert claimed(queue).spec.id == "two"
        world.clock.advance(1)
        queue.finish(claimed(queue), result(Outcome.FAILED))
        queue.submit(task("three"))

        queue.retry("one")

        assert isinstance(queue.find("one"), Queued)
        assert claimed(queue).spec.id == "three"
        claim = claimed(queue)
        assert claim.attempt == 3
        assert queue.finish(claim, result(Outcome.FAILED)).status is Status.RETRY
        world.clock.advance(1)
        assert queue.finish(claimed(queue), result()).status is Status.SUCCESS
        ones = [status for task_id, status in self.statuses(world, queue) if task_id == "one"]
        assert ones == ["RETRY", "FAILED", "RETRY", "SUCCESS"]

    def test_a_task_that_was_lost_too_often_may_be_lost_again_after_retry(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        for last in (3, 6):
            while claimed(queue).attempt < last:
                queue.recover(everybody_is_gone)
                world.clock.advance(60)
            queue.recover(everybody_is_gone)
            assert status_of(queue.find("one")) is Status.FAILED
            queue.retry("one")

    def test_a_cancelled_task_can_be_retried_and_then_runs(self, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        queue.cancel("one", CALLER)

        queue.retry("one")

        claim = claimed(queue)
        assert not queue.cancel_requested(claim)
        assert queue.finish(claim, result()).status is Status.SUCCESS

    def test_only_what_ended_badly_can_be_retried(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("good"))
        queue.finish(claimed(queue), result())
        queue.submit(task("running"))
        claimed(queue)
        queue.submit(task("ready"))
        queue.submit(task("waiting", not_before_ms=world.clock.now_ms + 1000))
        queue.submit_many([task("batched")])

        for name in ("good", "running", "ready", "waiting", "batched"):
            with pytest.raises(UsageError, match=name):
                queue.retry(name)

    # -- holding

    def test_a_paused_queue_accepts_and_hands_out_nothing(self, queue: TaskQueue) -> None:
        queue.submit(task("before"))
        assert not queue.paused()

        queue.pause()
        queue.pause()
        queue.submit(task("after"))

        assert queue.paused()
        assert queue.claim("default", CALLER) is None
        queue.resume()
        queue.resume()
        assert not queue.paused()
        assert claim_order(queue) == ["before", "after"]

    def test_what_runs_while_paused_can_end(self, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        claim = claimed(queue)
        queue.pause()

        assert queue.finish(claim, result()).status is Status.SUCCESS

    def test_a_full_queue_accepts_and_finishes_and_hands_out_nothing_until_there_is_room(
        self, queue: TaskQueue
    ) -> None:
        queue.submit(task("running"))
        claim = claimed(queue)
        queue.submit(task("before"))
        assert queue.full() == ""

        queue.mark_full("less than 500 MiB are free")
        queue.mark_full("fewer than 1000 inodes are free")
        queue.submit(task("after"))

        assert queue.full() == "fewer than 1000 inodes are free"
        assert not queue.paused()
        assert queue.claim("default", CALLER) is None
        assert queue.finish(claim, result()).status is Status.SUCCESS
        queue.mark_full("")
        queue.mark_full("")
        assert queue.full() == ""
        assert claim_order(queue) == ["before", "after"]

    def test_a_pause_outlasts_a_full_disk(self, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        queue.pause()
        queue.mark_full("no room")
        queue.mark_full("")

        assert queue.claim("default", CALLER) is None

    # -- looking

    def test_an_unknown_id_is_no_such_task(self, queue: TaskQueue) -> None:
        queue.submit(task("known"))

        assert queue.find("unknown") is None
        assert queue.find("know") is None
        with pytest.raises(NoSuchTask, match="unknown"):
            queue.cancel("unknown", CALLER)
        with pytest.raises(NoSuchTask, match="unknown"):
            queue.retry("unknown")

    def test_tasks_are_listed_by_state_and_counted(self, world: World, queue: TaskQueue) -> None:
        for name in ("good", "bad", "running"):
            queue.submit(task(name))
        queue.finish(claimed(queue), result())
        queue.finish(claimed(queue), result(Outcome.FAILED))
        claimed(queue)
        queue.submit(task("later", not_before_ms=world.clock.now_ms + 2000))
        queue.submit(task("soon", not_before_ms=world.clock.now_ms + 1000))
        queue.submit(task("second"))
        queue.submit(task("first", priority=1))
        queue.submit_many([task("batch-1"), task("batch-2")])

        assert [view_id(view) for view in queue.tasks()] == [
            "running", "first", "second", "soon", "later", "batch-1", "batch-2", "bad",
        ]  # fmt: skip
        counts = queue.counts()
        assert counts == Counts(batched=2, ready=2, waiting=2, running=1, dead=1)
        assert counts.pending == 6
        assert {view_id(view): view for view in queue.tasks()} == {
            name: queue.find(name)
            for name in ("running", "first", "second", "soon", "later", "batch-1", "batch-2", "bad")
        }
        assert isinstance(queue.find("soon"), Waiting)
        for kinds in ([Running], [Queued], [Waiting], [Ended], [Queued, Ended], []):
            wanted = [view for view in queue.tasks() if not kinds or type(view) in kinds]
            assert list(queue.tasks(kinds)) == wanted
            assert kinds == [] or {type(view) for view in wanted} == set(kinds)
