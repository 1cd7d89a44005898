"""after/: tasks that wait for others, when a process is killed anywhere on the way, when power or disk fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conductor.domain.outcome import Outcome, Status
from conductor.domain.view import Ended, Waiting
from conductor.kit.process import owner_lives
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout
from conductor.testing.clock import ManualClock
from conductor.testing.contract_base import (
    CALLER,
    WORKER,
    claim_order,
    claimed,
    everybody_is_gone,
    result,
    task,
    tend_all,
)
from tests.queue.homes import open_queue, result_lines
from tests.queue.kills import killed_before_change, killed_when, without_fsync

SECOND = task("second", after=("first",))
Deed = Callable[[DirectoryQueue], object]


def end_first(queue: DirectoryQueue, outcome: Outcome = Outcome.SUCCESS) -> None:
    queue.finish(claimed(queue), result(outcome))


def leftovers(layout: Layout) -> list[str]:
    """Whatever lies in after/ still."""
    return [f"{path}/{name}" for path, _, names in os.walk(layout.after) for name in names]


def heal(queue: DirectoryQueue) -> None:
    """What the next conductord does."""
    for _ in range(3):
        queue.recover(everybody_is_gone)
        tend_all(queue)


@without_fsync()
@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.FAILED])
def test_killed_anywhere_between_the_end_of_the_first_and_that_of_the_second_nothing_is_lost(
    tmp_path: Path, outcome: Outcome
) -> None:
    """One pass from the finish of the awaited one to the tend that moves its dependents on."""
    nth = 0
    while True:
        # given
        nth += 1
        queue, layout = open_queue(tmp_path / f"home-{nth}", ManualClock())
        queue.submit(task("first"))
        queue.submit(SECOND)
        claim = claimed(queue)

        # when
        with killed_before_change(nth) as kill:
            queue.finish(claim, result(outcome))
            tend_all(queue)
        if not kill.happened:
            break
        heal(queue)

        # then
        again, _ = open_queue(tmp_path / f"home-{nth}", ManualClock(1_800_003_600.0))
        for _ in range(3):  # an attempt that was lost before its result was known runs anew
            first = again.find("first")
            assert first is not None
            if isinstance(first, Ended):
                break
            end_first(again, outcome)
            tend_all(again)
        lines = [line.status for line in result_lines(layout) if line.task_id == "second"]
        if outcome is Outcome.SUCCESS:
            assert claim_order(again) == ["second"]
            assert lines == []
        else:
            tend_all(again)
            finals = [line.status for line in result_lines(layout) if line.task_id == "second"]
            assert claim_order(again) == []
            assert [status for status in finals if status is not Status.RETRY] == [Status.FAILED]
        assert leftovers(layout) == []
    assert nth > 5


@without_fsync()
def test_killed_anywhere_in_a_submit_it_is_here_whole_or_not_at_all(tmp_path: Path) -> None:
    nth = 0
    while True:
        nth += 1
        queue, layout = open_queue(tmp_path / f"home-{nth}", ManualClock())
        queue.submit(task("first"))
        with killed_before_change(nth) as kill:
            queue.submit(SECOND)
        if not kill.happened:
            break

        heal(queue)
        view = queue.find("second")
        assert view is None or isinstance(view, Waiting)
        if view is None:
            queue.submit(SECOND)
        end_first(queue)
        tend_all(queue)
        assert claim_order(queue) == ["second"]
        assert leftovers(layout) == []


@without_fsync()
def test_killed_anywhere_while_many_are_unpacked_each_waits_once(tmp_path: Path) -> None:
    nth = 0
    while True:
        nth += 1
        queue, layout = open_queue(tmp_path / f"home-{nth}", ManualClock())
        queue.submit(task("first"))
        names = [f"d{number}" for number in range(10)]
        queue.submit_many([task(name, after=("first",)) for name in names])
        with killed_before_change(nth) as kill:
            tend_all(queue)
        if not kill.happened:
            break

        again, _ = open_queue(tmp_path / f"home-{nth}", ManualClock())
        heal(again)
        assert sorted(view.spec.id for view in again.tasks() if isinstance(view, Waiting)) == names
        end_first(again)
        tend_all(again)
        assert sorted(claim_order(again)) == names
        assert leftovers(layout) == []
    assert nth > 10


def test_a_power_cut_that_brings_back_who_waited_is_found_by_the_next_start(tmp_path: Path) -> None:
    # given: the file lies in wait/ again, though the first has ended
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    queue.submit(SECOND)
    before = leftovers(layout)[0]
    end_first(queue)
    tend_all(queue)
    placed = next(path for path, _, names in os.walk(layout.ready) if names)
    os.makedirs(os.path.dirname(before))
    os.rename(f"{placed}/{os.listdir(placed)[0]}", before)
    tend_all(queue)
    assert isinstance(queue.find("second"), Waiting)

    # when
    queue.recover(everybody_is_gone)
    tend_all(queue)

    # then
    assert claim_order(queue) == ["second"]


def test_a_home_of_before_has_no_such_folder_and_needs_none(tmp_path: Path) -> None:
    queue, layout = open_queue(tmp_path, ManualClock())
    os.rmdir(layout.after)

    queue.submit(task("first"))
    assert (queue.counts().waiting, queue.has_due(), queue.recover(everybody_is_gone)) == (0, False, [])
    queue.submit(SECOND)
    end_first(queue)
    tend_all(queue)

    assert claim_order(queue) == ["second"]


def test_a_damaged_file_goes_to_corrupt_with_the_reason(tmp_path: Path) -> None:
    # given
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    queue.submit(SECOND)
    path = leftovers(layout)[0]
    Path(path).write_text("torn")

    # when
    end_first(queue)
    tend_all(queue)

    # then
    assert leftovers(layout) == []
    assert any(os.path.basename(path) in name for name in os.listdir(layout.corrupt))
    assert not queue.has_due()


@pytest.mark.parametrize("junk", ["a file", "an empty folder", "a folder with a file", "a link"])
def test_what_strangers_put_there_holds_nobody_up_and_keeps_nobody_busy(tmp_path: Path, junk: str) -> None:
    # given
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    queue.submit(SECOND)
    place = Path(layout.after, "due", "first~0")
    place.parent.mkdir()
    if junk == "a file":
        place.write_text("x")
    elif junk == "a link":
        place.symlink_to(tmp_path)
    else:
        place.mkdir()
        if junk == "a folder with a file":
            (place / "x").write_text("x")

    # when
    end_first(queue)
    tend_all(queue)

    # then
    assert not queue.has_due()
    assert claim_order(queue) == ["second"]


def test_a_disk_that_refuses_the_record_is_tried_again_by_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a tend that can't record the failure
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    queue.submit(SECOND)
    end_first(queue, Outcome.FAILED)
    with killed_when(lambda deed, path: "result.json" in path and "/second/" in path) as kill:
        tend_all(queue)
    assert kill.happened
    assert [entry[0] for entry in queue.owned()] == ["second"]

    # when recovery looks, for which this very process lives
    queue.recover(owner_lives)
    tend_all(queue)

    # then
    assert queue.owned() == []
    view = queue.find("second")
    assert isinstance(view, Ended)
    assert view.status is Status.FAILED
    assert leftovers(layout) == []


def test_an_end_that_comes_twice_while_nobody_tends_leaves_nobody_behind(tmp_path: Path) -> None:
    # given one that fails, is retried before anybody looked, and is waited for by another meanwhile
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    queue.submit(SECOND)
    end_first(queue, Outcome.FAILED)
    queue.retry("first")
    queue.submit(task("third", after=("first",)))

    # when
    claim = queue.claim("default", WORKER)
    assert claim is not None
    queue.finish(claim, result())
    tend_all(queue)

    # then
    assert sorted(claim_order(queue)) == ["second", "third"]
    assert leftovers(layout) == []


def test_submitted_between_the_mark_and_the_last_move_it_is_looked_at(tmp_path: Path) -> None:
    """Whoever ends the first has marked those that wait, and will not do so again."""
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    with killed_when(lambda deed, path: deed == "rename" and path.startswith(layout.finishing)) as kill:
        end_first(queue, Outcome.FAILED)
    assert kill.happened

    queue.submit(SECOND)

    assert queue.has_due()


def test_a_success_that_nobody_was_told_of_lets_nobody_go(tmp_path: Path) -> None:
    # given a worker that was killed between its record and its line
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    with killed_when(lambda deed, path: deed == "rename" and path.startswith(layout.claimed)) as kill:
        end_first(queue)
    assert kill.happened

    # when another waits for it, and it is cancelled
    queue.submit(SECOND)
    assert isinstance(queue.find("second"), Waiting)
    queue.cancel("first", CALLER)
    heal(queue)

    # then
    view = queue.find("second")
    assert isinstance(view, Ended)
    assert "CANCELLED" in view.record["reason"]


def test_cancelled_while_it_waits_its_place_goes(tmp_path: Path) -> None:
    queue, layout = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    queue.submit(SECOND)

    assert queue.cancel("second", CALLER) == "cancelled"

    assert leftovers(layout) == []
    assert result_lines(layout)[-1].status is Status.CANCELLED


def test_who_waits_for_something_else_is_not_looked_at(tmp_path: Path) -> None:
    # given many that wait for a task that runs on
    queue, _ = open_queue(tmp_path, ManualClock())
    queue.submit(task("first"))
    queue.submit(task("endless"))
    queue.submit_many([task(f"w-{number}", after=("endless",)) for number in range(50)])
    queue.submit(SECOND)
    tend_all(queue)
    end_first(queue)
    seen: list[str] = []
    read = queue._files.read_task

    # when
    queue._files.read_task = lambda path: (seen.append(path), read(path))[1]  # type: ignore[method-assign]
    tend_all(queue)

    # then
    assert [path.rpartition("~")[2] for path in seen] == ["second"]
