"""A disk that fills in mid-task, under a real conductord: no more is claimed, nothing lost, it goes on by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.faults.test_bad_places import fill, mounted
from tests.support import Conductord, Gate, eventually, queue_of, result_lines, run_cli, stays, submit, wait_for_end

ROOM = {"min_free": "6MiB", "min_free_inodes": 100}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "-o", "size=24m,mode=700") as folder:
        yield folder


@pytest.fixture
def small_home(disk: Path) -> Home:
    return Home(str(disk / "home"))


@pytest.fixture
def conductord(daemon: DaemonFactory, small_home: Home, tmp_path: Path) -> Conductord:
    return daemon(on=small_home, workers=2, poll_interval=0.2, space=ROOM, log=str(tmp_path / "log"))


def actions(home: Home) -> list[str]:
    return [json.loads(line)["action"] for line in Path(home.events).read_text().splitlines()]


def test_a_disk_that_fills_in_mid_task_stops_the_next_ones_and_nothing_is_lost(
    conductord: Conductord, small_home: Home, disk: Path, tmp_path: Path
) -> None:
    # given a task that is under way, and another that fills the disk and waits
    gates = [Gate(tmp_path, name) for name in ("works", "fills")]
    filler = disk / "filler"
    working = submit(small_home, gates[0].command)
    filling = submit(small_home, f"head -c 30M /dev/zero > {filler}; {gates[1].command}")
    for gate in gates:
        gate.wait_for()

    # when
    eventually(queue_of(small_home).full, what="the mark that nothing is claimed")

    # then it says so everywhere
    assert conductord.status()["full"] == "less than 6.0 MiB are free"
    shown = run_cli(small_home, "status")
    assert "nothing is claimed" in shown.stdout
    refused = run_cli(small_home, "submit", "--agent", "command", "true")
    assert refused.returncode == 1
    assert "No space left on device" in refused.stderr
    assert "Traceback" not in refused.stderr

    # when some is freed, less than must stay: a task is accepted and not started, those under way end
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - (3 << 20))
    waiting = submit(small_home, "echo late")
    for gate in gates:
        gate.open()
    assert wait_for_end(small_home, working).status == "SUCCESS"
    assert wait_for_end(small_home, filling).status == "SUCCESS"
    assert stays(lambda: queue_of(small_home).counts().ready == 1)
    assert "nothing is claimed, less than 6.0 MiB are free" in run_cli(small_home, "why", waiting).stdout

    # when there is room
    filler.unlink()

    # then it goes on by itself, and each has ended once
    assert wait_for_end(small_home, waiting).status == "SUCCESS"
    assert sorted(line.task_id for line in result_lines(small_home)) == sorted([working, filling, waiting])
    assert [one for one in actions(small_home) if one.startswith("space_")] == ["space_low", "space_enough"]
    assert (conductord.log_lines("space_low"), conductord.is_running) != ([], False)


def test_a_task_that_ends_on_a_full_disk_is_recorded_once_when_there_is_room(
    conductord: Conductord, small_home: Home, disk: Path, tmp_path: Path
) -> None:
    # given
    gate = Gate(tmp_path, "works")
    task = submit(small_home, gate.command)
    gate.wait_for()
    filler = fill(disk)
    eventually(queue_of(small_home).full)

    # when it ends now
    gate.open()
    assert stays(lambda: result_lines(small_home, task) == [])
    filler.unlink()

    # then
    assert wait_for_end(small_home, task).status == "SUCCESS"
    assert len(result_lines(small_home, task)) == 1


def test_a_conductord_that_comes_up_on_a_full_disk_claims_nothing_until_there_is_room(
    conductord: Conductord, small_home: Home, disk: Path
) -> None:
    # given
    assert conductord.stop() == 0
    task = submit(small_home, "true", ring=False)
    filler = fill(disk)

    # when
    conductord.start()
    eventually(queue_of(small_home).full)

    # then
    assert stays(lambda: result_lines(small_home, task) == [])
    filler.unlink()
    assert wait_for_end(small_home, task).status == "SUCCESS"
