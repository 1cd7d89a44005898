"""The power cut at every point of every story, with every legal choice of what was not synced lost; and the proof that
this test would notice a missing sync.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.kit import durable
from conductor.kit.durable import sync_directory, write_plain
from conductor.queue import accepting, attempts, directory, files, inbox, layout, records, shelves, unpacking
from conductor.queue.results_log import ResultsLog
from tests.faults.disk import Disk, Tree, put
from tests.faults.promises import broken_promises
from tests.faults.recorder import Recorder
from tests.faults.stories import BY_NAME, LONG_LIFE, STORIES, Scene, Story, Told

MOST_STATES_A_CUT = 48
MOST_STATES_A_CUT_OF_MANY = 12


@dataclass(frozen=True)
class Recording:
    """A story as the disk saw it, and from which operation on its callers had been told what."""

    disk: Disk
    told: list[tuple[int, Told]]
    """The first entry is where the last step begins: cuts before it are another story's."""

    def told_at(self, at: int) -> Told:
        return [told for since, told in self.told if since <= at][-1]


def record(story: Story, folder: Path, *, whole: bool = False) -> Recording:
    """Plays the whole story and writes down what it does. Its home is two folders deep and not made yet."""
    folder.mkdir()
    scene = Scene(Home(f"{folder}/deep/home"))
    with Recorder(folder) as recorder:
        told = [(0, Told())]
        for step in story.steps:
            told = told if whole else told[-1:]
            step(scene)
            told.append((len(recorder.disk.operations), deepcopy(scene.told)))
    return Recording(recorder.disk, told)


def faults_after_cuts(
    recording: Recording, folder: Path, *, until_found: bool = False, most: int = MOST_STATES_A_CUT
) -> list[str]:
    """What is wrong on the next start, over all cuts."""
    chance = random.Random(20261121)
    found: list[str] = []
    folder.mkdir()
    for at in range(recording.told[0][0], len(recording.disk.operations) + 1):
        told = recording.told_at(at)
        for number, tree in enumerate(recording.disk.states_after_cut(at, most, chance)):
            there = folder / "disk"
            put(tree, there)
            faults = broken_promises(Home(f"{there}/deep/home"), deepcopy(told))
            shutil.rmtree(there)
            before = recording.disk.operations[at - 1] if at else None
            found += [f"cut {at}.{number} after {before}: {fault}" for fault in faults]
            if found and until_found:
                return found
    return found


@pytest.fixture
def ram(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small homes are made in it."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _nothing_needs_to_reach_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(unpacking, "_LINES_AT_ONCE", 2)
    monkeypatch.setattr(unpacking, "_LINES_A_CHECKPOINT", 2)


# -- the queue


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name.replace(" ", "-"))
def test_a_power_cut_at_any_point_keeps_what_was_accepted_and_recorded(ram: Path, story: Story) -> None:
    # given what the last step of a story does to the disk
    recording = record(story, ram / "recorded")
    # when the power is cut at any point of it and what was not synced by then is lost in any legal way
    found = faults_after_cuts(recording, ram / "cut")
    # then the next start finds every promise kept
    assert found == []


def test_a_power_cut_at_any_point_of_a_long_life_keeps_it_too(ram: Path) -> None:
    # given many steps, each of which leaves something that was not synced
    recording = record(LONG_LIFE, ram / "recorded", whole=True)
    # when the power is cut at any point
    found = faults_after_cuts(recording, ram / "cut", most=MOST_STATES_A_CUT_OF_MANY)
    # then the next start finds every promise kept
    assert found == []


# -- the tester


def _without_folder_syncs(patch: pytest.MonkeyPatch) -> None:
    for module in (accepting, attempts, directory, files, inbox, layout, records, shelves, unpacking):
        patch.setattr(module, "sync_directory", lambda path: None)


def _without_syncs_of(folder: str, *modules: object) -> Callable[[pytest.MonkeyPatch], None]:
    def sync_others(path: str) -> None:
        if not path.endswith(folder):
            sync_directory(path)

    def apply(patch: pytest.MonkeyPatch) -> None:
        for module in modules:
            patch.setattr(module, "sync_directory", sync_others)

    return apply


def _with_plain_writes(module: object) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(module, "write_synced", write_plain)


def _with_plain_records(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(durable, "write_synced", write_plain)


BROKEN: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "no folder is synced": ("submit with an id", _without_folder_syncs),
    "a new home's folders are not synced": ("submit into a new home", _without_syncs_of("", layout)),
    "the folders above a task's are not synced": (
        "submit with an id",
        lambda patch: patch.setattr(shelves, "sync_up", lambda folder, root: sync_directory(folder)),
    ),
    "a task's bytes are not synced": ("submit with an id", _with_plain_writes(accepting)),
    "a batch's bytes are not synced": ("submit many", _with_plain_writes(accepting)),
    "a batch's name is not synced": ("submit many", _without_syncs_of("/inbox", accepting)),
    "ids are not synced": ("submit with an id", _without_syncs_of("/tasks", accepting)),
    "ids of a stranger's file are not synced": ("take in a stranger's file", _without_syncs_of("/tasks", inbox)),
    "unpacked tasks are not synced": (
        "unpack a batch",
        lambda patch: patch.setattr(files.QueueFiles, "sync", lambda self, target: None),
    ),
    "a claim is not synced": ("claim", _without_syncs_of("/claimed", attempts)),
    "a record's bytes are not synced": ("finish well", _with_plain_records),
    "a record's name is not synced": ("finish well", _without_syncs_of("", records, durable)),
    "results.txt is not synced": ("finish well", lambda patch: patch.setattr(ResultsLog, "sync", lambda self: None)),
    "a cancelled task's claim is not synced": ("cancel a ready task", _without_syncs_of("/claimed", directory)),
    "a cancel mark is not synced": ("cancel a running task", _without_syncs_of("", directory)),
    "the end of a cancel mark is not synced": ("retry a cancelled task", _without_syncs_of("/a", directory)),
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.replace(" ", "-"))
def test_a_missing_sync_is_noticed(ram: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    # given a queue that leaves out one kind of sync
    story, breaks = BROKEN[broken]
    breaks(monkeypatch)
    # when the power is cut at any point
    recording = record(BY_NAME[story], ram / "recorded")
    found = faults_after_cuts(recording, ram / "cut", until_found=True)
    # then some start finds a promise broken
    assert found


def _states(recorder: Recorder) -> list[Tree]:
    at = len(recorder.disk.operations)
    return sorted(recorder.disk.states_after_cut(at, 1000, random.Random(1)), key=repr)


def test_of_what_was_not_synced_nothing_half_or_all_is_there(tmp_path: Path) -> None:
    # given a file that was written and not synced
    with Recorder(tmp_path) as recorder:
        descriptor = os.open(f"{tmp_path}/a", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b"1234")
        os.close(descriptor)
    # then a power cut may leave each of these
    assert _states(recorder) == [{"a": b""}, {"a": b"12"}, {"a": b"1234"}, {}]


def test_what_was_synced_is_certain_and_a_rename_is_whole(tmp_path: Path) -> None:
    # given a file whose bytes were synced, renamed from one folder into another that was synced
    with Recorder(tmp_path) as recorder:
        for folder in ("from", "to"):
            os.mkdir(f"{tmp_path}/{folder}")
        sync_directory(str(tmp_path))
        descriptor = os.open(f"{tmp_path}/from/a", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b"1234")
        os.fsync(descriptor)
        os.close(descriptor)
        os.rename(f"{tmp_path}/from/a", f"{tmp_path}/to/a")
        before = _states(recorder)
        sync_directory(f"{tmp_path}/to")
    # then before that sync the file may be nowhere, here or there, and afterwards it is there
    folders: Tree = {"from": None, "to": None}
    assert before == sorted(({**folders, "from/a": b"1234"}, {**folders, "to/a": b"1234"}, folders), key=repr)
    assert _states(recorder) == [{**folders, "to/a": b"1234"}]
