"""What is found moved, half removed or landed already: put back, gone on with, and done no second time."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.ports.orchestration import Conflict
from conductor.testing.repository_contract import FILES, Hand, a_run
from tests.projects.git.world import commit_files, git, make_repository, make_workspace, ours

RECORD = "refs/conductor/run/r-aaaaaaaa"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path, dict(FILES))


@pytest.fixture
def hand(tmp_path: Path, workspace: Path) -> Hand:
    return Hand(make_repository(tmp_path, workspace), a_run())


@pytest.mark.parametrize("deed", [("update-ref", RECORD, "main"), ("update-ref", "-d", RECORD)])
def test_the_record_of_a_run_is_put_back_where_a_step_moved_or_removed_it(
    hand: Hand, workspace: Path, deed: tuple[str, ...]
) -> None:
    one = hand.bring("one", {"a.txt": "a\n"})
    git(workspace, *deed)

    hand.bring("two", {"b.txt": "b\n"})

    assert set(hand.repository.merged_steps(hand.run)) == {"one", "two"}
    assert git(workspace, "merge-base", "--is-ancestor", one.commit, RECORD) == ""


def test_what_a_step_put_in_place_of_the_record_is_kept(hand: Hand, workspace: Path) -> None:
    one = hand.bring("one", {"a.txt": "a\n"})
    stray = commit_files(workspace, {"stray.txt": b"stray\n"})
    git(workspace, "reset", "-q", "--hard", "HEAD^")
    git(workspace, "update-ref", RECORD, stray)

    assert hand.repository.tip(hand.run) == one.commit
    assert any(stray[:12] in ref for ref in ours(workspace))


def test_a_run_whose_record_alone_is_gone_goes_on_from_its_branch(tmp_path: Path, workspace: Path, hand: Hand) -> None:
    one = hand.bring("one", {"a.txt": "a\n"})
    git(workspace, "update-ref", "-d", RECORD)

    again = Hand(make_repository(tmp_path, workspace), hand.run)

    assert again.repository.tip(again.run) == one.commit
    assert set(again.repository.merged_steps(again.run)) == {"one"}


def test_a_run_that_landed_before_another_one_is_not_sealed_a_second_time(
    tmp_path: Path, workspace: Path, hand: Hand
) -> None:
    other = Hand(hand.repository, a_run("r-bbbbbbbb"))
    for one in (hand, other):
        one.bring("one", {f"{one.run.id}.txt": "x\n"})
        one.repository.seal(one.run, f"feat: all of {one.run.id}")
        assert one.land()

    again = Hand(make_repository(tmp_path, workspace), hand.run)
    again.repository.seal(again.run, "feat: all of it again")
    assert again.land()

    subjects = git(workspace, "log", "--format=%s", "main").split("\n")
    assert subjects.count("feat: all of r-aaaaaaaa") == 1
    assert "feat: all of it again" not in subjects


def test_a_conflict_whose_files_git_has_thrown_away_is_begun_without_them(hand: Hand, workspace: Path) -> None:
    work = hand.work("two", {"src/one.txt": "mine\n"})
    hand.bring("one", {"src/one.txt": "theirs\n"})
    conflict = hand.merge("two", work)
    assert isinstance(conflict, Conflict)
    git(workspace, "gc", "-q", "--prune=now")

    cut = hand.cut("two", 2, onto=conflict.tree)

    assert (Path(cut.path) / "src/one.txt").read_text() == "theirs\n"
    assert any("conflict" in note for note in cut.notes)
