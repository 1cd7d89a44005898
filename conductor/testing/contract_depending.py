"""The queue contract, last part: a task that waits for others runs when all of them ended well, and never else."""

from __future__ import annotations

import pytest

from conductor.domain.errors import BadTask
from conductor.domain.outcome import Outcome, Status
from conductor.domain.task import Tries
from conductor.domain.view import Ended, Queued, Waiting
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


def awaited_by(queue: TaskQueue, task_id: str) -> str:
    view = queue.find(task_id)
    assert isinstance(view, Waiting)
    return view.awaits


def run(queue: TaskQueue, task_id: str, outcome: Outcome = Outcome.SUCCESS) -> None:
    """The next claim is that task's, and ends so."""
    claim = claimed(queue)
    assert claim.spec.id == task_id
    queue.finish(claim, result(outcome))


class DependingContract(ContractBase):
    """`after`: what a task waits for."""

    def test_it_waits_until_the_other_has_ended_well(self, queue: TaskQueue) -> None:
        # given
        queue.submit(task("first"))
        queue.submit(task("second", after=("first",)))
        assert queue.find("second") == Waiting(task("second", after=("first",)), Tries(), 0, "first")
        assert (queue.counts().ready, queue.counts().waiting) == (1, 1)

        # when it runs, and when it has ended
        claim = claimed(queue)
        assert claim_order(queue) == []
        assert not queue.has_due()
        queue.finish(claim, result())

        # then
        assert queue.has_due()
        assert queue.tend("").promoted == 1
        assert not queue.has_due()
        assert queue.find("second") == Queued(task("second", after=("first",)), Tries())
        assert claim_order(queue) == ["second"]

    def test_it_waits_for_all_in_whatever_order_they_end(self, queue: TaskQueue) -> None:
        for name, priority in (("a", 1), ("b", 9), ("c", 5)):
            queue.submit(task(name, priority=priority))
        queue.submit(task("last", after=("a", "b", "c")))

        run(queue, "b")
        tend_all(queue)
        assert awaited_by(queue, "last") == "a"
        run(queue, "c")
        run(queue, "a")
        tend_all(queue)

        assert claim_order(queue) == ["last"]

    def test_what_has_ended_well_holds_nobody_up(self, queue: TaskQueue) -> None:
        queue.submit(task("first"))
        run(queue, "first")

        queue.submit(task("second", after=("first", "first")))

        assert claim_order(queue) == ["second"]

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMEOUT, Outcome.BUDGET])
    def test_it_fails_without_an_attempt_of_its_agent_when_the_other_ended_otherwise(
        self, world: World, queue: TaskQueue, outcome: Outcome
    ) -> None:
        # given
        queue.submit(task("first"))
        queue.submit(task("second", after=("first",), retries=3))
        queue.submit(task("third", after=("second",)))

        # when
        run(queue, "first", outcome)
        assert queue.tend("").failed >= 1
        tend_all(queue)

        # then it is recorded like any result, and so is what waits for it
        assert claim_order(queue) == []
        for name, awaited in (("second", "first"), ("third", "second")):
            view = queue.find(name)
            assert isinstance(view, Ended)
            assert view.status is Status.FAILED
            assert awaited in view.record["reason"]
        assert self.statuses(world, queue)[1:] == [("second", "FAILED"), ("third", "FAILED")]
        assert queue.owned() == []

    def test_one_that_had_failed_before_it_was_submitted_fails_it_too(self, queue: TaskQueue) -> None:
        queue.submit(task("first"))
        run(queue, "first", Outcome.FAILED)

        queue.submit(task("second", after=("first",)))
        tend_all(queue)

        view = queue.find("second")
        assert isinstance(view, Ended)
        assert view.status is Status.FAILED

    def test_a_retry_of_the_other_is_waited_for(self, world: World, queue: TaskQueue) -> None:
        # given an attempt that fails and is followed by another
        queue.submit(task("first", retries=1))
        queue.submit(task("second", after=("first",)))
        run(queue, "first", Outcome.FAILED)
        tend_all(queue)
        assert awaited_by(queue, "second") == "first"

        # when
        world.clock.advance(3600)
        run(queue, "first")
        tend_all(queue)

        # then
        assert claim_order(queue) == ["second"]

    def test_both_can_be_retried_by_hand(self, queue: TaskQueue) -> None:
        # given
        queue.submit(task("first"))
        queue.submit(task("second", after=("first",)))
        run(queue, "first", Outcome.FAILED)
        tend_all(queue)

        # when the second alone: nothing has changed for it
        queue.retry("second")
        tend_all(queue)
        assert isinstance(queue.find("second"), Ended)

        # when both: the second waits for the first
        queue.retry("first")
        queue.retry("second")
        assert awaited_by(queue, "second") == "first"
        run(queue, "first")
        tend_all(queue)

        # then
        assert claim_order(queue) == ["second"]

    def test_cancelling_the_other_fails_it_and_cancelling_it_leaves_the_other_alone(self, queue: TaskQueue) -> None:
        queue.submit(task("first"))
        queue.submit(task("second", after=("first",)))
        queue.submit(task("third", after=("first",)))

        assert queue.cancel("second", CALLER) == "cancelled"
        assert queue.cancel("first", CALLER) == "cancelled"
        tend_all(queue)

        found = {name: queue.find(name) for name in ("first", "second", "third")}
        statuses = {name: view.status for name, view in found.items() if isinstance(view, Ended)}
        assert statuses == {"first": Status.CANCELLED, "second": Status.CANCELLED, "third": Status.FAILED}

    def test_a_delay_holds_after_the_wait_too(self, world: World, queue: TaskQueue) -> None:
        # given
        due_ms = world.clock.now_ms + 10_000
        queue.submit(task("first"))
        queue.submit(task("second", after=("first",), not_before_ms=due_ms))
        assert awaited_by(queue, "second") == "first"
        assert queue.tend("").next_due_ms == 0

        # when
        run(queue, "first")
        tend_all(queue)

        # then
        assert queue.find("second") == Waiting(task("second", after=("first",), not_before_ms=due_ms), Tries(), due_ms)
        world.clock.advance(10)
        tend_all(queue)
        assert claim_order(queue) == ["second"]

    def test_its_own_retries_do_not_wait_again(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("first"))
        queue.submit(task("second", after=("first",), retries=1))
        run(queue, "first")
        run(queue, "second", Outcome.FAILED)

        world.clock.advance(3600)

        run(queue, "second")

    def test_many_may_wait_for_those_before_them_only(self, queue: TaskQueue) -> None:
        # given
        queue.submit(task("here"))

        # when, then
        for specs in (
            [task("a", after=("nowhere",))],
            [task("a", after=("b",)), task("b")],
            [task("a", after=("b",)), task("b", after=("a",))],
            [task("b"), task("a", after=("a",))],
        ):
            with pytest.raises(BadTask):
                queue.submit_many(specs)
        with pytest.raises(BadTask):
            queue.submit(task("a", after=("nowhere",)))
        assert (queue.find("a"), queue.find("b")) == (None, None)

        queue.submit_many([task("a", after=("here",)), task("b", after=("a", "here")), task("c")])
        tend_all(queue)
        assert claim_order(queue) == ["here", "c"]

    def test_many_that_wait_for_one_are_let_go_in_their_order(self, queue: TaskQueue) -> None:
        queue.submit(task("first"))
        names = [f"{number:03d}" for number in range(150)]
        queue.submit_many([task(name, after=("first",), submitted_ms=1_800_000_000_000) for name in names])
        tend_all(queue)

        run(queue, "first")
        tend_all(queue)

        assert claim_order(queue) == names

    def test_one_whose_worker_died_lets_go_too(self, world: World, queue: TaskQueue) -> None:
        # given a worker that is killed when its result is recorded
        queue.submit(task("first"))
        queue.submit(task("second", after=("first",)))
        self.die_in_finish(world, queue, claimed(queue), result())

        # when
        queue.recover(everybody_is_gone)
        tend_all(queue)

        # then
        assert claim_order(queue) == ["second"]
