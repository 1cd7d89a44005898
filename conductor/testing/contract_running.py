"""The queue contract, second part: each attempt has one owner and one result line, and every failure has an end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conductor.domain.errors import Fenced
from conductor.domain.lines import ResultLine
from conductor.domain.outcome import Outcome, Status, TaskResult
from conductor.domain.retry import NextState, RetryPolicy
from conductor.domain.view import Counts, Ended, Recovered, Running, Waiting
from conductor.ports import TaskQueue
from conductor.testing.contract_base import (
    OTHER,
    WORKER,
    ContractBase,
    World,
    claim_order,
    claimed,
    everybody_is_gone,
    only_the_other_lives,
    result,
    task,
    tend_all,
)

_RECORD = {
    "task": "one",
    "attempt": 1,
    "worker": WORKER,
    "status": "FAILED",
    "outcome": "failed",
    "reason": "why",
    "started": "1970-01-01T00:00:10.000Z",
    "ended": "1970-01-01T00:00:12.000Z",
    "seconds": 2.0,
    "exit_code": 3,
    "signal": 9,
    "cpu_seconds": 1.5,
    "peak_memory_bytes": 77,
    "output_bytes": 88,
    "agent": "command",
    "model": "m",
    "thinking": "low",
    "pool": "gpu",
    "line": f"one|{WORKER}|FAILED|1970-01-01T00:00:12.000Z|p\n",
}


class RunningContract(ContractBase):
    """Claim, finish, give back, recover."""

    def test_a_claim_says_whose_it_is_and_where(self, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        queue.submit(task("two"))

        assert queue.owned() == []
        first, second = claimed(queue), claimed(queue, OTHER)

        assert (first.spec.id, first.attempt, first.worker_id) == ("one", 1, WORKER)
        assert (second.spec.id, second.attempt, second.worker_id) == ("two", 1, OTHER)
        assert Path(first.directory).is_absolute()
        assert first.directory.endswith("/one/1")
        assert sorted(queue.owned()) == [("one", 1, WORKER), ("two", 1, OTHER)]
        view = queue.find("one")
        assert isinstance(view, Running)
        assert (view.worker_id, view.recording) == (WORKER, False)
        assert queue.claim("default", OTHER) is None

    def test_a_success_is_recorded_and_gone(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))

        verdict = queue.finish(claimed(queue), result(preview="all | well"))

        assert (verdict.state, verdict.status) == (NextState.ENDED, Status.SUCCESS)
        assert list(self.results(world, queue)) == [
            ResultLine("one", WORKER, Status.SUCCESS, "2027-01-15T08:00:02.500Z", "all | well")
        ]
        view = queue.find("one")
        assert isinstance(view, Ended)
        assert (view.status, view.can_retry) == (Status.SUCCESS, False)
        assert (queue.counts(), list(queue.tasks()), queue.owned()) == (Counts(), [], [])

    def test_the_record_of_an_attempt_tells_what_show_needs(self, queue: TaskQueue) -> None:
        queue.submit(task("one", model="m", thinking="low", pool="gpu"))
        queue.finish(claimed(queue, pool="gpu"), TaskResult(Outcome.FAILED, "why", "p", 10.0, 12.0, 3, 9, 1.5, 77, 88))

        view = queue.find("one")
        assert isinstance(view, Ended)
        assert {name: view.record[name] for name in _RECORD} == _RECORD

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMEOUT, Outcome.BUDGET])
    def test_a_failure_without_retries_is_dead(self, world: World, queue: TaskQueue, outcome: Outcome) -> None:
        queue.submit(task("one"))

        verdict = queue.finish(claimed(queue), result(outcome))

        assert (verdict.state, verdict.status.value) == (NextState.DEAD, outcome.name)
        assert self.statuses(world, queue) == [("one", outcome.name)]
        view = queue.find("one")
        assert isinstance(view, Ended)
        assert view.can_retry
        assert queue.counts() == Counts(dead=1)

    def test_failures_are_retried_after_growing_waits(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one", retries=2))

        for attempt, wait in ((1, 1.0), (2, 2.0)):
            claim = claimed(queue)
            assert claim.attempt == attempt
            verdict = queue.finish(claim, result(Outcome.FAILED if attempt == 1 else Outcome.TIMEOUT))
            assert (verdict.state, verdict.due_ms) == (NextState.WAITING, world.clock.now_ms + int(wait * 1000))
            assert isinstance(queue.find("one"), Waiting)
            world.clock.advance(wait - 0.001)
            tend_all(queue)
            assert queue.claim("default", WORKER) is None
            world.clock.advance(0.001)

        assert queue.finish(claimed(queue), result(Outcome.FAILED)).state is NextState.DEAD
        assert self.statuses(world, queue) == [("one", "RETRY"), ("one", "RETRY"), ("one", "FAILED")]

    def test_what_the_policy_says_holds_where_the_task_is_silent(self, world: World) -> None:
        policy = RetryPolicy(retries=1, first_wait=10.0, longest_wait=12.0)
        queue = self.make_queue(World(world.folder, world.clock, policy, chance=lambda: 0.8))
        queue.submit(task("silent"))
        queue.submit(task("never", retries=0))

        verdict = queue.finish(claimed(queue), result(Outcome.FAILED))

        assert verdict.due_ms == world.clock.now_ms + 12_000
        assert queue.finish(claimed(queue), result(Outcome.FAILED)).state is NextState.DEAD

    def test_a_spent_budget_is_not_retried(self, queue: TaskQueue) -> None:
        queue.submit(task("dear", retries=5))

        assert queue.finish(claimed(queue), result(Outcome.BUDGET)).status is Status.BUDGET
        assert queue.counts() == Counts(dead=1)

    def test_an_attempt_is_recorded_once(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        claim = claimed(queue)
        queue.finish(claim, result())

        with pytest.raises(Fenced):
            queue.finish(claim, result(Outcome.FAILED))

        assert self.statuses(world, queue) == [("one", "SUCCESS")]

    def test_only_its_owner_ends_an_attempt(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        claim = claimed(queue)

        with pytest.raises(Fenced):
            queue.finish(replace(claim, worker_id=OTHER), result())
        with pytest.raises(Fenced):
            queue.give_back(replace(claim, worker_id=OTHER))

        assert self.statuses(world, queue) == []
        assert queue.owned() == [("one", 1, WORKER)]

    def test_what_is_given_back_is_first_again_and_costs_nothing(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("first", retries=1))
        queue.submit(task("second"))
        queue.submit(task("urgent", priority=1))
        assert claimed(queue).spec.id == "urgent"

        for attempt in (1, 2, 3):
            claim = claimed(queue)
            assert (claim.spec.id, claim.attempt) == ("first", attempt)
            queue.give_back(claim)

        assert queue.finish(claimed(queue), result(Outcome.FAILED)).status is Status.RETRY
        assert self.statuses(world, queue) == [("first", "RETRY")]
        assert claim_order(queue) == ["second"]

    # -- workers that are gone

    def test_a_lost_attempt_runs_again_at_once_and_three_are_the_end(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("unlucky"))
        queue.submit(task("next"))

        claimed(queue)
        assert queue.recover(everybody_is_gone) == [Recovered("unlucky", 1, WORKER, Status.RETRY, False)]
        claim = claimed(queue)
        assert (claim.spec.id, claim.attempt) == ("unlucky", 2)
        queue.recover(everybody_is_gone)
        view = queue.find("unlucky")
        assert isinstance(view, Waiting)
        assert view.due_ms == world.clock.now_ms + 1000
        world.clock.advance(1)
        assert claim_order(queue) == ["next"]
        assert claimed(queue).attempt == 3
        recovered = queue.recover(lambda worker: worker == OTHER)

        assert ("unlucky", 3, Status.FAILED) in [(one.task_id, one.attempt, one.status) for one in recovered]
        lines = [status for task_id, status in self.statuses(world, queue) if task_id == "unlucky"]
        assert lines == ["RETRY", "RETRY", "FAILED"]

    def test_a_lost_attempt_spends_no_retry(self, queue: TaskQueue) -> None:
        queue.submit(task("one", retries=1))
        claimed(queue)
        queue.recover(everybody_is_gone)

        assert queue.finish(claimed(queue), result(Outcome.FAILED)).status is Status.RETRY

    def test_recovery_leaves_the_living_alone(self, queue: TaskQueue) -> None:
        queue.submit(task("theirs"))
        queue.submit(task("ours"))
        theirs = claimed(queue, OTHER)
        claimed(queue)

        assert [one.task_id for one in queue.recover(only_the_other_lives)] == ["ours"]
        assert queue.owned() == [("theirs", 1, OTHER)]
        assert queue.finish(theirs, result()).status is Status.SUCCESS
        assert queue.recover(everybody_is_gone) == []

    def test_what_a_worker_recorded_before_it_died_counts(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        queue.submit(task("two", retries=1))
        self.die_in_finish(world, queue, claimed(queue), result(preview="done"))
        self.die_in_finish(world, queue, claimed(queue), result(Outcome.FAILED))

        recovered = queue.recover(everybody_is_gone)

        assert sorted(recovered, key=lambda one: one.task_id) == [
            Recovered("one", 1, WORKER, Status.SUCCESS, True),
            Recovered("two", 1, WORKER, Status.RETRY, True),
        ]
        assert sorted(self.statuses(world, queue)) == [("one", "SUCCESS"), ("two", "RETRY")]
        assert isinstance(queue.find("one"), Ended)
        assert isinstance(queue.find("two"), Waiting)
        assert queue.recover(everybody_is_gone) == []

    def test_while_it_is_recorded_a_task_still_has_its_owner(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        self.die_in_finish(world, queue, claimed(queue), result())

        view = queue.find("one")
        assert isinstance(view, Running)
        assert view.recording
        assert queue.owned() == [("one", 1, WORKER)]
        assert queue.counts() == Counts(running=1)

    def test_a_late_finisher_is_fenced(self, world: World, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        late = claimed(queue)
        queue.recover(everybody_is_gone)

        with pytest.raises(Fenced):
            queue.finish(late, result(preview="too late"))
        with pytest.raises(Fenced):
            queue.give_back(late)

        present = claimed(queue)  # by a worker of the very same name: the attempt tells them apart
        with pytest.raises(Fenced):
            queue.finish(late, result(preview="too late"))
        with pytest.raises(Fenced):
            queue.give_back(late)
        assert queue.finish(present, result()).status is Status.SUCCESS
        assert self.statuses(world, queue) == [("one", "RETRY"), ("one", "SUCCESS")]

    def test_a_late_finisher_changes_nothing_of_what_is_known(self, queue: TaskQueue) -> None:
        queue.submit(task("one"))
        late = claimed(queue)
        queue.cancel("one", OTHER)
        queue.recover(everybody_is_gone)
        known = queue.find("one")

        with pytest.raises(Fenced):
            queue.finish(late, result(preview="too late"))

        assert queue.find("one") == known
