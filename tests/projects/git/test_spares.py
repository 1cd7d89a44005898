"""Worktrees made ahead: as good as fresh ones, nobody's work, and gone when their run is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from conductor.projects import spares
from conductor.projects.place import Place
from conductor.projects.repository import GitRepository
from conductor.testing.repository_contract import FILES, Hand, a_run, a_step
from tests.projects.git.story import Dying
from tests.projects.git.world import commit_files, git, make_repository, make_workspace, ours


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = make_workspace(tmp_path, {**FILES, ".gitignore": b"*.o\n", ".worktreeinclude": b"*.o\n"})
    (made / "lib.o").write_text("built\n")
    return made


@pytest.fixture
def hand(tmp_path: Path, workspace: Path) -> Hand:
    return Hand(make_repository(tmp_path, workspace), a_run())


def _place(hand: Hand) -> Place:
    repository = hand.repository
    assert isinstance(repository, GitRepository)
    return repository._place()


def _ready(place: Place) -> list[Path]:
    return sorted(Path(place.folder, "spares").glob("*.json"))


def _prepare(hand: Hand, wanted: int = 1) -> None:
    deadline = time.monotonic() + 20
    while len(_ready(_place(hand))) < wanted:
        hand.repository.prepare(hand.run, wanted)
        assert time.monotonic() < deadline, "no spare was made"
        time.sleep(0.01)


def test_spares_are_made_in_the_background_and_taken(hand: Hand) -> None:
    _prepare(hand, 2)
    hand.repository.prepare(hand.run, 2)
    made = {str(path.with_suffix("")) for path in _ready(_place(hand))}
    assert _place(hand).background.running <= made, "a third one is being made"
    spare = next(iter(_ready(_place(hand)))).with_suffix("")
    inode = spare.stat().st_ino
    tree = Path(hand.cut("one").path)
    assert tree.stat().st_ino == inode
    assert len(_ready(_place(hand))) == 1
    assert (tree / "lib.o").read_text() == "built\n"
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "symbolic-ref", "HEAD") == "refs/heads/conductor-step/r-aaaaaaaa/one-1"


def test_a_spare_is_brought_to_the_present_tip(hand: Hand) -> None:
    _prepare(hand)
    os.rename(_ready(_place(hand))[0], _ready(_place(hand))[0].with_suffix(".hidden"))
    hand.bring("one", {"new/a.txt": "a\n", "src/one.txt": "changed\n"})
    hidden = next(Path(_place(hand).folder, "spares").glob("*.hidden"))
    os.rename(hidden, hidden.with_suffix(".json"))
    cut = hand.cut("two")
    tree = Path(cut.path)
    assert not _ready(_place(hand))
    assert cut.base == hand.repository.tip(hand.run)
    assert (tree / "new/a.txt").read_text() == "a\n"
    assert (tree / "src/one.txt").read_text() == "changed\n"
    assert git(tree, "status", "--porcelain") == ""
    assert hand.work("two", {"b.txt": "b\n"}).paths == ("b.txt",)


def test_spares_are_not_listed_and_go_with_their_run(hand: Hand, workspace: Path) -> None:
    _prepare(hand)
    repository = hand.repository
    assert isinstance(repository, GitRepository)
    assert repository.kept("main", lambda name: False, 0.0) == []
    assert hand.standing() == frozenset()
    repository.close_run(hand.run, keep_branch=False)
    assert ours(workspace) == []
    assert not any(path.is_file() for path in Path(_place(hand).folder, "spares").rglob("*"))


def test_spares_go_when_none_is_wanted_any_more(hand: Hand, workspace: Path) -> None:
    _prepare(hand)
    hand.repository.prepare(hand.run, 0)
    assert _ready(_place(hand)) == []
    assert not any("spares" in line for line in ours(workspace))


def test_a_spare_that_was_left_half_made_is_swept(hand: Hand, workspace: Path) -> None:
    place = _place(hand)
    path = f"{place.folder}/spares/r-aaaaaaaa.1-half"
    git(workspace, "worktree", "add", "-q", "--detach", path)
    assert hand.cut("one").path != path
    hand.repository.open_run(a_run())
    assert not os.path.exists(path)
    assert not any("half" in line for line in ours(workspace))


def test_spares_that_can_not_be_made_are_given_up(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conductor.projects.spares.sys.executable", "/bin/false")
    place = _place(hand)
    for _ in range(8):
        hand.repository.prepare(hand.run, 1)
        for name in place.background.running:
            place.background.wait(name, 10)
    assert len(place.background.failed) == 5
    assert hand.bring("one", {"a.txt": "a\n"})


def test_a_spare_that_lost_its_git_folder_is_no_good_and_goes(hand: Hand, workspace: Path) -> None:
    _prepare(hand)
    place = _place(hand)
    place.forget_worktree(str(_ready(place)[0].with_suffix("")))
    hand.bring("one", {"a.txt": "a\n"})
    assert set(hand.repository.merged_steps(hand.run)) == {"one"}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 9))
def test_cutting_from_a_spare_can_be_killed_at_each_git_command(
    tmp_path: Path, workspace: Path, moment: str, number: int
) -> None:
    hand = Hand(make_repository(tmp_path, workspace), a_run())
    place = _place(hand)
    spares.make_spare(place, f"{place.folder}/spares/r-aaaaaaaa.1-one", "r-aaaaaaaa", hand.repository.tip(hand.run))
    first = commit_files(workspace, {"x": b"x"})
    git(workspace, "reset", "-q", "--hard", "HEAD^")
    place.move("refs/conductor/run/r-aaaaaaaa", first, None)
    hand = Hand(make_repository(tmp_path, workspace), a_run())  # what moved is no stranger's deed to this one
    pid = os.fork()
    if pid == 0:
        dying = make_repository(tmp_path, workspace, hook=Dying(moment, 5 + number))
        dying.cut(hand.run, a_step("one"), 1)
        os._exit(0)
    os.waitpid(pid, 0)
    hand.bring("one", {"a.txt": "a\n"})
    assert hand.land()
    hand.repository.close_run(hand.run, keep_branch=False)
    assert ours(workspace) == []
    assert sorted(git(workspace, "ls-files").split("\n"))[-2:] == ["src/two.txt", "x"]
    assert (workspace / "a.txt").exists()
    assert not any(path.is_file() for path in Path(place.folder, "spares").rglob("*"))
