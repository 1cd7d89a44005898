"""Runs that a person has go on while they end, or just after."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.app.orchestration import reopen_run
from conductor.domain.graph import Graph
from conductor.domain.home import Home
from conductor.domain.outcome import Outcome
from conductor.domain.run import Run, RunStatus
from conductor.orchestrator.rules import Rules
from tests.orchestrator.world import World, step


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "home"))


def _run(world: World) -> Run:
    found = world.store.run("r-aaaaaaaa")
    assert found is not None
    return found


def _told(world: World, action: str) -> int:
    return sum(one.action == action for one in world.store.activity())


def _retry(world: World, home: Home, *step_ids: str) -> None:
    """As `conductor runs retry` does."""
    for step_id in step_ids:
        world.store.again("r-aaaaaaaa", step_id)
    reopen_run(home, world.store, "r-aaaaaaaa")


def test_a_run_that_is_retried_right_after_its_time_was_up_goes_on(tmp_path: Path, home: Home) -> None:
    world = World(str(tmp_path), Rules(wip=0))
    world.run(step("a"), timeout_seconds=20.0)
    world.go(lambda: _run(world).is_over)

    _retry(world, home, "a")
    for _ in range(5):
        world.tick()

    assert _run(world).status is RunStatus.RUNNING
    assert world.statuses() == {"a": "pending"}
    assert _told(world, "run_ended") == 1


def test_a_stopped_run_ends_once(tmp_path: Path) -> None:
    world = World(str(tmp_path), Rules(wip=0))
    world.run(step("a"))
    world.tick()

    world.store.stop("r-aaaaaaaa")
    world.go()

    assert _told(world, "run_ended") == 1


@pytest.fixture
def ending(tmp_path: Path) -> World:
    """A run that is being stopped: one of its steps has failed, another one's task runs."""
    world = World(str(tmp_path), workers=1)
    world.outcome = lambda task: Outcome.FAILED if task == "r-aaaaaaaa.c.1" else Outcome.SUCCESS
    world.run(step("c", agent="first"), step("a"), step("b", "c"))
    world.go(lambda: "r-aaaaaaaa.a.1" in world.emitted)
    world.store.stop("r-aaaaaaaa")
    for _ in range(4):
        world.tick()
    assert _told(world, "run_ending") == 1
    assert not _run(world).is_over
    return world


def test_a_retry_while_what_runs_is_still_being_ended_is_not_for_nothing(ending: World, home: Home) -> None:
    _retry(ending, home, "c")
    ending.go()

    assert (_run(ending).status, ending.statuses()["a"]) == (RunStatus.FAILED, "cancelled")
    assert ending.statuses()["c"] == "completed"
    assert ending.merged() == ["c", "b"]
    assert _told(ending, "run_ended") == 2


def test_a_run_that_is_retried_and_then_stopped_while_it_ends_stays_stopped(ending: World, home: Home) -> None:
    _retry(ending, home, "c")
    ending.store.stop("r-aaaaaaaa")
    ending.go()

    assert _run(ending).status is RunStatus.STOPPED
    assert ending.merged() == []


def test_what_two_failures_block_waits_again_when_both_are_retried(tmp_path: Path, home: Home) -> None:
    world = World(str(tmp_path))
    world.outcome = lambda task: Outcome.FAILED if task.endswith(("a.1", "b.1")) else Outcome.SUCCESS
    world.run(step("a", agent="first"), step("b", agent="first"), step("c", "a", "b"))
    world.go()

    _retry(world, home, "a")
    world.go()
    assert world.statuses() == {"a": "completed", "b": "failed", "c": "blocked"}

    _retry(world, home, "b")
    world.go()
    assert world.statuses() == {"a": "completed", "b": "completed", "c": "completed"}


@pytest.mark.parametrize("again", [["s0"], [f"s{number}" for number in range(40)]])
def test_what_it_costs_to_go_on_does_not_grow_with_the_square_of_the_plan(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch, again: list[str]
) -> None:
    world = World(str(tmp_path), Rules(wip=0))
    world.run(*(step(f"s{number}") for number in range(40)))
    world.tick()
    world.store.stop("r-aaaaaaaa")
    world.go()
    looked: list[int] = []
    revive = Graph.revive

    def counted(graph: Graph, *step_ids: str) -> list[str]:
        looked.append(len(step_ids))
        return revive(graph, *step_ids)

    monkeypatch.setattr(Graph, "revive", counted)
    _retry(world, home, *again)
    world.go(lambda: _run(world).status is RunStatus.RUNNING and not world.store.wish("r-aaaaaaaa").again)

    assert set(world.statuses().values()) == {"pending"}
    assert looked == [40]
