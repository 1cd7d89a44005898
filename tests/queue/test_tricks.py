"""A record can't be held up by what an agent put in its place in its own folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from conductor.domain.outcome import Outcome, Status, TaskResult
from conductor.domain.task import Claim, TaskSpec
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout
from conductor.testing.clock import ManualClock
from tests.queue.homes import open_queue, result_lines
from tests.worker.forked import in_child

WORKER = "w1-2-3-0123abcd"
Trick = Callable[[Path, Path], None]


def a_link(place: Path, precious: Path) -> None:
    place.symlink_to(precious)


def a_second_name(place: Path, precious: Path) -> None:
    place.hardlink_to(precious)


def a_link_to_nowhere(place: Path, precious: Path) -> None:
    place.symlink_to("nowhere")


def a_pipe(place: Path, precious: Path) -> None:
    os.mkfifo(place)


def a_pipe_that_is_open(place: Path, precious: Path) -> None:
    """As by a process that outlived its agent."""
    os.mkfifo(place)
    os.open(place, os.O_RDWR | os.O_NONBLOCK)


def a_socket(place: Path, precious: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))


def a_file(place: Path, precious: Path) -> None:
    place.write_text("{}")


TRICKS = (a_link, a_second_name, a_link_to_nowhere, a_pipe, a_pipe_that_is_open, a_socket, a_file)


class Home:
    """A queue with one claim, and a file that is not the agent's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue, self.layout = self.open()
        self.precious = folder / "precious"
        self.precious.write_text("keep me")
        self.queue.submit(TaskSpec("t", "x"))
        claim = self.queue.claim("default", WORKER)
        assert claim is not None
        self.claim: Claim = claim
        self.record = Path(claim.directory, "result.json")

    def open(self) -> tuple[DirectoryQueue, Layout]:
        return open_queue(self.folder / "home", ManualClock())

    def check(self, status: Status) -> None:
        assert json.loads(self.record.read_text())["status"] == status
        assert not self.record.is_symlink()
        assert self.precious.read_text() == "keep me"
        assert [line.status for line in result_lines(self.layout)] == [status]
        assert os.listdir(self.layout.corrupt) == []
        assert sorted(os.listdir(self.claim.directory)) == ["TASK.txt", "result.json"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("trick", TRICKS)
def test_a_record_takes_the_place_of_what_stands_there(home: Home, trick: Trick) -> None:
    def work() -> None:
        trick(home.record, home.precious)
        home.open()[0].finish(home.claim, TaskResult(Outcome.SUCCESS, "", "", 0.0, 0.0))

    in_child(work)

    home.check(Status.SUCCESS)


@pytest.mark.parametrize("trick", TRICKS)
def test_recovery_records_a_lost_attempt_whatever_stands_in_the_record_s_place(home: Home, trick: Trick) -> None:
    def work() -> int:
        trick(home.record, home.precious)
        return len(home.open()[0].recover(lambda owner: False))

    assert in_child(work) == 1

    home.check(Status.RETRY)


def test_a_folder_in_the_record_s_place_ends_in_corrupt_and_leaves_nothing_beside_it(home: Home) -> None:
    (home.record / "x").mkdir(parents=True)

    assert in_child(lambda: home.open()[0].recover(lambda owner: False)) == []

    assert len(os.listdir(home.layout.corrupt)) == 2
    assert sorted(os.listdir(home.claim.directory)) == ["TASK.txt", "result.json"]


def test_a_pipe_in_the_place_of_the_task_s_copy_does_not_hold_up_a_claim(home: Home) -> None:
    home.queue.give_back(home.claim)
    place = Path(home.layout.home.attempt("t", 2), "TASK.txt")
    place.parent.mkdir()
    os.mkfifo(place)

    claim = in_child(lambda: home.open()[0].claim("default", WORKER))

    assert claim is not None
    assert claim.directory == str(place.parent)
    assert place.is_file()
