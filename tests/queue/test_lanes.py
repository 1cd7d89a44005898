"""Tasks that may not start yet wait in their lane and hold up nobody; their place and their counts stay theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.failure import Failure
from conductor.domain.home import Home
from conductor.domain.outcome import AgentFacts, Outcome, TaskResult
from conductor.domain.retry import NextState, RetryPolicy
from conductor.domain.task import Claim, TaskSpec
from conductor.domain.view import Queued
from conductor.kit.lock import QuickLock
from conductor.queue.directory import DirectoryQueue
from conductor.queue.files import Surroundings
from conductor.queue.layout import open_home
from conductor.testing.doorkeeper import NamedDoors

WORKER = "w1-2-3-0123abcd"


class Bench:
    """A queue, its doors, and a clock that stands."""

    def __init__(self, folder: Path) -> None:
        layout = open_home(Home(str(folder / "home")))
        self.doors = NamedDoors()
        self.now = 1_800_000_000.0
        lock = QuickLock(layout.lock, 10)
        surroundings = Surroundings(lock, lambda: self.now, lambda: 0.0, RetryPolicy(), self.doors)
        self.queue = DirectoryQueue(layout, surroundings)
        self.ready = Path(layout.ready)

    def submit(self, task_id: str, agent: str, priority: int = 0, fallback: tuple[str, ...] = ()) -> None:
        self.queue.submit(TaskSpec(task_id, "x", agent=agent, priority=priority, fallback=fallback))

    def claims(self) -> list[str]:
        """The ids of all that can be claimed now, in their order."""
        found = []
        while claim := self.queue.claim("default", WORKER):
            found.append(claim.spec.id)
            self.end(claim)
        return found

    def end(self, claim: Claim, outcome: Outcome = Outcome.SUCCESS) -> None:
        self.queue.finish(claim, TaskResult(outcome, "", "", self.now, self.now))
        self.doors.release(claim.worker_id)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_task_whose_agent_may_not_start_lets_the_others_pass_and_comes_when_it_may(bench: Bench) -> None:
    # given
    bench.doors.closed.add("claude")
    bench.submit("a", "claude")
    bench.submit("b", "command")
    bench.submit("c", "claude")
    bench.submit("d", "codex")

    # when, then
    assert bench.claims() == ["b", "d"]
    assert not bench.queue.has_ready("default")

    # when
    bench.doors.closed.clear()

    # then
    assert bench.queue.has_ready("default")
    assert bench.claims() == ["a", "c"]
    assert [name.name for name in bench.ready.iterdir()] == ["default"]


def test_in_its_lane_a_task_keeps_its_place_its_priority_and_its_counts(bench: Bench) -> None:
    # given tasks that all went to their lane once
    bench.doors.closed.update(("claude", "codex"))
    for task_id, agent, priority in (("a", "claude", 0), ("b", "codex", 0), ("c", "claude", 5), ("d", "codex", 0)):
        bench.submit(task_id, agent, priority)
    assert bench.claims() == []
    bench.submit("e", "command", 3)
    bench.submit("f", "command")

    # when they may start
    bench.doors.closed.clear()
    first = bench.queue.claim("default", WORKER)

    # then it is the first attempt of the most important one, and the rest follows as if nothing had been
    assert first is not None
    assert (first.spec.id, first.attempt) == ("c", 1)
    bench.end(first)
    assert bench.claims() == ["e", "a", "b", "d", "f"]


def test_a_task_in_its_lane_is_found_listed_counted_and_cancelled_like_any_other(bench: Bench) -> None:
    bench.doors.closed.add("claude")
    bench.submit("a", "claude")
    assert bench.claims() == []

    assert isinstance(bench.queue.find("a"), Queued)
    assert [view.spec.pool for view in bench.queue.tasks() if isinstance(view, Queued)] == ["default"]
    assert bench.queue.counts().ready == 1
    assert bench.queue.cancel("a", WORKER) == "cancelled"
    assert bench.queue.counts().ready == 0


def test_a_fallback_starts_in_place_of_an_agent_that_may_not(bench: Bench) -> None:
    bench.doors.closed.add("claude")
    bench.submit("a", "claude", fallback=("codex:gpt-5",))

    claim = bench.queue.claim("default", WORKER)

    assert claim is not None
    assert (claim.spec.agent, claim.spec.model) == ("codex", "gpt-5")
    assert bench.doors.running == {WORKER: "codex"}


def test_a_fallback_is_for_one_attempt_and_the_next_asks_the_task_s_own_agent_again(bench: Bench) -> None:
    # given
    bench.doors.closed.add("claude")
    bench.submit("a", "claude", fallback=("codex",))
    claim = bench.queue.claim("default", WORKER)
    assert claim is not None

    # when its fallback is limited too, and then both may run
    verdict = bench.queue.finish(claim, TaskResult(Outcome.LIMITED, "limit", "limit", bench.now, bench.now))
    bench.doors.closed.clear()
    bench.now += 3600
    bench.queue.tend("")
    again = bench.queue.claim("default", WORKER)

    # then
    assert verdict.state is NextState.WAITING
    assert again is not None
    assert (again.spec.agent, again.attempt, again.tries.failures) == ("claude", 2, 1)


def test_a_task_that_ran_into_a_limit_is_not_charged_for_it_however_often(bench: Bench) -> None:
    bench.submit("a", "claude")
    for number in range(1, 30):
        claim = bench.queue.claim("default", WORKER)
        assert claim is not None
        assert (claim.attempt, claim.tries.failures) == (number, 1)
        bench.end(claim, Outcome.LIMITED)
        bench.now += 3600
        bench.queue.tend("")


def fail(bench: Bench, failure: Failure, outcome: Outcome = Outcome.FAILED) -> str:
    """The agent of the next attempt, which then fails so."""
    bench.now += 3600
    bench.queue.tend("")
    claim = bench.queue.claim("default", WORKER)
    assert claim is not None
    facts = AgentFacts(claim.spec.agent)
    bench.queue.finish(claim, TaskResult(outcome, "", "", bench.now, bench.now, failure=failure, facts=facts))
    return claim.spec.agent


def test_a_failure_that_calls_for_another_agent_passes_its_own_by_and_no_other(bench: Bench) -> None:
    bench.queue.submit(TaskSpec("a", "x", agent="claude", fallback=("codex", "gemini"), retries=9))

    agents = [fail(bench, Failure.NETWORK), fail(bench, Failure.OVERLOAD)]
    bench.doors.closed.add("codex")
    agents += [fail(bench, Failure.CONTEXT)]
    bench.doors.closed.clear()
    agents += [fail(bench, Failure.OVERLOAD), fail(bench, Failure.NONE)]

    assert agents == ["claude", "claude", "gemini", "codex", "gemini"]


def test_an_attempt_that_was_limited_or_lost_makes_no_failure_forgotten(bench: Bench) -> None:
    bench.queue.submit(TaskSpec("a", "x", agent="claude", fallback=("codex",), retries=9))

    agents = [fail(bench, Failure.OVERLOAD), fail(bench, Failure.NONE, Outcome.LOST)]
    agents += [fail(bench, Failure.LIMIT, Outcome.LIMITED), fail(bench, Failure.NONE)]

    assert agents == ["claude", "codex", "codex", "codex"]


def test_all_fallbacks_get_their_turn_after_failures_that_end_a_task_without_one(bench: Bench) -> None:
    bench.queue.submit(TaskSpec("a", "x", agent="claude", fallback=("codex", "gemini")))

    assert [fail(bench, Failure.BAD_KEY) for _ in range(3)] == ["claude", "codex", "gemini"]
    assert bench.queue.counts().dead == 1


def test_a_limit_that_nothing_parks_holds_up_the_task_that_met_it(bench: Bench) -> None:
    bench.submit("a", "claude")
    claim = bench.queue.claim("default", WORKER)
    assert claim is not None
    result = TaskResult(Outcome.LIMITED, "", "", bench.now, bench.now, not_before=bench.now + 600)

    assert bench.queue.finish(claim, result).due_ms == round((bench.now + 600) * 1000)


def test_a_task_that_is_cancelled_as_it_is_claimed_does_not_wait_for_its_agent(bench: Bench) -> None:
    bench.doors.closed.add("claude")
    bench.submit("a", "claude")
    Path(bench.ready.parent.parent, "tasks", "a").mkdir(parents=True, exist_ok=True)
    Path(bench.ready.parent.parent, "tasks", "a", "CANCEL").touch()

    claim = bench.queue.claim("default", WORKER)

    assert claim is not None
    assert bench.queue.cancel_requested(claim)


def test_a_lane_that_cannot_be_asked_about_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.doors.closed.add("claude")
    bench.submit("a", "claude")
    bench.submit("b", "command")
    assert bench.claims() == ["b"]

    def refuse(lane: str) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(bench.doors, "is_open", refuse)
    bench.submit("c", "command")

    assert bench.claims() == ["c"]
