"""Between a file in inbox/ and its tasks in ready/: killed anywhere or met by others, each line counts once."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from conductor.domain.errors import DuplicateTask
from conductor.domain.task import Claim, Tries
from conductor.domain.view import Ended, Queued, Running, view_id
from conductor.testing.contract_base import CALLER, WORKER, claim_order, result, task, tend_all
from tests.queue.homes import Inbox, open_queue, result_lines
from tests.queue.kills import killed_before_change, killed_when, without_fsync


def test_a_take_in_that_was_interrupted_is_finished_once(inbox: Inbox) -> None:
    """Killed when both <batch>.raw and <batch>.batch are there."""
    inbox.drop("named|echo named|m|t\n|bare|m|t\n")
    with killed_when(lambda deed, path: deed == "unlink" and path.endswith(".raw")) as kill:
        inbox.queue.tend("command")
    assert kill.happened
    assert sorted(name.partition(".")[2] for name in os.listdir(inbox.layout.inbox)) == ["batch", "raw"]
    inbox.reopen()

    assert inbox.tend() == []

    assert inbox.descriptions() == ["echo named", "bare"]
    assert os.listdir(inbox.layout.inbox) == []


@without_fsync()
def test_killed_anywhere_between_file_and_ready_each_line_runs_once(tmp_path: Path) -> None:
    lines = "".join(f"{'' if number % 3 else f'n{number}'}|line {number}|m|t\n" for number in range(20)) + "torn\n"
    nth = 0
    while True:
        nth += 1
        inbox = Inbox(tmp_path / str(nth))
        inbox.drop(lines)
        with killed_before_change(nth) as kill:
            inbox.tend()
        if not kill.happened:
            break
        with killed_before_change(5):
            inbox.tend()
        inbox.reopen()
        for claim_first in range(3):
            claim = inbox.queue.claim("default", f"w{claim_first}")
            if claim is not None:
                inbox.queue.finish(claim, result())
        inbox.tend()

        finished = {line.task_id for line in result_lines(inbox.layout)}
        left = [view_id(view) for view in inbox.queue.tasks()]
        assert len(left) == len(set(left))
        assert len(finished) + len(left) == 20, f"killed before change {nth}"
        assert not finished & set(left)
        assert set(inbox.corrupt()) == {"torn\n"}
    assert nth > 60


def test_an_id_that_is_being_taken_in_can_t_be_submitted_meanwhile(inbox: Inbox) -> None:
    inbox.drop("wanted|from the file|m|t\n")
    other, _ = open_queue(inbox.folder / "home", inbox.clock)
    refusals = []
    real_rename = os.rename

    def rename(source: str, target: str) -> None:
        if source.endswith(".batch") and not refusals:  # every id of the file is taken, its batch is not there yet
            with pytest.raises(DuplicateTask) as refusal:
                other.submit(task("wanted"))
            refusals.append(refusal)
        real_rename(source, target)

    with patch.object(os, "rename", rename):
        inbox.tend()

    assert len(refusals) == 1
    assert inbox.descriptions() == ["from the file"]


def test_what_a_killed_daemon_unpacked_is_durable_before_its_batch_goes(inbox: Inbox) -> None:
    inbox.queue.submit_many([task(f"t{number}") for number in range(3)])
    with killed_when(lambda deed, path: deed == "unlink" and path.endswith(".batch")):
        inbox.queue.tend("")
    inbox.reopen()
    deeds: list[str] = []
    real_fsync, real_unlink = os.fsync, os.unlink

    def fsync(descriptor: int) -> None:
        deeds.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real_fsync(descriptor)

    def unlink(path: str) -> None:
        deeds.append("unlink " + path)
        real_unlink(path)

    with patch.multiple(os, fsync=fsync, unlink=unlink):
        tend_all(inbox.queue)

    (folder,) = {
        os.path.dirname(path) for path, _, files in os.walk(inbox.layout.ready) if files for path in [f"{path}/"]
    }
    (gone,) = [position for position, deed in enumerate(deeds) if deed.startswith("unlink") and ".batch" in deed]
    assert folder in deeds[:gone]
    assert inbox.layout.claimed in deeds[:gone]  # where a worker may have taken one to
    assert inbox.layout.inbox in deeds[gone:]
    assert claim_order(inbox.queue) == ["t0", "t1", "t2"]


def test_what_is_unpacked_is_seen_where_it_is_though_its_batch_still_lists_it(inbox: Inbox) -> None:
    inbox.queue.submit_many([task(name) for name in ("ended", "running", "ready")])
    with killed_when(lambda deed, path: deed == "unlink" and path.endswith(".batch")) as kill:
        inbox.queue.tend("")
    assert kill.happened
    inbox.reopen()

    inbox.queue.finish(claimed_untended(inbox), result())
    running = claimed_untended(inbox)

    assert isinstance(inbox.queue.find("ended"), Ended)
    assert isinstance(inbox.queue.find("running"), Running)
    assert inbox.queue.find("ready") == Queued(task("ready"), Tries())
    assert [view_id(view) for view in inbox.queue.tasks()] == ["running", "ready"]
    assert inbox.queue.cancel("ended", CALLER) == "ended"
    assert inbox.queue.cancel("running", CALLER) == "stopping"
    assert inbox.queue.cancel_requested(running)


def claimed_untended(inbox: Inbox) -> Claim:
    claim = inbox.queue.claim("default", WORKER)
    assert claim is not None
    return claim
