"""What several runs of a project push and open pull requests for."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.app.orchestration import reopen_run
from conductor.domain.home import Home
from conductor.domain.run import Run, RunStatus
from conductor.orchestrator.rules import Rules
from tests.orchestrator.plain_tools import SlowPublisher
from tests.orchestrator.world import World, step

FIRST, SECOND = "r-aaaaaaaa", "r-bbbbbbbb"


@pytest.fixture
def publisher() -> SlowPublisher:
    return SlowPublisher(looks=10)


@pytest.fixture
def world(tmp_path: Path, publisher: SlowPublisher) -> World:
    found = World(str(tmp_path), Rules(wip=6, pull_request=True))
    found.publisher = publisher
    return found


def _run(world: World, run_id: str) -> Run:
    found = world.store.run(run_id)
    assert found is not None
    return found


def test_two_runs_that_end_together_are_published_one_after_the_other_each_with_its_own_answer(
    world: World, publisher: SlowPublisher
) -> None:
    world.run(step("a"), run_id=FIRST)
    world.run(step("b"), run_id=SECOND)

    world.go()

    assert sorted(publisher.published) == [f"conductor/{FIRST}", f"conductor/{SECOND}"]
    for run_id in (FIRST, SECOND):
        run = _run(world, run_id)
        assert (run.status, run.pull_request) == (
            RunStatus.COMPLETED,
            f"https://example.com/conductor/{run_id}/pull/1",
        )


def test_a_run_that_is_stopped_while_it_is_published_holds_up_no_other(world: World, publisher: SlowPublisher) -> None:
    world.run(step("a"), run_id=FIRST)
    world.go(publisher.is_busy)
    world.run(step("b"), run_id=SECOND)

    world.store.stop(FIRST)
    world.go()

    assert _run(world, FIRST).status is RunStatus.STOPPED
    assert _run(world, SECOND).status is RunStatus.COMPLETED
    assert publisher.published == [f"conductor/{SECOND}"]


def test_a_run_that_was_stopped_before_it_was_published_is_published_when_it_goes_on(
    world: World, publisher: SlowPublisher, tmp_path: Path
) -> None:
    world.run(step("a"), run_id=FIRST)
    world.go(publisher.is_busy)
    world.store.stop(FIRST)
    world.go()
    assert (_run(world, FIRST).status, publisher.published) == (RunStatus.STOPPED, [])

    world.store.resume(FIRST)
    reopen_run(Home(str(tmp_path / "home")), world.store, FIRST)
    world.go()

    assert _run(world, FIRST).status is RunStatus.COMPLETED
    assert publisher.published == [f"conductor/{FIRST}"]
    assert world.merged(FIRST) == ["a"]
