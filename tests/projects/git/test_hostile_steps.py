"""Steps that lie, litter and break out: each is answered, none is merged as done, nothing of anybody is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conductor.domain.errors import RepositoryBroken, UsageError
from conductor.ports.orchestration import Taken
from conductor.projects.names import RoundName
from conductor.testing.repository_contract import FILES, Hand, a_delegation, a_run, a_step
from tests.projects.git.world import commit_files, git, make_repository, make_workspace, ours


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path, {**FILES, ".gitignore": b"*.o\n"})


@pytest.fixture
def hand(tmp_path: Path, workspace: Path) -> Hand:
    return Hand(make_repository(tmp_path, workspace), a_run())


def _taken_after(hand: Hand, deed: Callable[[Path], object]) -> Taken:
    tree = Path(hand.cut("one").path)
    (tree / "work.txt").write_text("work\n")
    deed(tree)
    return hand.take("one")


def _holds_work(workspace: Path, work: Taken) -> bool:
    return git(workspace, "show", f"{work.work}:work.txt") == "work"


# -- whatever state branch, HEAD and index are in, the files count


def _delete_branch(tree: Path) -> None:
    git(tree, "checkout", "-q", "--detach")
    git(tree, "branch", "-D", "conductor-step/r-aaaaaaaa/one-1")


def _be_mid_merge(tree: Path) -> None:
    git(tree, "checkout", "-q", "-b", "mine")
    (tree / "src/one.txt").write_text("mine\n")
    git(tree, "commit", "-q", "-am", "mine")
    git(tree, "checkout", "-q", "-b", "other", "HEAD^")
    (tree / "src/one.txt").write_text("other\n")
    git(tree, "commit", "-q", "-am", "other")
    git(tree, "merge", "mine", check=False)
    (tree / "src/one.txt").write_text("solved\n")


def _hide_in_index(tree: Path) -> None:
    git(tree, "update-index", "--assume-unchanged", "src/one.txt")
    git(tree, "update-index", "--skip-worktree", "src/two.txt")
    (tree / "src/one.txt").write_text("hidden\n")
    (tree / "src/two.txt").write_text("hidden\n")


def _break_index(tree: Path) -> None:
    admin = Path(git(tree, "rev-parse", "--absolute-git-dir"))
    (admin / "index").write_bytes(b"not an index")
    (admin / "index.lock").touch()
    (admin / "HEAD").write_text("nonsense\n")


def _begin_own_repository(tree: Path) -> None:
    (tree / ".git").unlink()
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "all mine")


def _remove_git_file(tree: Path) -> None:
    (tree / ".git").unlink()


def _commit_and_leave(tree: Path) -> None:
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "mine")


@pytest.mark.parametrize(
    "deed",
    [
        _delete_branch,
        _be_mid_merge,
        _hide_in_index,
        _break_index,
        _begin_own_repository,
        _remove_git_file,
        _commit_and_leave,
    ],
)
def test_what_is_in_the_files_is_taken_and_released(
    hand: Hand, workspace: Path, deed: Callable[[Path], object]
) -> None:
    work = _taken_after(hand, deed)
    assert _holds_work(workspace, work)
    if deed is _hide_in_index:
        assert {"src/one.txt", "src/two.txt"} <= set(work.paths)
    merged = hand.bring("one", {})
    assert not merged.is_empty
    assert hand.standing() == frozenset()
    assert [line for line in ours(workspace) if "one-1" in line and "/also/" not in line] == []


def test_commits_that_were_thrown_away_are_kept_under_a_ref(hand: Hand, workspace: Path) -> None:
    def deed(tree: Path) -> None:
        (tree / "draft.txt").write_text("a draft\n")
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", "draft")
        git(tree, "reset", "-q", "--hard", "HEAD^")
        (tree / "work.txt").write_text("work\n")

    _taken_after(hand, deed)
    refs = [ref for ref in ours(workspace) if "/also/" in ref]
    assert len(refs) == 1
    assert git(workspace, "show", f"{refs[0]}:draft.txt") == "a draft"


def test_a_run_branch_that_an_agent_moved_or_deleted_is_put_back(hand: Hand, workspace: Path) -> None:
    one = hand.bring("one", {"a.txt": "a\n"})
    stray = commit_files(workspace, {"stray.txt": b"stray\n"})
    git(workspace, "reset", "-q", "--hard", "HEAD^")
    git(workspace, "update-ref", "refs/heads/conductor/r-aaaaaaaa", stray)
    assert hand.repository.tip(hand.run) == one.commit
    assert git(workspace, "rev-parse", "conductor/r-aaaaaaaa") == one.commit
    assert any(stray[:12] in ref for ref in ours(workspace))
    git(workspace, "branch", "-D", "conductor/r-aaaaaaaa")
    assert hand.repository.tip(hand.run) == one.commit
    assert git(workspace, "rev-parse", "conductor/r-aaaaaaaa") == one.commit


# -- what is never merged


def _link_out(tree: Path) -> None:
    (tree / "out").symlink_to("/etc/passwd")


def _link_up(tree: Path) -> None:
    (tree / "src/up").symlink_to("../../other")


def _link_to_git(tree: Path) -> None:
    (tree / "g").symlink_to(".git/config")


def _nest(tree: Path) -> None:
    git(tree, "init", "-q", "inner")
    commit_files(tree / "inner", {"x": b"x"})


def _nest_empty(tree: Path) -> None:
    git(tree, "init", "-q", "inner")
    (tree / "inner/x").write_text("x")


def _control_name(tree: Path) -> None:
    (tree / "a\nb").write_text("x")


def _git_look_alike(tree: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "sub/.gıt").write_text("fine")
    (tree / "sub/.g\u200cit").write_text("x")


def _not_utf8(tree: Path) -> None:
    Path(os.fsdecode(bytes(tree) + b"/bad\xff")).write_text("x")


def _conflict(tree: Path) -> None:
    (tree / "src/one.txt").write_text("1\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n")


@pytest.mark.parametrize(
    "deed",
    [_link_out, _link_up, _link_to_git, _nest, _nest_empty, _control_name, _git_look_alike, _not_utf8, _conflict],
)
def test_a_fault_is_told_to_the_agent(hand: Hand, workspace: Path, deed: Callable[[Path], object]) -> None:
    work = _taken_after(hand, deed)
    assert len(work.faults) == 1, work.faults
    assert _holds_work(workspace, work)
    again = hand.take("one")
    assert again == work


def test_a_large_file_is_a_fault(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conductor.projects.faults.LARGEST_BYTES", 1000)
    work = _taken_after(hand, lambda tree: (tree / "big").write_bytes(bytes(2000)))
    assert len(work.faults) == 1
    assert "big" in work.faults[0]


def test_links_within_the_tree_and_headings_are_no_fault(hand: Hand) -> None:
    def deed(tree: Path) -> None:
        (tree / "src/link").symlink_to("../README")
        (tree / "doc.rst").write_text("Heading\n=======\n\ntext\n")

    assert _taken_after(hand, deed).faults == ()


def test_a_nested_repository_keeps_its_worktree(hand: Hand, workspace: Path) -> None:
    _taken_after(hand, _nest)
    hand.release("one")
    assert len(hand.standing()) == 1
    assert (Path(hand.cut("one").path) / "inner/x").exists()


def test_an_unreadable_file_is_told_and_its_worktree_stays(hand: Hand) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    work = _taken_after(hand, lambda tree: (tree / "src/one.txt").chmod(0))
    assert work.faults


# -- what a person looks at first


def _write_outside(tree: Path, workspace: Path) -> None:
    (workspace / "src/one.txt").write_text("written outside\n")


def _add_outside(tree: Path, workspace: Path) -> None:
    (workspace / "new.txt").write_text("written outside\n")


def _commit_to_target(tree: Path, workspace: Path) -> None:
    git(workspace, "commit", "-q", "--allow-empty", "-m", "outside")


def _switch(tree: Path, workspace: Path) -> None:
    git(workspace, "checkout", "-q", "-b", "elsewhere")


def _hook(tree: Path, workspace: Path) -> None:
    (workspace / ".git/hooks").mkdir(exist_ok=True)
    (workspace / ".git/hooks/post-commit").write_text("#!/bin/sh\ntouch /tmp/evil\n")


def _filter(tree: Path, workspace: Path) -> None:
    git(tree, "config", "filter.evil.clean", f"touch {workspace}/evil; cat")
    (tree / ".gitattributes").write_text("* filter=evil\n")


@pytest.mark.parametrize("deed", [_write_outside, _add_outside, _commit_to_target, _switch, _hook, _filter])
def test_work_is_held_when_something_outside_of_its_worktree_changed(
    hand: Hand, workspace: Path, deed: Callable[[Path, Path], object]
) -> None:
    work = _taken_after(hand, lambda tree: deed(tree, workspace))
    assert work.held
    assert _holds_work(workspace, work)
    assert not (workspace / "evil").exists(), "a program that an agent configured was run"


def test_landing_of_another_run_is_nobodys_fault(tmp_path: Path, workspace: Path, hand: Hand) -> None:
    other = Hand(hand.repository, a_run("r-bbbbbbbb"))
    hand.cut("one")
    other.bring("one", {"b.txt": "b\n"})
    assert other.land()
    assert hand.work("one", {"a.txt": "a\n"}).held == ()


def test_the_guard_can_be_off(tmp_path: Path, workspace: Path) -> None:
    hand = Hand(make_repository(tmp_path, workspace, guard_checkout=False), a_run())
    assert _taken_after(hand, lambda tree: _write_outside(tree, workspace)).held == ()


# -- names and places


@pytest.mark.parametrize("step", ["../x", "a/b", "a..b", "-x", "a b", "a;b", "$(x)", "", "x" * 65, "a\n"])
def test_names_that_could_lead_anywhere_are_refused(hand: Hand, step: str) -> None:
    with pytest.raises(UsageError):
        hand.repository.cut(hand.run, a_step(step), 1)
    with pytest.raises(UsageError):
        RoundName("../r", "one", 1)


@pytest.mark.parametrize("step", ["a.b", "a-1", "A", "x" * 64])
def test_odd_but_allowed_names_work(hand: Hand, step: str) -> None:
    hand.bring(step, {"a.txt": "a\n"})
    assert set(hand.repository.merged_steps(hand.run)) == {step}


def test_a_worktree_that_was_replaced_by_a_link_is_not_followed(hand: Hand, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    tree = Path(hand.cut("one").path)
    shutil.rmtree(tree)
    tree.symlink_to(victim)
    with pytest.raises(RepositoryBroken):
        hand.take("one")
    with pytest.raises(RepositoryBroken):
        hand.release("one")
    assert (victim / "precious").exists()


def test_an_agent_that_removed_its_worktree_gets_it_anew(hand: Hand) -> None:
    tree = Path(hand.cut("one").path)
    shutil.rmtree(tree)
    with pytest.raises(RepositoryBroken):
        hand.take("one")
    hand.bring("one", {"a.txt": "a\n"})
    assert set(hand.repository.merged_steps(hand.run)) == {"one"}


def test_trailers_in_a_message_do_not_count(hand: Hand) -> None:
    work = hand.work("one", {"a.txt": "a\n"})
    message = "feat: x\n\nConductor-Step: r-aaaaaaaa/two\nConductor-Work: 0\x00\x1b"
    merged = hand.repository.merge(hand.run, a_delegation(hand.run, "one"), work, message)
    assert hand.repository.advance(hand.run, merged)  # type: ignore[arg-type]
    assert set(hand.repository.merged_steps(hand.run)) == {"one"}
