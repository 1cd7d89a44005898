"""What a pass of the loop does where there is nothing new: as good as nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.world import World, step


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(str(tmp_path))


def _pass(world: World, times: int, seconds: float) -> None:
    for _ in range(times):
        world.now -= 1.0 - seconds  # a tick takes a second otherwise
        world.tick()


def test_what_nobody_hears_is_told_later_and_whole_and_not_tried_at_every_pass(world: World) -> None:
    world.is_deaf, world.workers = True, 0
    world.run(step("a"))
    _pass(world, 40, 0.1)
    assert world.tellings <= 4

    world.is_deaf, world.workers = False, 1
    world.go()

    assert [one.sequence for one in world.told] == [one.sequence for one in world.store.activity()]


def test_a_line_whose_task_does_not_end_is_not_waited_for_without_rest(world: World) -> None:
    world.workers = 0
    world.run(step("a"))
    world.tick()
    world.tick()
    assert world.orchestrator is not None
    looked: list[str] = []
    find = world.queue.find

    def counted(task_id: str) -> Any:
        looked.append(task_id)
        return find(task_id)

    world.queue.find = counted  # type: ignore[method-assign]
    world.lines.append("r-aaaaaaaa.a.1")
    _pass(world, 250, 0.01)
    at_first = len(looked)
    assert at_first > 100

    _pass(world, 100, 0.01)

    assert len(looked) - at_first <= 5
