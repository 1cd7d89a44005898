"""The queue contract, first part: what is accepted, what is refused, and in which order it is handed out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conductor.domain.errors import BadTask, DuplicateTask
from conductor.domain.outcome import Outcome
from conductor.domain.task import TaskSpec, Tries
from conductor.domain.view import Counts, Queued, Waiting, view_id
from conductor.ports import TaskQueue
from conductor.testing.contract_base import ContractBase, World, claim_order, claimed, result, task, tend_all


class AcceptingContract(ContractBase):
    """Accepted is kept, whole and in order."""

    def test_a_submitted_task_is_handed_out_as_it_was_asked_for(self, queue: TaskQueue) -> None:
        spec = TaskSpec(
            id="a.b_c-1",
            description="echo 'a|b\\c' é\nsecond line\r\n",
            model="m|1",
            thinking="high",
            agent="command",
            pool="gpu",
            priority=-7,
            timeout_seconds=1.5,
            stall_seconds=0.25,
            retries=4,
            workspace="/tmp/work",  # noqa: S108 - only a text here
            env=(("A", "1=2|3"), ("B", "")),
            submitted_ms=1_800_000_000_123,
        )
        queue.submit(spec)
        queue.submit_many([replace(spec, id="second")])

        assert queue.find(spec.id) == Queued(spec, Tries())
        assert claimed(queue, pool="gpu").spec == spec
        assert claimed(queue, pool="gpu").spec == replace(spec, id="second")

    def test_higher_priority_goes_first_then_arrival(self, queue: TaskQueue) -> None:
        for task_id, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -5), ("e", 5), ("f", 999), ("g", -999)):
            queue.submit(task(task_id, priority=priority))

        assert claim_order(queue) == ["f", "b", "e", "a", "c", "d", "g"]

    def test_pools_are_apart(self, queue: TaskQueue) -> None:
        queue.submit(task("here"))
        queue.submit(task("there", pool="gpu", priority=9))

        assert queue.has_ready("default")
        assert claim_order(queue) == ["here"]
        assert not queue.has_ready("default")
        assert queue.has_ready("gpu")
        assert claim_order(queue, "gpu") == ["there"]
        assert claim_order(queue, "nowhere") == []

    def test_many_are_found_at_once_and_run_in_their_order(self, queue: TaskQueue) -> None:
        names = [f"task-{number}" for number in range(100)]
        queue.submit_many([task(name) for name in names])

        assert isinstance(queue.find("task-99"), Queued)
        assert [view_id(view) for view in queue.tasks()] == names
        assert queue.counts().pending == 100
        tend_all(queue)
        assert queue.counts() == Counts(ready=100)
        assert claim_order(queue) == names

    def test_many_and_then_many_more_run_in_their_order(self, world: World, queue: TaskQueue) -> None:
        for number in range(10):
            queue.submit_many([task(f"{number}-first"), task(f"{number}-second")])
            world.clock.advance(0.002)

        tend_all(queue)
        assert claim_order(queue) == [f"{number}-{which}" for number in range(10) for which in ("first", "second")]

    def test_no_tasks_are_accepted_gladly(self, queue: TaskQueue) -> None:
        queue.submit_many([])

        assert queue.counts() == Counts()

    def test_an_id_stays_taken_in_every_state(self, world: World, queue: TaskQueue) -> None:
        for name in ("good", "bad", "running"):
            queue.submit(task(name))
        queue.finish(claimed(queue), result())
        queue.finish(claimed(queue), result(Outcome.FAILED))
        claimed(queue)
        queue.submit(task("ready"))
        queue.submit(task("waiting", not_before_ms=world.clock.now_ms + 1))
        queue.submit_many([task("batched")])

        for name in ("good", "bad", "running", "ready", "waiting", "batched"):
            with pytest.raises(DuplicateTask) as refusal:
                queue.submit(task(name))
            assert refusal.value.task_id == name

    def test_an_id_that_looks_made_up_is_looked_for_too(self, queue: TaskQueue) -> None:
        made_up = "t-20270115-080000-abcdefgh"
        queue.submit(task(made_up), fresh=True)
        queue.submit_many([task(made_up + "-1"), task(made_up + "-2")], fresh={made_up + "-1", made_up + "-2"})

        for name in (made_up, made_up + "-2"):
            with pytest.raises(DuplicateTask):
                queue.submit(task(name))
            with pytest.raises(DuplicateTask):
                queue.submit_many([task("new"), task(name)])
        tend_all(queue)
        assert claim_order(queue) == [made_up, made_up + "-1", made_up + "-2"]

    def test_of_many_with_a_taken_id_none_is_accepted(self, queue: TaskQueue) -> None:
        queue.submit(task("taken"))

        with pytest.raises(DuplicateTask) as refusal:
            queue.submit_many([task("new"), task("taken"), task("newer")])

        assert refusal.value.task_id == "taken"
        assert queue.find("new") is None
        assert queue.find("newer") is None
        queue.submit_many([task("new"), task("newer")])
        tend_all(queue)
        assert claim_order(queue) == ["taken", "new", "newer"]

    def test_the_same_id_twice_among_many_is_refused(self, queue: TaskQueue) -> None:
        with pytest.raises(DuplicateTask):
            queue.submit_many([task("twin"), task("only"), task("twin")])

        assert queue.counts() == Counts()

    def test_what_makes_no_sense_is_refused(self, queue: TaskQueue) -> None:
        for spec in (task("../up"), task("ok", priority=1000), TaskSpec("ok", " "), task("ok", pool="a/b")):
            with pytest.raises(BadTask):
                queue.submit(spec)
            with pytest.raises(BadTask):
                queue.submit_many([task("fine"), spec])

        assert queue.counts() == Counts()

    def test_a_delayed_task_waits_for_its_time(self, world: World, queue: TaskQueue) -> None:
        due_ms = world.clock.now_ms + 10_000
        queue.submit(task("later", not_before_ms=due_ms))
        queue.submit_many([task("latest", not_before_ms=due_ms + 1000)])
        tend_all(queue)

        view = queue.find("later")
        assert isinstance(view, Waiting)
        assert view.due_ms == due_ms
        assert claim_order(queue) == []
        world.clock.advance(9.999)
        assert queue.tend("").next_due_ms == due_ms
        assert claim_order(queue) == []
        world.clock.advance(0.001)
        tended = queue.tend("")
        assert (tended.promoted, tended.next_due_ms) == (1, due_ms + 1000)
        assert claim_order(queue) == ["later"]
        world.clock.advance(3600)
        assert queue.tend("").next_due_ms == 0
        assert claim_order(queue) == ["latest"]

    def test_a_delay_that_is_over_waits_for_one_round_at_most(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("overdue", not_before_ms=1))
        tend_all(queue)

        assert claim_order(queue) == ["overdue"]
