"""events.jsonl: the sequence goes on, every result is told once, a torn line is cut, a full disk costs no daemon."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.lines import ResultLine, format_result
from conductor.domain.masking import MASK, Masker
from conductor.domain.outcome import Status
from conductor.kit.segments import older_segments, rotate
from conductor.supervisor import events as module
from conductor.supervisor.events import EventLog

NOW = 1_800_000_000.25


class Book:
    """A home's two files, and event logs opened on them one after the other, as supervisors would."""

    def __init__(self, folder: Path) -> None:
        self.events = folder / "events.jsonl"
        self.results = folder / "results.txt"

    def open(self, mask: Callable[[str], str] = str) -> EventLog:
        return EventLog(str(self.events), str(self.results), lambda: NOW, mask)

    def append_result(self, task: str, status: Status = Status.SUCCESS, preview: str = "fine") -> None:
        line = format_result(ResultLine(task, "w1-2-3-0123abcd", status, "2027-01-15T08:00:00.000Z", preview))
        with self.results.open("a") as file:
            file.write(line)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.events.read_text().splitlines()]

    def tasks_told(self) -> list[str]:
        return [event["task"] for event in self.told() if event["action"] in ("task_finished", "task_retrying")]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_an_event_says_when_what_and_the_facts(book: Book) -> None:
    log = book.open()

    log.emit("pool_scaled", pool="default", workers=5)
    log.emit("daemon_stopped")
    log.close()

    assert book.told() == [
        {
            "seq": 1, "time": "2027-01-15T08:00:00.250Z", "action": "pool_scaled",
            "pool": "default", "workers": 5, "results": 0,
        },
        {"seq": 2, "time": "2027-01-15T08:00:00.250Z", "action": "daemon_stopped", "results": 0},
    ]  # fmt: skip
    assert book.events.stat().st_mode & 0o777 == 0o600


def test_the_sequence_goes_on_after_a_restart(book: Book) -> None:
    for _ in range(3):
        log = book.open()
        log.emit("daemon_started")
        log.emit("daemon_stopped")
        log.close()

    assert [event["seq"] for event in book.told()] == [1, 2, 3, 4, 5, 6]


def test_each_result_is_told_as_it_comes(book: Book) -> None:
    log = book.open()
    assert log.follow_results() is False

    book.append_result("a")
    assert log.follow_results() is False
    book.append_result("b", Status.RETRY, "exit 1")
    book.append_result("c", Status.FAILED)
    assert log.follow_results() is True, "b is to run again"
    assert log.follow_results() is False

    assert [(event["action"], event["task"]) for event in book.told()] == [
        ("task_finished", "a"),
        ("task_retrying", "b"),
        ("task_finished", "c"),
    ]
    assert log.finished == {"SUCCESS": 1, "RETRY": 1, "FAILED": 1}
    assert book.told()[1]["preview"] == "exit 1"
    log.close()


def test_what_was_recorded_while_no_supervisor_ran_is_told_exactly_once(book: Book) -> None:
    log = book.open()
    book.append_result("a")
    log.follow_results()
    log.close()

    book.append_result("b")
    book.append_result("c")
    for _ in range(3):
        log = book.open()
        log.emit("daemon_started")
        log.follow_results()
        log.close()

    assert book.tasks_told() == ["a", "b", "c"]
    assert [event["seq"] for event in book.told()] == list(range(1, 7))


@pytest.mark.parametrize("is_restarted", [False, True])
def test_results_that_were_rotated_meanwhile_are_told_exactly_once(book: Book, is_restarted: bool) -> None:
    # given
    events = book.open()
    for number in range(30):
        # when
        book.append_result(f"t{number}")
        if number % 3 == 0:
            rotate(str(book.results))
        if number % 5 == 0:
            events.follow_results()
        if number % 4 == 0:
            events.rotate(0, 100)
        if is_restarted and number % 7 == 0:
            events.close()
            events = book.open()
    events.follow_results()
    events.close()

    # then
    paths = [*(segment.path for segment in older_segments(str(book.events))), str(book.events)]
    told = [json.loads(line) for path in paths for line in Path(path).read_text().splitlines()]
    assert [event["task"] for event in told] == [f"t{number}" for number in range(30)]
    assert [event["seq"] for event in told] == list(range(1, 31))


def test_half_a_result_line_is_told_when_it_is_whole(book: Book) -> None:
    log = book.open()
    book.append_result("a")
    whole = book.results.read_bytes()
    book.results.write_bytes(whole + whole[:20].replace(b"a", b"b"))

    log.follow_results()
    assert book.tasks_told() == ["a"]
    book.results.write_bytes(whole + whole.replace(b"a|w1", b"b|w1"))
    log.follow_results()

    assert book.tasks_told() == ["a", "b"]
    log.close()


def test_a_result_line_that_cannot_be_read_is_told_as_such_and_passed_over(book: Book) -> None:
    log = book.open()
    book.results.write_bytes(b"nonsense\n\xff\xfe|x|SUCCESS|t|p\n")
    book.append_result("a")

    log.follow_results()
    log.follow_results()

    assert [event["action"] for event in book.told()] == ["result_unreadable", "result_unreadable", "task_finished"]
    log.close()


# -- what a kill leaves


def test_a_torn_last_line_is_cut_and_its_result_is_told_again(book: Book) -> None:
    log = book.open()
    for task in ("a", "b"):
        book.append_result(task)
        log.follow_results()
    log.close()
    whole = book.events.read_bytes()
    second = whole.index(b"\n") + 1

    for torn_at in (second + 1, second + 30, len(whole) - 1):
        book.events.write_bytes(whole[:torn_at])
        log = book.open()
        log.follow_results()
        log.close()

        assert book.tasks_told() == ["a", "b"]
        assert [event["seq"] for event in book.told()] == [1, 2]


def test_a_log_that_is_one_torn_line_begins_anew(book: Book) -> None:
    book.events.write_bytes(b'{"seq": 17, "ti')

    log = book.open()
    log.emit("daemon_started")
    log.close()

    assert [event["seq"] for event in book.told()] == [1]


@pytest.mark.parametrize("size", [60_000, 70_000, 200_000, 3_000_000])
def test_a_long_event_is_no_end_of_the_sequence(book: Book, size: int) -> None:
    book.append_result("a")
    log = book.open()
    log.follow_results()
    log.emit("task_refused", reason="r" * size)
    log.close()
    with book.events.open("ab") as file:
        file.write(b'{"seq": 3, "torn": "' + b"t" * size)

    log = book.open()
    log.follow_results()
    log.emit("daemon_started")
    log.close()

    assert [event["seq"] for event in book.told()] == [1, 2, 3]
    assert book.tasks_told() == ["a"]


# -- a disk that refuses


class FullDisk:
    """Takes `room` bytes of each write and then says that there is no more."""

    def __init__(self) -> None:
        self.room: int | None = None

    def write_all(self, descriptor: int, content: bytes) -> None:
        if self.room is None:
            os.write(descriptor, content)
        else:
            os.write(descriptor, content[: self.room])
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    disk = FullDisk()
    monkeypatch.setattr(module, "write_all", disk.write_all)
    return disk


def test_a_full_disk_loses_events_but_leaves_no_half_of_one_and_says_so_later(book: Book, disk: FullDisk) -> None:
    log = book.open()
    log.emit("daemon_started")

    disk.room = 10
    log.emit("task_started", task="a")
    log.emit("task_started", task="b")
    assert [event["action"] for event in book.told()] == ["daemon_started"]
    disk.room = None
    log.emit("task_started", task="c")
    log.close()

    assert [(event["seq"], event["action"]) for event in book.told()] == [
        (1, "daemon_started"),
        (2, "events_lost"),
        (3, "task_started"),
    ]
    assert book.told()[1]["events"] == 2


def test_results_that_a_full_disk_refused_are_told_when_there_is_room(book: Book, disk: FullDisk) -> None:
    log = book.open()
    book.append_result("a")
    disk.room = 10
    log.follow_results()
    log.follow_results()
    disk.room = None
    book.append_result("b")
    log.follow_results()
    log.close()

    assert book.tasks_told() == ["a", "b"]
    assert log.finished == {"SUCCESS": 2}
    assert [event["seq"] for event in book.told()] == [1, 2]


# -- secrets


@pytest.mark.parametrize("secret", ["hunter2hunter2", 'pa"ss\\word', "pässwörd-ünd-so", "two\nlines\nof it"])
def test_no_secret_reaches_an_event_however_json_writes_it(book: Book, secret: str) -> None:
    log = book.open(Masker([secret]).mask)

    log.emit("task_refused", reason=f"<{secret}>", nested={"a": ["sk-ant-" + "x1Y2" * 10]})
    log.close()

    (event,) = book.told()
    assert event["reason"] == f"<{MASK}>"
    assert event["nested"] == {"a": [MASK]}
