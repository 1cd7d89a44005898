"""Damage and strangers in the folders of the queue: what can't be read is set aside, and the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conductor.domain.errors import HomeRefused, UsageError
from conductor.domain.home import Home
from conductor.domain.outcome import Outcome, Status
from conductor.domain.task import TaskSpec
from conductor.queue.layout import open_home
from tests.faults.promises import broken_promises, result_lines
from tests.faults.stories import DEAD, Scene, claim, finish_but, submit
from tests.faults.test_bad_input import ODDITIES, claim_all, corrupt, tend

REFUSED = OSError(5, "Input/output error")


@pytest.fixture
def scene(home: Home, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Scene(home)


def the_file(scene: Scene, state: str) -> Path:
    """The only file of a task in that state."""
    (found,) = [path for path in Path(scene.home.queue, state).rglob("*") if not path.is_dir()]
    return found


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def one_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes())


def of_another_task(path: Path) -> None:
    """A whole task, but not the one that the name says."""
    path.rename(path.with_name(path.name.replace("~a", "~other").replace("a~", "other~")))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


DAMAGE = (cut_in_half, emptied, one_bit_flipped, zeroed, not_text, a_folder, a_fifo, a_link)
each_damage = pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
Damage = Callable[[Path], None]


@pytest.mark.parametrize("damage", [*DAMAGE, of_another_task], ids=lambda damage: damage.__name__)
def test_a_damaged_task_is_set_aside_when_it_would_be_claimed(scene: Scene, damage: Damage) -> None:
    # given two tasks of which the first was damaged on the disk
    submit()(scene)
    damage(the_file(scene, "ready"))
    scene.queue.submit(TaskSpec(id="next", description="true"))
    # when a worker looks for a task, then it gets the second, and the first lies in corrupt/ with a reason
    assert [spec.id for spec in claim_all(scene)] == ["next"]
    assert len(corrupt(scene.home)) == 1
    assert scene.queue.counts().ready == 0


@each_damage
def test_a_damaged_task_is_set_aside_when_it_is_due(scene: Scene, damage: Damage) -> None:
    # given two delayed tasks of which one was damaged
    submit(delayed=True)(scene)
    damage(the_file(scene, "waiting"))
    submit("next", delayed=True)(scene)
    # when they are due
    scene.now += 61
    tend(scene)
    # then the other one is ready
    assert [spec.id for spec in claim_all(scene)] == ["next"]
    assert len(corrupt(scene.home)) == 1


@pytest.mark.parametrize("state", ["claimed", "finishing"])
@each_damage
def test_a_damaged_claim_of_a_dead_worker_does_not_stop_recovery(scene: Scene, state: str, damage: Damage) -> None:
    # given two claims of dead workers, of which one was damaged and has no record
    submit()(scene)
    claim(scene)
    path = the_file(scene, "claimed")
    path.rename(Path(scene.home.queue, state, path.name))
    damage(the_file(scene, state))
    submit("next")(scene)
    claim(scene)
    # when the supervisor recovers
    recovered = scene.queue.recover(lambda owner: False)
    # then the other one is queued again, and the damaged one lies in corrupt/
    assert [one.task_id for one in recovered] == ["next"]
    assert [spec.id for spec in claim_all(scene)] == ["next"]
    assert len(corrupt(scene.home)) == 1


@each_damage
def test_a_known_result_is_recorded_though_its_task_was_damaged(scene: Scene, damage: Damage) -> None:
    # given a worker that died when its result was known, and its task's file damaged since
    for step in (submit(), claim, finish_but("append", REFUSED)):
        step(scene)
    damage(the_file(scene, "finishing"))
    # when the supervisor recovers
    scene.queue.recover(lambda owner: False)
    # then the result is recorded
    assert [(line.task_id, line.status) for line in result_lines(scene.home)] == [("a", Status.SUCCESS)]
    assert os.listdir(f"{scene.home.queue}/finishing") == []


@each_damage
def test_a_damaged_dead_task_is_refused_by_retry_in_words(scene: Scene, damage: Damage) -> None:
    # given a dead task whose file was damaged
    for step in DEAD:
        step(scene)
    damage(the_file(scene, "dead"))
    # when it is to be retried, then that is an error that says why
    with pytest.raises(UsageError, match="task a can't run again"):
        scene.queue.retry("a")
    assert scene.queue.counts().ready == 0


# -- strangers

STRANGE_PLACES = (
    "ready",
    "ready/default",
    "ready/default/1000",
    "ready/default/1000/00010000",
    "ready/default/1000/00010000/00",
    "waiting",
    "waiting/0000001",
    "waiting/0000001/00-0000",
    "claimed",
    "finishing",
    "dead",
    "corrupt",
    "tmp",
)
STRANGE_NAMES = (".hidden", "-rf", "a b\n", "zzz", "000000000000", "x~a1r0l0~y~z", os.fsdecode(b"\xff"))
ANSWERED = {"ready/default/1000/00010000/00", "waiting/0000001/00-0000", "claimed", "finishing", "dead"}
"""Where entries lie: a strange one is set aside. A stranger between the folders is passed over."""
KINDS = {**ODDITIES, "file": lambda path: Path(path).write_text("what is this?")}


@pytest.mark.parametrize("place", STRANGE_PLACES)
@pytest.mark.parametrize("kind", ["file", "folder", "fifo", "dangling link"], ids=lambda kind: kind.replace(" ", "-"))
def test_strangers_in_the_queue_stop_nothing(scene: Scene, place: str, kind: str) -> None:
    # given strange things in a folder of the queue, among tasks in every state
    for step in (*DEAD, submit("b"), claim, submit("c"), submit("d", delayed=True)):
        step(scene)
    where = f"{scene.home.queue}/{place}"
    os.makedirs(where, exist_ok=True)
    for name in STRANGE_NAMES:
        KINDS[kind](f"{where}/{name}")
    # when everything is looked at, recovered and run, then all promises are kept and the strangers were set aside
    assert scene.queue.counts().dead >= 1
    assert {view.spec.id for view in scene.queue.tasks() if hasattr(view, "spec")} == {"b", "c", "d"}
    assert scene.queue.find("c") is not None
    assert broken_promises(scene.home, scene.told, strangers=True) == []
    if place in ANSWERED:
        assert len(corrupt(scene.home)) == len(STRANGE_NAMES)
        assert not any(os.path.lexists(f"{where}/{name}") for name in STRANGE_NAMES)


# -- results, records, the home itself

TORN = (b"a|w1-1-1f-0badc0de|SUCC", b"\xff\xfe\0", b"x" * 100_000)


@pytest.mark.parametrize("tail", TORN, ids=["half-a-line", "binary", "longer-than-a-block"])
def test_a_torn_end_of_results_is_cut_before_the_next_line(scene: Scene, tail: bytes) -> None:
    # given results.txt with one whole line and a torn one
    for step in (submit(), claim):
        step(scene)
    scene.finish(scene.claims[-1], Outcome.SUCCESS)
    whole = Path(scene.home.results).read_bytes()
    Path(scene.home.results).write_bytes(whole + tail)
    # when another result is recorded
    for step in (submit("b"), claim):
        step(scene)
    scene.finish(scene.claims[-1], Outcome.SUCCESS)
    # then both lines are whole
    assert [line.task_id for line in result_lines(scene.home)] == ["a", "b"]


@pytest.mark.parametrize(
    "record",
    [
        *(b"", b"{", b"[]", b"null", b"\xff", b'{"next": 1, "line": 2}'),
        b'{"worker": "w1-2-1f-0badc0de", "next": {}, "line": ""}',
        b'{"worker": "w1-2-1f-0badc0de", "next": {"tries": "x", "state": "?", "due_ms": []}, "line": 3}',
    ],
    ids=ascii,
)
def test_a_record_that_makes_no_sense_is_no_record(scene: Scene, record: bytes) -> None:
    # given a dead worker in whose folder something stands where its record would be
    for step in (submit(), claim):
        step(scene)
    Path(scene.claims[-1].directory, "result.json").write_bytes(record)
    # when the supervisor recovers, then the attempt counts as lost and the task runs again
    (recovered,) = scene.queue.recover(lambda owner: False)
    assert recovered.status is Status.RETRY
    assert broken_promises(scene.home, scene.told) == []


OBSTACLES = ("result.json/below", "../task/below", "../latest.2/below", "../2/TASK.txt/below", "../CANCEL")


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_an_agent_that_blocks_its_own_record_stops_nobody_else(scene: Scene, obstacle: str) -> None:
    # given an agent that made a folder where something of its task goes, and then lost its worker; and other tasks
    for step in (submit(), claim, submit("b"), claim, submit("c")):
        step(scene)
    os.makedirs(f"{scene.claims[0].directory}/{obstacle}", exist_ok=True)
    # when the supervisor recovers and workers come, break at it and are recovered
    for _ in range(8):
        scene.queue.recover(lambda owner: False)
        scene.now += 61
        tend(scene)
        try:
            claimed = scene.queue.claim("default", scene.new_worker())
        except OSError:
            continue
        if claimed is not None:
            scene.finish(claimed, Outcome.SUCCESS)
    # then the others ended, and that one too, or it lies in corrupt/ with the reason
    finals = {line.task_id for line in result_lines(scene.home) if line.status is not Status.RETRY}
    assert finals >= {"b", "c"}
    assert ("a" in finals) is not bool(corrupt(scene.home))
    assert scene.queue.owned() == []


@pytest.mark.parametrize("version", [b"", b"two", b"\xff", b"999"], ids=ascii)
def test_a_home_whose_version_can_t_be_read_is_refused_in_words(home: Home, version: bytes) -> None:
    # given a home with a damaged VERSION, or one of the future
    layout = open_home(home)
    Path(layout.version).write_bytes(version)
    # when it is opened, then it is refused, and the error names the file or says what to do
    with pytest.raises(HomeRefused, match=r"VERSION|upgrade"):
        open_home(home)


def test_retry_of_what_never_ran_is_refused(scene: Scene) -> None:
    # given a task that is waiting to be run
    submit()(scene)
    # when it is to be retried, then that makes no sense
    with pytest.raises(UsageError, match="has not ended"):
        scene.queue.retry("a")
