"""What people do to a run in the middle: stop it, accept and retry steps, end and start conductord."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from conductor.app.orchestration import RunOptions
from tests.conftest import DaemonFactory
from tests.orchestrator.survival.house import (
    GIT_SETTINGS,
    RESTLESS,
    House,
    as_depends,
    check_no_process,
    git,
    step,
    writes,
)
from tests.support import Gate, eventually, processes_of

SETTINGS: dict[str, Any] = {**RESTLESS, "workers": 2, "grace": "500ms"}


def three(gate: Gate) -> list[dict[str, Any]]:
    """The second one waits at the gate with its work done."""
    return [
        step("one", writes("one.txt")),
        step("two", f"{writes('two.txt')}; {gate.command}", "one"),
        step("three", writes("three.txt"), "two"),
    ]


def _is_kept(house: House, run_id: str) -> bool:
    """Whether what the second step had done when it was ended is under its ref."""
    return git(house.workspace, "show", f"refs/conductor/work/{run_id}/two-1:two.txt", check=False) == "done"


def test_a_stopped_run_ends_what_runs_keeps_its_work_and_goes_on_when_it_is_retried(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    # given
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    run_id = house.run(*three(gate), check="true")
    gate.wait_for()

    # when
    assert house.cli("runs", "stop", run_id).returncode == 0
    run = house.wait(run_id)

    # then
    states = {name: state.status.value for name, state in house.states(run_id).items()}
    assert run.status.value == "stopped"
    assert states == {"one": "completed", "two": "cancelled", "three": "cancelled"}
    assert house.merged(run_id, run.branch) == ["one"]
    assert house.merged(run_id) == []
    assert _is_kept(house, run_id)
    check_no_process(house.home, conductord)
    trees = git(house.workspace, "worktree", "list", "--porcelain").count("worktree ")
    assert trees <= 2, "more than the folder of checks is left"

    # and it goes on
    gate.open()
    assert house.cli("runs", "retry", run_id).returncode == 0
    assert house.wait(run_id).status.value == "completed"
    house.check_merged(run_id, as_depends(three(gate)))
    assert git(house.workspace, "status", "--porcelain") == ""


def test_a_run_that_takes_too_long_is_ended_and_told_and_can_go_on(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    run_id = house.run(*three(gate), check="true", options=RunOptions(timeout_seconds=3.0))
    gate.wait_for()

    run = house.wait(run_id)

    assert run.status.value == "failed"
    assert "longer than its timeout of 3 s" in run.reason
    assert _is_kept(house, run_id)
    check_no_process(house.home, conductord)

    gate.open()
    assert house.cli("runs", "retry", run_id).returncode == 0
    assert house.wait(run_id).status.value == "completed"
    house.check_merged(run_id, as_depends(three(gate)))


def test_a_run_that_is_stopped_while_no_conductord_runs_stops_when_one_does(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    run_id = house.run(*three(gate), check="true")
    gate.wait_for()
    assert conductord.stop() == 0

    done = house.cli("runs", "stop", run_id)
    conductord.start()

    assert "no conductord runs" in done.stderr
    assert house.wait(run_id).status.value == "stopped"
    check_no_process(house.home, conductord)


def test_work_that_a_person_accepts_is_merged_as_it_is_with_all_that_waited_for_it(
    daemon: DaemonFactory, house: House
) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    stray = house.workspace / "stray.txt"
    steps = [step("one", f"{writes('one.txt')}; echo stray >{stray}"), step("two", writes("two.txt"), "one")]
    run_id = house.run(*steps, check="true")
    assert house.wait(run_id).status.value == "needs_review"
    assert {name: state.status.value for name, state in house.states(run_id).items()} == {
        "one": "needs_review",
        "two": "blocked",
    }
    stray.unlink()

    done = house.cli("approve", run_id, "--step", "one", "--yes")

    assert done.returncode == 0, done.stderr
    assert house.wait(run_id).status.value == "completed"
    house.check_whole(run_id, as_depends(steps))
    assert len(house.rounds(run_id, "one")) == 1


def test_a_step_that_failed_is_retried_with_all_that_it_blocked(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    mark = tmp_path / "mark"
    steps = [step("one", f"{writes('one.txt')}; test -e {mark}"), step("two", writes("two.txt"), "one")]
    run_id = house.run(*steps, check="true")
    assert house.wait(run_id).status.value == "failed"
    mark.touch()

    done = house.cli("runs", "retry", run_id, "one")

    assert done.returncode == 0, done.stderr
    house.wait(run_id)
    house.check_merged(run_id, as_depends(steps))
    eventually(lambda: not house.left(), what="nothing is left in the project's folder")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_conductord_that_ends_in_the_middle_leaves_no_process_and_the_next_one_goes_on(
    daemon: DaemonFactory, house: House, tmp_path: Path, number: int
) -> None:
    # given a run with a step that works, a check that works, and what waits
    conductord = daemon(env=GIT_SETTINGS, **{**SETTINGS, "stop_timeout": "1s"})
    gate, checked = Gate(tmp_path), Gate(tmp_path, "check")
    check = f"test -f two.txt || true; {checked.command}"
    steps = [*three(gate), step("four", writes("four.txt"))]
    run_id = house.run(*steps, check=f"CONDUCTOR_ATTEMPT=1; {check}")
    checked.wait_for()

    # when it ends
    assert conductord.stop(number) == 0

    # then nothing of it is left
    assert processes_of(house.home) == []

    # and the next one brings it to its end
    checked.open()
    gate.open()
    conductord.start()
    house.wait(run_id)
    house.check_whole(run_id, as_depends(steps))


def test_a_drained_conductord_starts_nothing_more_and_the_next_one_goes_on(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    run_id = house.run(*three(gate), check="true")
    gate.wait_for()

    done = house.cli("drain")
    gate.open()

    assert done.returncode == 0, done.stderr
    assert conductord.wait() == 0
    assert processes_of(house.home) == []
    assert len(house.rounds(run_id, "three")) == 0
    conductord.start()
    house.wait(run_id)
    house.check_whole(run_id, as_depends(three(gate)))
    assert len(house.rounds(run_id, "two")) == 1, "what a drain let end is not done again"
