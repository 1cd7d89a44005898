"""The feed of results: each task that ended for good is told once, whatever becomes of the file meanwhile."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conductor.domain.lines import ResultLine, format_result
from conductor.domain.outcome import Status
from conductor.kit.inotify import Inotify
from conductor.kit.segments import rotate
from conductor.orchestrator.results_feed import FileResultsFeed
from tests.support import eventually


def line(task: str, status: Status = Status.SUCCESS, preview: str = "fine") -> str:
    return format_result(ResultLine(task, "w1-2-3-0123abcd", status, "2027-01-15T08:00:00.000Z", preview))


class Room:
    """results.txt with one old line, a doorbell, and a feed on both."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results.txt"
        self.results.write_text(line("old"))
        self.doorbell = folder / "doorbell"
        self.doorbell.mkdir()
        self.feed = self.open()

    def open(self) -> FileResultsFeed:
        return FileResultsFeed(str(self.results), str(self.doorbell))

    def append(self, text: str) -> None:
        with self.results.open("a") as file:
            file.write(text)

    def take(self) -> list[str]:
        return list(self.feed.take())

    def has_news(self) -> bool:
        return bool(select.select([self.feed.fileno()], [], [], 0)[0])


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.feed.close()


def test_what_is_appended_after_it_was_made_is_told_once(room: Room) -> None:
    assert (room.has_news(), room.take()) == (False, [])

    room.append(line("a") + line("b", Status.FAILED))

    assert eventually(room.has_news)
    assert room.take() == ["a", "b"]
    assert (room.has_news(), room.take()) == (False, [])


def test_an_attempt_that_is_followed_by_another_is_not_told(room: Room) -> None:
    room.append(line("a", Status.RETRY) + line("b", Status.TIMEOUT) + line("a", Status.CANCELLED))

    assert room.take() == ["b", "a"]


def test_a_torn_line_waits_for_its_rest_and_a_garbled_one_is_passed_over(room: Room) -> None:
    # given
    whole = line("b", preview="a | bar and a \n line end")
    room.append(line("a") + whole[:-5])

    # when, then
    assert room.take() == ["a"]
    assert room.take() == []
    room.append(whole[-5:] + "nonsense\n\n" + "c|w|WHAT|t|p\n" + line("d"))
    assert room.take() == ["b", "d"]


def test_a_line_that_was_being_written_when_it_was_made_is_told(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.append(line("a")[:10])
    room.feed.close()
    room.feed = room.open()

    room.append(line("a")[10:])

    assert room.take() == ["a"]
    room.feed.close()


def test_lines_that_came_before_the_file_was_renamed_are_told_and_those_of_the_new_one(room: Room) -> None:
    # given
    room.append(line("a"))
    fresh = room.results.with_name("fresh")
    room.results.rename(room.results.with_name("results.1"))

    # when it is away: what it held is told; when another has come: all of that
    assert room.take() == ["a"]
    fresh.write_text(line("b"))
    fresh.rename(room.results)
    assert room.take() == ["b"]

    # then the new one is watched
    room.take()
    room.append(line("c"))
    assert eventually(room.has_news)
    assert room.take() == ["c"]


def test_over_any_number_of_rotations_each_is_told_once(room: Room) -> None:
    told: list[str] = []
    for number in range(60):
        room.append(line(f"t{number}"))
        if number % 2:
            rotate(str(room.results))
        if number % 7 == 0:  # up to four rotations late
            told.extend(room.take())

    assert [*told, *room.take()] == [f"t{number}" for number in range(60)]
    room.append(line("last"))
    assert eventually(room.has_news)
    assert room.take() == ["last"]


def test_a_file_that_was_cut_is_read_from_its_start(room: Room) -> None:
    room.append(line("a") + line("b"))
    assert room.take() == ["a", "b"]

    room.results.write_text(line("c"))

    assert room.take() == ["c"]


def test_a_ring_wakes_and_tells_of_no_task(room: Room) -> None:
    (room.doorbell / "ring").touch()

    assert eventually(room.has_news)
    assert (room.take(), room.has_news()) == ([], False)


def test_where_the_kernel_refuses_to_watch_it_is_asked_without_a_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Inotify) -> None:
        raise OSError(24, "inotify_init1: Too many open files")

    monkeypatch.setattr(Inotify, "__init__", refuse)
    room = Room(tmp_path)

    room.append(line("a"))

    assert (room.feed.fileno(), room.take()) == (-1, ["a"])
    room.feed.close()


def test_a_doorbell_that_is_missing_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "results.txt").touch()
    before = len(os.listdir("/proc/self/fd"))

    feed = FileResultsFeed(str(tmp_path / "results.txt"), str(tmp_path / "none"))

    assert feed.fileno() == -1
    feed.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_long_files_are_read_in_pieces(room: Room) -> None:
    tasks = [f"t-{number}" for number in range(300)]

    room.append("".join(line(task, preview="long " * 400) for task in tasks))

    assert room.take() == tasks


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.sampled_from(Status), max_size=12), st.lists(st.integers(0, 1000), max_size=8))
def test_however_it_is_cut_into_writes_each_is_told_once_and_in_order(
    room: Room, found: list[Status], cuts: list[int]
) -> None:
    # given
    whole = "".join(line(f"t{number}", status) for number, status in enumerate(found))
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})

    # when
    told: list[str] = []
    for start, end in pairwise(places):
        room.append(whole[start:end])
        told.extend(room.take())

    # then
    assert told == [f"t{number}" for number, status in enumerate(found) if status is not Status.RETRY]
