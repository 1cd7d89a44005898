"""When there is too little room, and what the daemon does about it, on a disk that is as told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.home import Home
from conductor.domain.retry import RetryPolicy
from conductor.domain.sizes import format_bytes
from conductor.supervisor.events import EventLog
from conductor.supervisor.plan import UpkeepPlan
from conductor.supervisor.upkeep import Upkeep, shortage
from conductor.testing.memory_queue import MemoryQueue

MIB = 1 << 20
ROOMY = UpkeepPlan(min_free=100 * MIB, min_free_inodes=1000)


def disk(free: int, *, size: int = 100_000 * MIB, inodes: int = 50_000, all_inodes: int = 1_000_000) -> Any:
    block = 4096
    return os.statvfs_result((block, block, size // block, 0, free // block, all_inodes, 0, inodes, 0, 255))


@pytest.mark.parametrize(
    ("found", "plan", "was_short", "why"),
    [
        (disk(200 * MIB), ROOMY, False, ""),
        (disk(99 * MIB), ROOMY, False, "less than 100 MiB are free"),
        (disk(105 * MIB), ROOMY, False, ""),
        (disk(105 * MIB), ROOMY, True, "less than 100 MiB are free"),
        (disk(111 * MIB), ROOMY, True, ""),
        (disk(200 * MIB, inodes=999), ROOMY, False, "fewer than 1000 inodes are free"),
        (disk(200 * MIB, inodes=1050), ROOMY, True, "fewer than 1000 inodes are free"),
        (disk(200 * MIB, inodes=0, all_inodes=0), ROOMY, False, ""),
        (disk(0), UpkeepPlan(min_free=0, min_free_inodes=0), False, ""),
        (disk(499 * MIB), UpkeepPlan(), False, "less than 500 MiB are free"),
        (disk(3 * MIB, size=40 * MIB), UpkeepPlan(), False, ""),
        (disk(1 * MIB, size=40 * MIB), UpkeepPlan(), False, "less than 2.0 MiB are free"),
        (disk(600 * MIB, inodes=60, all_inodes=1000), UpkeepPlan(), False, ""),
        (disk(600 * MIB, inodes=40, all_inodes=1000), UpkeepPlan(), False, "fewer than 50 inodes are free"),
    ],
)
def test_when_there_is_too_little_room(found: Any, plan: UpkeepPlan, was_short: bool, why: str) -> None:
    assert shortage(found, plan, was_short=was_short) == why


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (480 * MIB, "480 MiB"), (3 << 50, "3072 TiB")],
)
def test_sizes_are_told_in_few_characters(count: int, text: str) -> None:
    assert format_bytes(count) == text


class Told:
    """A log that remembers what was said."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    def info(self, action: str, **facts: object) -> None:
        self.actions.append(action)

    warning = error = info


class Room:
    """An upkeep on a disk of which a test says how much is free."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.now, self.free = home, 1000.0, 200 * MIB
        Path(home.path).mkdir()
        self.queue = MemoryQueue(lambda: self.now, lambda: 0.0, RetryPolicy())
        self.events = EventLog(home.events, home.results, lambda: self.now, str)
        self.log = Told()
        self.rotated: list[tuple[int, ...]] = []
        self.trouble: OSError | None = None
        monkeypatch.setattr(os, "statvfs", lambda path: disk(self.free))

    def open(self, plan: UpkeepPlan = ROOMY) -> Upkeep:
        return Upkeep(self.home, plan, self.queue, self.rotate, self.events, self.log, set())

    def rotate(self, *asked: int) -> bool:
        self.rotated.append(asked)
        if self.trouble is not None:
            raise self.trouble
        return False

    def look(self, upkeep: Upkeep, seconds: float = 1.0) -> None:
        self.now += seconds
        upkeep.look(self.now)

    def told(self) -> list[str]:
        return [json.loads(line)["action"] for line in Path(self.home.events).read_text().splitlines()]


@pytest.fixture
def room(home: Home, monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(home, monkeypatch)


def test_claiming_stops_before_the_disk_is_full_and_goes_on_by_itself(room: Room) -> None:
    upkeep = room.open()
    for free, full in ((200, False), (90, True), (105, True), (120, False)):
        # when
        room.free = free * MIB
        room.look(upkeep)
        # then
        assert bool(room.queue.full()) is full
    assert room.told() == ["space_low", "space_enough"]
    assert room.log.actions == ["space_low", "space_enough"]


def test_a_mark_that_a_killed_daemon_left_goes_when_there_is_room(room: Room) -> None:
    room.queue.mark_full("left by another")

    room.look(room.open())

    assert room.queue.full() == ""


def test_trouble_is_told_once_and_keeps_nothing_else_from_being_done(room: Room) -> None:
    # given
    room.trouble = OSError(5, "Input/output error")
    room.free = 0
    upkeep = room.open()

    # when
    for _ in range(3):
        room.look(upkeep)

    # then
    assert room.log.actions == ["space_low", "upkeep_failed"]
    assert room.queue.full()


def test_results_are_rotated_no_further_than_they_were_told_and_events_by_their_size(room: Room) -> None:
    # given
    upkeep = room.open(UpkeepPlan(min_free=0, results_bytes=7, events_bytes=300, keep=2))
    for number in range(8):
        room.events.emit("something", number=number)

    # when
    room.look(upkeep)
    room.events.emit("after")

    # then
    assert room.rotated == [(7, 2, 0)]
    assert room.told() == ["after"]
    assert json.loads(Path(room.home.events).read_text())["seq"] == 9
    room.events.close()
    assert EventLog(room.home.events, room.home.results, lambda: 0.0, str)._sequence == 9


@pytest.mark.parametrize("is_empty", [True, False])
def test_the_sequence_goes_on_where_the_file_was_begun_anew(room: Room, is_empty: bool) -> None:
    for number in range(8):
        room.events.emit("something", number=number)
    room.events.rotate(0, 1)
    if not is_empty:
        room.events.emit("after")
    room.events.close()

    events = EventLog(room.home.events, room.home.results, lambda: 0.0, str)
    events.emit("first")

    assert json.loads(Path(room.home.events).read_text().splitlines()[-1])["seq"] == (9 if is_empty else 10)
    events.close()


def test_what_is_old_is_removed_by_a_child_now_and_then_and_at_once_where_room_gets_short(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    answer = json.dumps({"tasks": 3, "runs": 1, "bytes": 4096})
    upkeep = room.open(UpkeepPlan(min_free=100 * MIB, sweep=("echo", answer), sweep_every=3600.0))
    room.look(upkeep)

    def sweep_ends() -> None:
        pid, status = os.waitpid(-1, 0)
        assert upkeep.reaped(pid, status)
        assert not upkeep.reaped(pid, status)

    # when
    room.look(upkeep, 59.0)
    assert not upkeep.reaped(1, 0)
    room.look(upkeep, 2.0)
    sweep_ends()
    room.look(upkeep, 3500.0)
    assert room.told() == ["old_removed"]
    room.look(upkeep, 101.0)
    sweep_ends()
    room.free = 50 * MIB
    room.look(upkeep)
    sweep_ends()

    # then
    assert room.told() == ["old_removed", "old_removed", "space_low", "old_removed"]


def test_a_sweep_that_fails_is_told_and_one_that_goes_on_ends_with_the_daemon(room: Room) -> None:
    # given
    upkeep = room.open(UpkeepPlan(min_free=0, sweep=("sh", "-c", "echo broken; exit 3"), sweep_every=0.1))
    room.look(upkeep)
    room.look(upkeep)
    pid, status = os.waitpid(-1, 0)
    upkeep.reaped(pid, status)
    assert room.log.actions == ["sweep_failed"]

    # when
    upkeep.renew(UpkeepPlan(min_free=0, sweep=("sleep", "1000"), sweep_every=0.1))
    room.look(upkeep)
    upkeep.close()

    # then
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
