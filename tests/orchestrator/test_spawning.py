"""One step started by hand, while no orchestrator runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.errors import UsageError
from tests.orchestrator.world import World, step


def test_a_step_that_is_ready_is_emitted_by_hand_and_taken_up_by_the_next_orchestrator(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    world.run(step("a"), step("b"))

    assert world.fresh_orchestrator().spawn("r-aaaaaaaa", "b") == "r-aaaaaaaa.b.1"
    assert world.queue.find("r-aaaaaaaa.b.1") is not None
    world.go()

    assert sorted(world.emitted) == ["r-aaaaaaaa.a.1", "r-aaaaaaaa.b.1"]
    assert sorted(world.merged()) == ["a", "b"]


def test_a_step_that_waits_for_another_is_not_emitted_by_hand(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    world.run(step("a"), step("b", "a"))

    with pytest.raises(UsageError, match="can't start now"):
        world.fresh_orchestrator().spawn("r-aaaaaaaa", "b")
    assert world.queue.find("r-aaaaaaaa.b.1") is None
