"""results.txt in segments: recovery finds its line wherever it lies now, and nothing it needs is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.outcome import Status
from conductor.domain.task import Claim
from conductor.kit.segments import older_segments
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout
from conductor.testing.clock import ManualClock
from conductor.testing.contract_base import WORKER, everybody_is_gone, result, task
from tests.queue.homes import open_queue
from tests.queue.kills import killed_when

TOLD_ALL = 1 << 60


@pytest.fixture
def opened(tmp_path: Path) -> tuple[DirectoryQueue, Layout]:
    return open_queue(tmp_path, ManualClock())


def claimed(queue: DirectoryQueue, task_id: str) -> Claim:
    queue.submit(task(task_id))
    claim = queue.claim("default", WORKER)
    assert claim is not None
    return claim


def finish_some(queue: DirectoryQueue, *task_ids: str) -> None:
    """Each in a segment of its own."""
    for task_id in task_ids:
        queue.finish(claimed(queue, task_id), result())
        assert queue.rotate_results(0, 1, TOLD_ALL)


def lines(layout: Layout) -> list[str]:
    paths = [*(segment.path for segment in older_segments(layout.home.results)), layout.home.results]
    return "".join(Path(path).read_text() for path in paths).splitlines()


def test_a_line_that_was_rotated_away_is_not_written_again(opened: tuple[DirectoryQueue, Layout]) -> None:
    # given a worker that was killed between its line and the task's last move
    queue, layout = opened
    finish_some(queue, "before")
    claim = claimed(queue, "one")
    with killed_when(lambda deed, path: deed == "rename" and path.startswith(layout.finishing)) as kill:
        queue.finish(claim, result())
    assert kill.happened

    # when it is only found after the rotation of many others, of which one segment is kept
    finish_some(queue, "two", "three", "four")
    recovered = queue.recover(everybody_is_gone)

    # then
    assert [(one.task_id, one.status, one.was_recorded) for one in recovered] == [("one", Status.SUCCESS, True)]
    assert [line.partition("|")[0] for line in lines(layout)] == ["before", "one", "two", "three", "four"]

    # and what was kept for it goes with the next
    finish_some(queue, "five")
    assert [line.partition("|")[0] for line in lines(layout)] == ["five"]


def test_what_was_not_told_yet_is_kept(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened
    long = "x" * 199
    for number in range(400):  # more than a torn tail's worth of bytes
        queue.finish(claimed(queue, f"t{number}"), result(preview=long))
    assert queue.rotate_results(0, 1, 0)
    first_end = older_segments(layout.home.results)[0].end
    finish_some_untold = claimed(queue, "last")
    queue.finish(finish_some_untold, result())

    assert queue.rotate_results(0, 1, first_end - 1)
    assert len(lines(layout)) == 401
    finish_some(queue, "after")
    assert len(lines(layout)) == 1


def test_a_small_file_is_left_alone(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened
    queue.finish(claimed(queue, "one"), result())

    assert not queue.rotate_results(4096, 1, TOLD_ALL)

    assert older_segments(layout.home.results) == []
