"""Runs of one project, driven to their end in a world of fakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conductor.domain.outcome import Outcome
from conductor.domain.run import RunAutonomy, RunStatus, StepStatus
from conductor.orchestrator.rules import Rules
from tests.orchestrator.world import World, step


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(str(tmp_path))


def test_steps_are_merged_in_the_order_of_their_dependencies(world: World) -> None:
    world.run(step("c", "b"), step("b", "a"), step("a"))

    world.go()

    assert world.merged() == ["a", "b", "c"]
    assert world.store.run("r-aaaaaaaa").status is RunStatus.COMPLETED  # type: ignore[union-attr]
    assert world.repository.target == ["r-aaaaaaaa"]
    assert not world.repository.worktrees


def test_a_run_that_somebody_overtakes_lands_on_what_is_there_then_and_is_checked_again(world: World) -> None:
    world.repository.overtaken = 2
    world.run(step("a"))

    world.go()

    assert world.store.run("r-aaaaaaaa").status is RunStatus.COMPLETED  # type: ignore[union-attr]
    assert world.repository.target == ["r-aaaaaaaa"]
    assert world.checks.ran == 1 + 3


def test_a_run_without_git_needs_no_repository(tmp_path: Path) -> None:
    world = World(str(tmp_path), isolated=False)
    world.run(step("a"), step("b", "a"))

    world.go()

    assert world.statuses() == {"a": "completed", "b": "completed"}


def test_a_run_without_git_is_over_in_the_pass_that_hears_of_its_last_step(tmp_path: Path) -> None:
    world = World(str(tmp_path), isolated=False)
    world.run(step("a"))
    world.tick()
    world.work()
    world.work()

    assert world.tick()


def test_what_a_failed_step_left_is_told_by_its_commit(world: World) -> None:
    world.outcome = lambda task_id: Outcome.FAILED
    world.run(step("a", agent="command"))

    world.go()

    assert [one.work for one in world.store.delegations("r-aaaaaaaa", "a")] == ["r-aaaaaaaa.a.1"]


def test_steps_that_touch_the_same_files_are_never_in_progress_together(world: World) -> None:
    together: list[set[str]] = []
    world.outcome = lambda task_id: together.append({one.spec.id for one in world.running}) or Outcome.SUCCESS  # type: ignore[func-returns-value]
    world.run(step("a", files=("src/*.py",)), step("b", files=("src/app.py",)), step("c", files=("docs/**",)))

    world.go()

    assert sorted(world.merged()) == ["a", "b", "c"]
    assert not any({"r-aaaaaaaa.a.1", "r-aaaaaaaa.b.1"} <= group for group in together)
    assert any({"r-aaaaaaaa.a.1", "r-aaaaaaaa.c.1"} <= group for group in together)


def test_no_more_steps_are_in_progress_than_the_limit_allows(tmp_path: Path) -> None:
    world = World(str(tmp_path), Rules(wip=2))
    world.run(*(step(f"s{number}") for number in range(8)))
    most = 0

    def look() -> bool:
        nonlocal most
        most = max(most, sum(one is StepStatus.IN_PROGRESS for one in _kinds(world)))
        return False

    world.go(look)

    assert most == 2
    assert len(world.merged()) == 8


def test_a_conflict_goes_back_to_the_step_that_caused_it_and_is_merged_in_its_next_round(world: World) -> None:
    world.repository.conflicts = lambda task, merged: task == "r-aaaaaaaa.b.1" and bool(merged)
    world.run(step("a"), step("b"))

    world.go()

    assert sorted(world.merged()) == ["a", "b"]
    assert world.state("b").round == 2
    assert world.state("b").bounces == 1


def test_a_red_check_bounces_a_step_a_bounded_number_of_times_and_keeps_its_work(world: World) -> None:
    world.passes = lambda commit: not commit.startswith("b|")
    world.run(step("a"), step("b"), step("c", "b"))

    world.go()

    assert world.statuses() == {"a": "completed", "b": "needs_review", "c": "blocked"}
    assert [one for one in world.emitted if ".b." in one] == [f"r-aaaaaaaa.b.{n}" for n in (1, 2, 3)]
    assert "r-aaaaaaaa.b.3" in world.repository.work
    assert world.store.run("r-aaaaaaaa").status is RunStatus.NEEDS_REVIEW  # type: ignore[union-attr]
    assert world.repository.target == []


def test_after_its_own_bounces_a_step_goes_to_the_resolver_once(tmp_path: Path) -> None:
    world = World(str(tmp_path), Rules(wip=3, bounces=1, resolver="mender:big"))
    world.passes = lambda commit: world.state("a").agent == "mender"
    world.run(step("a"))

    world.go()

    assert world.statuses() == {"a": "completed"}
    assert [one.agent for one in world.store.delegations("r-aaaaaaaa")] == ["first", "first", "mender"]


def test_what_changed_no_file_is_not_done(world: World) -> None:
    world.repository.paths = lambda task: ()
    world.run(step("a"), step("look", category="code-review"))

    world.go()

    assert world.statuses() == {"a": "needs_review", "look": "completed"}


def test_what_left_its_declared_files_is_sent_back(world: World) -> None:
    world.repository.faults = lambda task: ("touched b.txt, which it did not declare",) if task.endswith(".1") else ()
    world.run(step("a"))

    world.go()

    assert world.merged() == ["a"]
    assert world.state("a").round == 2


def test_the_first_choice_is_tried_twice_then_the_runner_up_twice_and_every_reason_is_kept(world: World) -> None:
    world.outcome = lambda task: Outcome.FAILED
    world.run(step("a"), step("b", "a"))

    world.go()

    assert [one.agent for one in world.store.delegations("r-aaaaaaaa")] == ["first", "first", "second", "second"]
    assert world.statuses() == {"a": "failed", "b": "blocked"}
    assert world.state("a").reason.count("round ") == 4


def test_what_a_plan_names_is_tried_as_the_plan_says(world: World) -> None:
    world.outcome = lambda task: Outcome.FAILED
    world.run(step("a", agent="command"))

    world.go()

    assert len(world.emitted) == 1
    assert world.statuses() == {"a": "failed"}


def test_a_failure_does_not_hold_up_what_does_not_depend_on_it(world: World) -> None:
    world.outcome = lambda task: Outcome.FAILED if ".a." in task else Outcome.SUCCESS
    world.run(step("a", agent="command"), step("b", "a"), step("c"), step("d", "c"))

    world.go()

    assert world.statuses() == {"a": "failed", "b": "blocked", "c": "completed", "d": "completed"}


def test_a_manual_run_waits_for_yes_to_each_wave(world: World) -> None:
    world.run(step("a"), step("b", "a"), autonomy=RunAutonomy.MANUAL)

    for asked, merged in ((1, []), (2, []), (3, ["a"])):
        world.go(_asks(world, asked))
        assert world.merged() == merged
        world.store.approve("r-aaaaaaaa", asked)
    world.go()

    assert world.merged() == ["a", "b"]


def test_yes_to_one_question_is_no_yes_to_the_next(world: World) -> None:
    world.run(step("a"), step("b", "a"), autonomy=RunAutonomy.MANUAL)
    world.go(_asks(world, 1))
    world.store.approve("r-aaaaaaaa", 1)

    world.go(_asks(world, 2))

    for _ in range(5):
        world.tick()
    assert world.emitted == []


def test_the_clock_stands_still_while_a_run_waits_for_a_person(world: World) -> None:
    world.run(step("a"), autonomy=RunAutonomy.CONFIRM, timeout_seconds=50.0)
    world.go(_asks(world, 1))

    for _ in range(200):
        world.tick()
    world.store.approve("r-aaaaaaaa", 1)
    world.go()

    assert world.merged() == ["a"]


def test_the_clock_stands_still_while_a_limit_holds_everything_up(world: World) -> None:
    world.limited = lambda spec: "parked until noon"
    world.workers = 0
    world.run(step("a"), timeout_seconds=50.0)

    for _ in range(200):
        world.tick()
        world.work()
    world.workers, world.limited = 3, lambda spec: ""
    world.go()

    assert world.merged() == ["a"]


def test_a_run_that_takes_too_long_ends_and_its_tasks_are_cancelled(world: World) -> None:
    world.workers = 0
    world.run(step("a"), step("b", "a"), timeout_seconds=20.0)

    world.go()

    run = world.store.run("r-aaaaaaaa")
    assert run is not None
    assert run.status is RunStatus.FAILED
    assert "timeout" in run.reason
    assert world.statuses() == {"a": "cancelled", "b": "cancelled"}


def test_a_stopped_run_starts_nothing_more(world: World) -> None:
    world.workers = 0
    world.run(step("a"), step("b", "a"))
    world.tick()

    world.store.stop("r-aaaaaaaa")
    world.go()

    assert world.store.run("r-aaaaaaaa").status is RunStatus.STOPPED  # type: ignore[union-attr]
    assert set(world.statuses().values()) == {"cancelled"}


def test_a_step_whose_merge_is_stopped_with_its_run_was_not_refused(tmp_path: Path) -> None:
    world = World(str(tmp_path), Rules(wip=6, bounces=0))
    world.run(step("a"))
    world.go(lambda: world.checks.ran == 1)

    world.store.stop("r-aaaaaaaa")
    world.checks.lasts = True
    world.go()

    assert world.statuses() == {"a": "cancelled"}
    assert world.state("a").bounces == 0
    assert world.router.learned == []
    assert world.repository.work == {"r-aaaaaaaa.a.1"}


def test_two_runs_of_a_project_share_its_room_and_its_files(tmp_path: Path) -> None:
    world = World(str(tmp_path), Rules(wip=2))
    world.run(*(step(f"a{n}") for n in range(4)), run_id="r-aaaaaaaa")
    world.run(*(step(f"b{n}") for n in range(4)), run_id="r-bbbbbbbb")

    world.go(lambda: bool(world.emitted))

    assert {one[:10] for one in world.emitted} == {"r-aaaaaaaa", "r-bbbbbbbb"}
    world.go()
    assert sorted(world.repository.target) == ["r-aaaaaaaa", "r-bbbbbbbb"]


def test_what_changed_the_main_checkout_waits_for_a_person_and_is_merged_when_accepted(world: World) -> None:
    world.repository.held = lambda task: ("the main checkout changed: a.txt",) if ".a." in task else ()
    run = world.run(step("a"), step("b", "a"))
    world.go()
    assert world.statuses() == {"a": "needs_review", "b": "blocked"}

    reopen(world, run.id)
    world.store.accept(run.id, "a")
    world.go()

    assert world.merged() == ["a", "b"]
    assert world.store.run(run.id).status is RunStatus.COMPLETED  # type: ignore[union-attr]


def test_a_step_that_changed_nothing_is_done_when_a_person_accepts_that(world: World) -> None:
    world.repository.paths = lambda task: () if ".a." in task else ("b.txt",)
    run = world.run(step("a"), step("b", "a"))
    world.go()
    assert world.statuses() == {"a": "needs_review", "b": "blocked"}

    reopen(world, run.id)
    world.store.accept(run.id, "a")
    world.go()

    assert world.statuses() == {"a": "completed", "b": "completed"}
    assert world.merged() == ["b"]


def test_a_step_that_failed_can_be_tried_anew_with_all_that_waited_for_it(world: World) -> None:
    world.outcome = lambda task: Outcome.FAILED if task == "r-aaaaaaaa.a.1" else Outcome.SUCCESS
    run = world.run(step("a", agent="command"), step("b", "a"))
    world.go()

    reopen(world, run.id)
    world.store.again(run.id, "a")
    world.go()

    assert world.statuses() == {"a": "completed", "b": "completed"}


def test_an_orchestrator_leaves_while_every_run_waits_for_a_person_and_goes_on_when_one_says_yes(world: World) -> None:
    world.run(step("a"), autonomy=RunAutonomy.CONFIRM)
    world.go(_asks(world, 1))

    assert world.tick()
    world.orchestrator = None
    world.store.approve("r-aaaaaaaa", 1)
    assert not world.tick()
    world.go()

    assert world.merged() == ["a"]


def test_a_task_that_somebody_removed_is_submitted_once_more(world: World) -> None:
    world.workers = 0
    world.run(step("a"))
    world.tick()
    world.queue._views.clear()
    world.queue._kept.clear()

    world.workers = 3
    world.go()

    assert world.merged() == ["a"]
    assert world.emitted == ["r-aaaaaaaa.a.1"]


def reopen(world: World, run_id: str) -> None:
    from dataclasses import replace

    from conductor.domain.run import Changes

    run = world.store.run(run_id)
    assert run is not None
    world.store.save(Changes(replace(run, status=RunStatus.RUNNING)))
    world.orchestrator = None


def _asks(world: World, times: int) -> Callable[[], bool]:
    def look() -> bool:
        run = world.store.run("r-aaaaaaaa")
        return run is not None and run.status is RunStatus.WAITING and run.asked == times

    return look


def _kinds(world: World) -> list[StepStatus]:
    return [state.status for state in world.store.steps("r-aaaaaaaa")]
