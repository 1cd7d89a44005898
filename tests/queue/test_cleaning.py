"""What has ended goes, wherever the clean is killed; what has not stays, and so does what others need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.errors import BadTask
from conductor.domain.outcome import Outcome, Status
from conductor.domain.view import Ended, Queued, Running, Waiting
from conductor.queue import cleaning
from conductor.queue.cleaning import Choice, Cleaner
from conductor.queue.trash import Trash, size_of
from conductor.testing.clock import ManualClock
from conductor.testing.contract_base import WORKER, everybody_is_gone, result, task, tend_all
from tests.queue.homes import open_queue, result_lines
from tests.queue.kills import killed_when

LATER = 3e9
EVERYTHING = Choice(before=LATER)


class Room:
    """A queue with a cleaner, and quick ways to bring tasks to their ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, ManualClock()
        self.queue, self.layout = open_queue(folder, self.clock)
        self.cleaner = Cleaner(self.queue._files)

    def run(self, task_id: str, outcome: Outcome = Outcome.SUCCESS, **facts: object) -> None:
        self.queue.submit(task(task_id, **facts))
        self.run_next(outcome)

    def run_next(self, outcome: Outcome = Outcome.SUCCESS) -> None:
        tend_all(self.queue)
        claim = self.queue.claim("default", WORKER)
        assert claim is not None
        self.queue.finish(claim, result(outcome))

    def clean(self, choice: Choice = EVERYTHING) -> list[str]:
        """The ids that went."""
        before = set(self.ids())
        chosen = list(self.cleaner.choose(choice))
        removed, _, refused = self.cleaner.clean(chosen)
        gone = sorted(before - set(self.ids()))
        assert (removed, refused) == (len(gone), 0) == (len(chosen), 0)
        return gone

    def ids(self) -> list[str]:
        return os.listdir(self.layout.home.tasks)

    def state(self, task_id: str) -> type | None:
        view = self.queue.find(task_id)
        return None if view is None else type(view)

    def left_over(self) -> list[str]:
        return [*os.listdir(self.cleaner.trash._path), *os.listdir(self.layout.dead)]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "home")


def test_what_has_ended_goes_and_its_id_is_free_again(room: Room) -> None:
    # given
    for task_id, outcome in (("good", Outcome.SUCCESS), ("bad", Outcome.FAILED), ("slow", Outcome.TIMEOUT)):
        room.run(task_id, outcome)
    room.queue.submit(task("unwanted"))
    room.queue.cancel("unwanted", "cli-1-1f-0badc0de")

    # when
    assert room.clean() == ["bad", "good", "slow", "unwanted"]

    # then
    assert (room.left_over(), list(room.queue.tasks())) == ([], [])
    assert room.state("bad") is None
    assert len(result_lines(room.layout)) == 4
    room.run("bad")
    assert room.state("bad") is Ended


def test_what_has_not_ended_stays(room: Room) -> None:
    # given tasks in every state in which something will still come of them
    room.run("retried", Outcome.FAILED)
    room.run("again", Outcome.FAILED, retries=3)
    room.run("lost", Outcome.LOST)
    assert [one.spec.id for one in room.queue.tasks() if isinstance(one, Queued)] == ["lost"]
    running = room.queue.claim("default", WORKER)
    assert running is not None
    room.queue.submit(task("recorded"))
    recorded = room.queue.claim("default", WORKER)
    assert recorded is not None
    with killed_when(lambda deed, path: deed == "rename" and path.startswith(room.layout.finishing)):
        room.queue.finish(recorded, result())
    room.queue.retry("retried")
    room.queue.submit(task("waiting", not_before_ms=room.clock.now_ms + 10_000))
    room.queue.submit_many([task("batched")])

    # when
    assert room.clean() == []

    # then
    states = {name: room.state(name) for name in ("retried", "again", "lost", "recorded", "waiting", "batched")}
    assert states == {
        "retried": Queued,
        "again": Waiting,
        "lost": Running,
        "recorded": Running,
        "waiting": Waiting,
        "batched": Queued,
    }
    assert [one.task_id for one in room.queue.recover(everybody_is_gone)] == ["recorded", "lost"]


def test_only_what_is_old_enough_and_ended_so_goes_and_the_last_may_stay(room: Room) -> None:
    # given
    for number, outcome in enumerate([Outcome.SUCCESS, Outcome.FAILED] * 3):
        room.run(f"t{number}", outcome)
        ended = 1_000_000_000 + number
        record = Path(room.layout.home.attempt(f"t{number}", 1), "result.json")
        record.write_text(
            record.read_text().replace("2027-01-15T08:00:02.500Z", f"2001-09-09T01:46:{40 + number}.000Z")
        )
        os.utime(room.layout.home.task(f"t{number}"), (ended, ended))

    # when, then
    assert room.clean(Choice(1_000_000_001.0, frozenset({Status.FAILED}))) == []
    assert room.clean(Choice(1_000_000_001.0)) == ["t0"]
    assert room.clean(Choice(LATER, frozenset({Status.FAILED}), keep=2)) == ["t1"]
    assert room.clean(Choice(LATER, keep=3)) == ["t2"]
    assert room.clean(Choice(LATER, keep=3)) == []
    assert room.clean(Choice(LATER, spare=lambda task_id: task_id == "t4")) == ["t3", "t5"]


def test_a_folder_that_was_touched_since_is_not_even_looked_into(room: Room) -> None:
    room.run("one")

    assert room.clean(Choice(os.stat(room.layout.home.task("one")).st_mtime)) == []


def test_what_others_wait_for_stays_until_they_have_ended(room: Room) -> None:
    # given two that ended, and tasks that wait for them in after/, in a batch, or would ask again at their next try
    room.run("first")
    room.run("second")
    room.queue.submit(task("open"))
    room.queue.submit(task("waits", after=("second", "open")))
    room.queue.submit_many([task("batched", after=("first",))])
    assert room.clean() == []
    tend_all(room.queue)
    assert room.clean() == []

    # when all have ended
    for _ in range(3):
        room.run_next()

    # then
    assert room.clean() == ["batched", "first", "open", "second", "waits"]


def test_a_dead_one_may_be_retried_so_what_it_waited_for_stays_as_long(room: Room) -> None:
    room.run("first")
    room.run("second", Outcome.FAILED, after=("first",))

    assert room.clean(Choice(LATER, frozenset({Status.SUCCESS}))) == []
    assert room.clean(Choice(LATER, frozenset({Status.FAILED}))) == ["second"]
    assert room.clean(Choice(LATER, frozenset({Status.SUCCESS}))) == ["first"]


def test_a_task_that_was_made_ready_again_after_it_was_chosen_stays(room: Room) -> None:
    room.run("bad", Outcome.FAILED)
    chosen = list(room.cleaner.choose(EVERYTHING))

    room.queue.retry("bad")

    assert (len(chosen), room.cleaner.remove(chosen)) == (1, 0)
    room.run_next()
    assert room.state("bad") is Ended


def test_what_is_removed_while_somebody_begins_to_wait_for_it_is_refused(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    room.run("first")
    accepting = room.queue._accepting
    check = accepting._check_awaited

    def check_then_clean(specs: object) -> list[str]:
        found = check(specs)  # type: ignore[arg-type]
        room.clean()
        return found

    # when
    monkeypatch.setattr(accepting, "_check_awaited", check_then_clean)

    # then
    with pytest.raises(BadTask, match="first"):
        room.queue.submit(task("second", after=("first",)))
    assert room.state("second") is None


def kill_points(folder: Path) -> Iterator[int]:
    """How many changes of the disk a clean makes."""
    room = Room(folder)
    room.run("good")
    room.run("bad", Outcome.FAILED)
    with killed_when(lambda deed, path: False) as kill:
        room.clean()
    yield from range(len(kill.changes))


def test_wherever_a_clean_is_killed_each_task_is_whole_or_gone_and_the_next_clean_ends_it(tmp_path: Path) -> None:
    points = list(kill_points(tmp_path / "count"))
    assert len(points) > 10
    for point in points:
        # given
        room = Room(tmp_path / f"home-{point}")
        room.run("good")
        room.run("bad", Outcome.FAILED)
        numbers = iter(range(1000))

        # when
        with killed_when(lambda deed, path, numbers=numbers, point=point: next(numbers) >= point) as kill:
            room.clean()
        assert kill.happened

        # then
        for task_id in ("good", "bad"):
            is_there = os.path.isdir(room.layout.home.task(task_id))
            assert room.state(task_id) is (Ended if is_there else None)
        assert {view.task_id for view in room.queue.tasks() if isinstance(view, Ended)} <= set(room.ids())
        room.cleaner.clean(room.cleaner.choose(EVERYTHING))
        assert (room.ids(), room.left_over()) == ([], [])


def test_whatever_an_agent_left_is_deleted_and_nothing_outside(room: Room, tmp_path: Path) -> None:
    # given
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    room.run("one")
    left = Path(room.layout.home.attempt("one", 1))
    (left / "link").symlink_to(outside)
    (left / "second name").hardlink_to(outside / "precious")
    os.mkfifo(left / "pipe")
    forbidden = left / "forbidden"
    forbidden.mkdir()
    (forbidden / "file").write_text("x" * 100_000)
    forbidden.chmod(0)
    descriptor = os.open(left, os.O_RDONLY)
    for _ in range(1500):  # far deeper than a path may be long or a stack deep
        os.mkdir("deep" * 10, dir_fd=descriptor)
        inner = os.open("deep" * 10, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)

    # when
    chosen = list(room.cleaner.choose(EVERYTHING))
    room.cleaner.remove(chosen)
    freed, refused = room.cleaner.delete()

    # then
    assert (room.ids(), room.left_over(), refused) == ([], [], 0)
    assert freed >= 100_000 + 1500 * 4096
    assert (outside / "precious").read_text() == "kept"


def test_what_the_system_refuses_is_told_and_does_not_go_on_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "file").touch()
    trash = Trash(str(tmp_path / "trash"))
    assert trash.take(str(tmp_path / "thing"))
    assert not trash.take(str(tmp_path / "thing"))

    def refuse(path: str) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr(os, "unlink", refuse)

    assert trash.empty()[1] == 1


def test_a_size_is_what_deleting_frees(room: Room) -> None:
    room.run("one")
    Path(room.layout.home.attempt("one", 1), "big").write_bytes(b"x" * 1_000_000)
    size = size_of(room.layout.home.task("one"))

    room.cleaner.remove(list(room.cleaner.choose(EVERYTHING)))

    assert room.cleaner.delete() == (size, 0)
    assert size > 1_000_000


def test_what_is_no_task_of_ours_and_what_an_agent_forged_stops_no_clean(room: Room) -> None:
    # given
    room.run("one")
    room.run("forged")
    Path(room.layout.home.tasks, "README").write_text("a file of a person")
    Path(room.layout.home.tasks, "link").symlink_to(room.folder)
    record = Path(room.layout.home.attempt("forged", 1), "result.json")
    record.write_text(record.read_text().replace("2027-01-15T08:00:02.500Z", "long ago"))

    # when, then
    assert room.clean() == ["forged", "one"]
    assert sorted(room.ids()) == ["README", "link"]


def test_two_cleans_at_once_do_no_harm(room: Room) -> None:
    # given one that is in its middle
    for number in range(5):
        room.run(f"t{number}")
    slow = room.cleaner.choose(EVERYTHING)
    first = next(slow)

    # when another one comes in between
    other = Cleaner(room.queue._files)
    assert other.clean(other.choose(EVERYTHING))[0] == 5

    # then
    assert room.cleaner.clean([first, *slow]) == (0, 0, 0)


def test_many_are_removed_and_deleted_by_pieces(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "_AT_ONCE", 3)
    for number in range(10):
        room.run(f"t{number}")
    in_trash: list[int] = []

    def look(_seconds: float) -> None:
        in_trash.append(len(os.listdir(room.cleaner.trash._path)))

    assert room.cleaner.clean(room.cleaner.choose(EVERYTHING), look)[0] == 10
    assert max(in_trash) <= 6
