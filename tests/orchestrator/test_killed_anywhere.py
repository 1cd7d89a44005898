"""An orchestrator that is killed at any call it makes, and started anew: nothing twice, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductor.domain.outcome import Outcome
from conductor.domain.run import RunStatus
from tests.orchestrator.world import Fuse, World, step


def _story(folder: str, fuse_at: int) -> World:
    """A conflict, a red check, a failed try, a dependency: each of them once."""
    world = World(folder)
    world.fuse.left = fuse_at
    world.repository.conflicts = lambda task, merged: task == "r-aaaaaaaa.b.1" and bool(merged)
    world.passes = lambda commit: commit != "c|r-aaaaaaaa.c.1"
    world.outcome = lambda task: Outcome.FAILED if task == "r-aaaaaaaa.d.1" else Outcome.SUCCESS
    world.run(step("a"), step("b"), step("c", "a"), step("d", "a", "b"))
    world.go()
    return world


def test_killed_before_or_after_any_call_it_merges_every_step_exactly_once(tmp_path: Path) -> None:
    calls = _story(str(tmp_path), 0).fuse.calls
    assert calls > 100

    for number in range(1, calls + 1):
        world = _story(str(tmp_path), number)

        assert sorted(world.merged()) == ["a", "b", "c", "d"], f"killed at call {number}"
        assert len(set(world.emitted)) == len(world.emitted), f"killed at call {number}"
        assert world.store.run("r-aaaaaaaa").status is RunStatus.COMPLETED  # type: ignore[union-attr]
        assert world.repository.target == ["r-aaaaaaaa"]
        assert not world.repository.worktrees, f"killed at call {number}"


@st.composite
def _graphs(draw: Any) -> list[tuple[str, tuple[str, ...]]]:
    count = draw(st.integers(1, 9))
    names = [f"s{number}" for number in range(count)]
    return [
        (name, tuple(draw(st.sets(st.sampled_from(names[:index]), max_size=3))) if index else ())
        for index, name in enumerate(names)
    ]


@given(
    graph=_graphs(),
    kills=st.lists(st.integers(1, 120), max_size=6),
    outcomes=st.dictionaries(st.integers(0, 8), st.sampled_from(["fail", "red", "conflict", "empty"]), max_size=4),
    workers=st.integers(1, 4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_graph_the_kills_and_the_outcomes_each_step_is_merged_once_or_told(
    tmp_path: Path, graph: list[Any], kills: list[int], outcomes: dict[int, str], workers: int
) -> None:
    world = World(str(tmp_path), workers=workers)
    bad = {f"s{number}": how for number, how in outcomes.items()}
    fuse = _Again(kills)
    world.fuse = fuse
    world.outcome = lambda task: Outcome.FAILED if bad.get(task.split(".")[1]) == "fail" else Outcome.SUCCESS
    world.passes = lambda commit: bad.get(commit.split("|")[0]) != "red"
    world.repository.conflicts = lambda task, merged: bad.get(task.split(".")[1]) == "conflict"
    world.repository.paths = lambda task: () if bad.get(task.split(".")[1]) == "empty" else ("x",)
    world.run(*(step(name, *needed) for name, needed in graph))

    world.go()

    merged, told = world.merged(), world.statuses()
    lost = {name for name, _ in graph if name in bad}
    for name, needed in graph:
        if lost & set(needed):
            lost.add(name)
    assert len(set(merged)) == len(merged)
    assert set(merged) == {name for name, _ in graph} - lost
    assert {name for name, status in told.items() if status == "completed"} == set(merged)
    assert all(merged.index(one) < merged.index(name) for name, needed in graph if name in merged for one in needed)
    assert len(set(world.emitted)) == len(world.emitted)
    run = world.store.run("r-aaaaaaaa")
    assert run is not None
    assert run.is_over
    assert (run.status is RunStatus.COMPLETED) == (not lost)


class _Again(Fuse):
    """Burns down several times."""

    def __init__(self, kills: list[int]) -> None:
        super().__init__()
        self._kills = list(kills)
        self.left = self._kills.pop(0) if self._kills else 0

    def burn(self) -> None:
        if not self.left and self._kills:
            self.left = self._kills.pop(0)
        super().burn()
