"""Runs beside each other, and repositories that are not what they should be, or not there any more."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conductor.app.daemon import orchestrator_command
from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.orchestrator.survival.house import (
    GIT_SETTINGS,
    RESTLESS,
    House,
    as_depends,
    commit,
    git,
    make_repository,
    step,
    writes,
)
from tests.support import POLL_SECONDS, Gate, clean_environment

SETTINGS: dict[str, Any] = {**RESTLESS, "workers": 3, "grace": "500ms"}


def test_two_runs_of_one_project_are_both_merged_whole(daemon: DaemonFactory, house: House) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    left = [step(f"s{number}", writes(f"left/{number}")) for number in range(4)]
    right = [step(f"s{number}", writes(f"right/{number}")) for number in range(4)]

    run_ids = [house.run(*left, check="true"), house.run(*right, check="true")]

    for run_id in run_ids:
        house.wait(run_id)
    for run_id in run_ids:
        house.check_whole(run_id, as_depends(left))


def test_of_two_runs_that_do_not_fit_together_the_second_keeps_its_branch(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    first = house.run(step("one", "echo first >shared.txt"), check="true")
    second = house.run(step("one", f"echo second >shared.txt; {gate.command}"), check="true")
    house.wait(first)
    gate.open()

    run = house.wait(second)

    assert run.status.value == "needs_review"
    assert "shared.txt" in run.reason
    assert house.merged(first) == ["one"]
    assert house.merged(second) == []
    assert house.merged(second, run.branch) == ["one"]
    assert house.show("shared.txt") == "first"
    assert git(house.workspace, "status", "--porcelain") == ""


def test_a_second_orchestrator_of_a_project_leaves_and_nothing_is_done_twice(
    daemon: DaemonFactory, house: House, home: Home, tmp_path: Path
) -> None:
    # given a project with an orchestrator
    daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    steps = [step("one", f"{gate.command}; {writes('one.txt')}"), step("two", writes("two.txt"), "one")]
    run_id = house.run(*steps)
    gate.wait_for()

    # when others are started by hand
    command = orchestrator_command(home)("demo")
    others = [subprocess.run(command, env=clean_environment(home), timeout=30, capture_output=True) for _ in range(2)]

    # then they leave, and the first one's work goes on
    assert [one.returncode for one in others] == [0, 0]
    assert all(b"orchestrator_there_already" in one.stderr for one in others)
    assert len(house.orchestrators()) == 1
    gate.open()
    house.wait(run_id)
    house.check_whole(run_id, as_depends(steps))


@pytest.mark.parametrize("deed", ["moved", "deleted"])
def test_a_project_folder_that_is_gone_fails_the_run_and_put_back_it_is_retried(
    daemon: DaemonFactory, house: House, tmp_path: Path, deed: str
) -> None:
    # given a run whose second step works
    daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    steps = [
        step("one", writes("one.txt")),
        step("two", f"{writes('two.txt')}; {gate.command}", "one"),
        step("three", writes("three.txt"), "two"),
    ]
    run_id = house.run(*steps, check="true")
    gate.wait_for()

    # when the project's folder goes
    aside = tmp_path / "aside"
    house.workspace.rename(aside)
    if deed == "deleted":
        shutil.copytree(aside, tmp_path / "copy", symlinks=True)
        shutil.rmtree(aside)
        aside = tmp_path / "copy"
    gate.open()
    run = house.wait(run_id)

    # then the run says so, makes no folder there, and what was merged is kept
    assert run.status.value == "failed"
    states = {name: state.status.value for name, state in house.states(run_id).items()}
    assert states["one"] == "completed"
    assert states["two"] in ("failed", "cancelled")
    assert states["three"] in ("blocked", "cancelled")
    assert "put it back" in run.reason + house.states(run_id)["two"].reason
    assert not house.workspace.exists()

    # and put back, it goes on
    aside.rename(house.workspace)
    assert house.cli("runs", "retry", run_id).returncode == 0
    house.wait(run_id)
    house.check_whole(run_id, as_depends(steps))


def test_a_project_folder_that_is_gone_when_its_orchestrator_starts_is_told_and_can_be_retried(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    # given a run in the middle when everything stops, and its project's folder moves away
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    steps = [
        step("one", writes("one.txt")),
        step("two", f"{writes('two.txt')}; {gate.command}", "one"),
        step("three", writes("three.txt"), "two"),
    ]
    run_id = house.run(*steps, check="true")
    gate.wait_for()
    assert conductord.stop() == 0
    aside = house.workspace.rename(tmp_path / "aside")

    # when it starts again
    conductord.start()
    gate.open()
    run = house.wait(run_id)

    # then the run ends and says why
    assert run.status.value == "failed"
    assert "gone: put it back" in run.reason
    states = {name: state.status.value for name, state in house.states(run_id).items()}
    assert states["one"] == "completed"
    assert {states["two"], states["three"]} <= {"failed", "cancelled", "blocked"}
    assert not house.workspace.exists()

    # and goes on where it was once the folder is back
    aside.rename(house.workspace)
    assert house.cli("runs", "retry", run_id).returncode == 0
    house.wait(run_id)
    house.check_whole(run_id, as_depends(steps))


# -- repositories


def test_a_repository_without_commits_is_told_and_nothing_starts(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q", "-b", "main")
    house = House(home, tmp_path / "empty", "empty")
    house.enroll()
    run_id = house.run(step("one", writes("one.txt")))

    run = house.wait(run_id)

    assert run.status.value == "failed"
    assert "no commit" in run.reason
    assert house.rounds(run_id) == []
    house.close()


def test_a_detached_main_checkout_is_left_alone_and_the_target_moves(daemon: DaemonFactory, house: House) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    commit(house.workspace, {"more.txt": "more\n"}, "second")
    git(house.workspace, "checkout", "-q", "--detach", "HEAD^")
    head = git(house.workspace, "rev-parse", "HEAD")
    steps = [step("one", writes("one.txt"))]
    run_id = house.run(*steps, check="true")

    house.wait(run_id)

    house.check_merged(run_id, as_depends(steps))
    assert git(house.workspace, "rev-parse", "HEAD") == head
    assert git(house.workspace, "symbolic-ref", "-q", "HEAD", check=False) == ""
    assert git(house.workspace, "status", "--porcelain") == ""


def test_a_detached_head_and_no_target_is_told(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    house = House(home, make_repository(tmp_path / "loose", {}), "loose")
    git(house.workspace, "checkout", "-q", "--detach")
    house.enroll(target="")
    run_id = house.run(step("one", writes("one.txt")))

    run = house.wait(run_id)

    assert run.status.value == "failed"
    assert "HEAD is detached" in run.reason
    house.close()


def test_steps_and_checks_have_the_sub_modules_and_moving_one_is_sent_back(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    # given a project with a sub-module
    daemon(env=GIT_SETTINGS, **{**SETTINGS, "orchestrator": {"bounces": 0}})
    library = make_repository(tmp_path / "library", {"lib.txt": "library\n"})
    git(house.workspace, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(house.workspace, "commit", "-q", "-m", "with a library")

    # when one step uses it, and another one commits in it
    inside = "cd lib && echo x >x && git add x && git -c user.name=a -c user.email=a@b commit -q -m x"
    good, bad = step("uses", "cp lib/lib.txt copied.txt"), step("moves", inside)
    run_id = house.run(good, bad, check="test -f lib/lib.txt")
    run = house.wait(run_id)

    # then
    states = house.states(run_id)
    assert {name: state.status.value for name, state in states.items()} == {
        "uses": "completed",
        "moves": "needs_review",
    }
    assert "sub-module" in states["moves"].reason
    assert house.show("copied.txt", run.branch) == "library"
    assert git(house.workspace, "status", "--porcelain") == ""


# -- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of some MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "conductor-test", str(folder)], capture_output=True
    )
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def keep_full(folder: Path, for_seconds: float) -> None:
    """Nothing fits in any more for so long, whatever is deleted meanwhile; then there is room again."""
    filler, until = folder / "filler", time.monotonic() + for_seconds
    with filler.open("wb", buffering=0) as file:
        while time.monotonic() < until:
            try:
                file.write(bytes(4096))
            except OSError:
                time.sleep(POLL_SECONDS)
    filler.unlink()


@pytest.mark.parametrize("what", ["repository", "home", "both"])
def test_a_full_disk_is_waited_for_and_nothing_half_done_counts(
    daemon: DaemonFactory, tmp_path: Path, small_disk: Path, what: str
) -> None:
    # given a run whose home or repository is on a small disk
    home = Home(str((small_disk if what != "repository" else tmp_path) / "home"))
    place = (small_disk if what != "home" else tmp_path) / "demo"
    house = House(home, make_repository(place, {}))
    house.enroll()
    conductord = daemon(on=home, env=GIT_SETTINGS, log=str(tmp_path / "conductord.log"), **SETTINGS)
    gate = Gate(tmp_path)
    steps = [
        step("one", writes("one.txt")),
        step("two", f"{writes('two.txt')}; {gate.command}", "one"),
        step("three", writes("three.txt"), "two"),
        step("four", writes("four.txt"), "three"),
    ]
    run_id = house.run(*steps, check="true")
    gate.wait_for()

    # when that disk is full for a while
    gate.open()
    keep_full(small_disk, 4.0)

    # then it goes on by itself
    run = house.wait(run_id)
    assert run.status.value == "completed", house.told(run_id)
    assert any(line["code"] == 14 for line in conductord.log_lines("orchestrator_ended")), "it never met the full disk"
    house.check_whole(run_id, as_depends(steps))
    house.close()
