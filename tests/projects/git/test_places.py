"""Repositories as they come: detached, empty, bare, moved, deleted, locked, with sub-modules and ignored files."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from conductor.domain.errors import NoRoom, RepositoryBroken
from conductor.ports.orchestration import Merged
from conductor.testing.repository_contract import FILES, Hand, a_delegation, a_run
from tests.projects.git.world import ENVIRONMENT, commit_files, git, make_repository, make_workspace, ours


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path, dict(FILES))


@pytest.fixture
def hand(tmp_path: Path, workspace: Path) -> Hand:
    return Hand(make_repository(tmp_path, workspace), a_run())


def test_a_detached_head_is_refused_with_the_next_step(tmp_path: Path, workspace: Path) -> None:
    git(workspace, "checkout", "-q", "--detach")
    with pytest.raises(RepositoryBroken, match="git switch"):
        make_repository(tmp_path, workspace).open_run(a_run())


def test_a_repository_without_commits_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    with pytest.raises(RepositoryBroken, match="first one"):
        make_repository(tmp_path, tmp_path / "empty").open_run(a_run())


def test_a_bare_repository_a_plain_folder_and_a_folder_inside_are_refused(tmp_path: Path, workspace: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    (tmp_path / "plain").mkdir()
    for folder in ("bare.git", "plain", "workspace/src"):
        with pytest.raises(RepositoryBroken):
            make_repository(tmp_path, tmp_path / folder).open_run(a_run())


def test_a_folder_that_was_moved_or_replaced_under_way_is_told_and_work_is_kept(
    tmp_path: Path, workspace: Path, hand: Hand
) -> None:
    work = hand.work("one", {"a.txt": "a\n"})
    workspace.rename(tmp_path / "elsewhere")
    with pytest.raises(RepositoryBroken, match="moved or deleted"):
        hand.take("one")
    shutil.copytree(tmp_path / "elsewhere", workspace)
    with pytest.raises(RepositoryBroken, match="not the folder any more"):
        hand.take("one")
    shutil.rmtree(workspace)
    (tmp_path / "elsewhere").rename(workspace)
    assert hand.take("one") == work


def test_an_old_git_is_refused(tmp_path: Path, workspace: Path) -> None:
    stand_in = tmp_path / "bin/git"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\necho git version 2.30.2\n")
    stand_in.chmod(stat.S_IRWXU)
    repository = make_repository(tmp_path, workspace)
    repository._bare_git = repository._bare_git.__class__({**ENVIRONMENT, "PATH": str(stand_in.parent)})
    with pytest.raises(RepositoryBroken, match=r"2\.38"):
        repository.open_run(a_run())


def test_commits_have_the_users_name_or_ours_where_there_is_none(workspace: Path, hand: Hand) -> None:
    merged = hand.bring("one", {"a.txt": "a\n"})
    assert git(workspace, "log", "-1", "--format=%an", merged.commit) == "conductor"
    git(workspace, "config", "user.name", "Grace")
    git(workspace, "config", "user.email", "grace@example.com")
    other = Hand(make_repository(workspace.parent, workspace), a_run())
    merged = other.bring("two", {"b.txt": "b\n"})
    assert git(workspace, "log", "-1", "--format=%an <%ae>", merged.commit) == "Grace <grace@example.com>"


def test_a_lock_that_a_killed_git_left_on_our_refs_goes(workspace: Path, hand: Hand) -> None:
    merged = hand.merge("one", hand.work("one", {"a.txt": "a\n"}))
    assert isinstance(merged, Merged)
    lock = workspace / ".git/refs/heads/conductor/r-aaaaaaaa.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    assert hand.repository.advance(hand.run, merged)
    assert not lock.exists()


def test_somebody_elses_lock_is_waited_for_then_told(
    workspace: Path, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conductor.projects.git.LOCK_DEADLINE_SECONDS", 0.1)
    hand.bring("one", {"a.txt": "a\n"})
    git(workspace, "switch", "-q", "-c", "elsewhere")
    lock = workspace / ".git/refs/heads/main.lock"
    lock.touch()
    with pytest.raises(RepositoryBroken, match=r"main\.lock"):
        hand.land()
    assert lock.exists()


# -- landing


def test_a_main_checkout_with_changes_is_left_alone_and_the_branch_is_kept(workspace: Path, hand: Hand) -> None:
    hand.bring("one", {"src/one.txt": "one\n"})
    before = git(workspace, "rev-parse", "main")
    (workspace / "README").write_text("a person's work\n")
    merged = hand.repository.land(hand.run)
    assert isinstance(merged, Merged)
    landed = hand.repository.finish_landing(hand.run, merged)
    assert landed.commit == ""
    assert "merge --ff-only conductor/r-aaaaaaaa" in landed.reason
    assert git(workspace, "rev-parse", "main") == before
    assert (workspace / "README").read_text() == "a person's work\n"
    git(workspace, "stash", "-q")
    git(workspace, "merge", "-q", "--ff-only", "conductor/r-aaaaaaaa")
    assert (workspace / "src/one.txt").read_text() == "one\n"


def test_a_target_that_somebody_moved_while_the_run_was_checked_is_landed_on_anew(workspace: Path, hand: Hand) -> None:
    hand.bring("one", {"src/one.txt": "one\n"})
    merged = hand.repository.land(hand.run)
    assert isinstance(merged, Merged)
    git(workspace, "commit", "-q", "--allow-empty", "-m", "somebody else's")
    before = git(workspace, "rev-parse", "main")

    landed = hand.repository.finish_landing(hand.run, merged)
    assert (landed.commit, landed.is_overtaken) == ("", True)
    assert git(workspace, "rev-parse", "main") == before

    assert hand.land() == git(workspace, "rev-parse", "main")
    assert git(workspace, "rev-parse", "main~1") == before


@pytest.mark.parametrize("ignored", [False, True])
def test_an_untracked_file_in_the_way_is_never_overwritten(workspace: Path, hand: Hand, ignored: bool) -> None:
    hand.bring("one", {"new.txt": "from the run\n"})
    (workspace / "new.txt").write_text("a person's\n")
    if ignored:
        (workspace / ".git/info/exclude").write_text("new.txt\n")
    merged = hand.repository.land(hand.run)
    assert isinstance(merged, Merged)
    assert hand.repository.finish_landing(hand.run, merged).commit == ""
    assert (workspace / "new.txt").read_text() == "a person's\n"


def test_a_target_that_nobody_has_checked_out_moves_alone(workspace: Path, hand: Hand) -> None:
    hand.bring("one", {"a.txt": "a\n"})
    git(workspace, "switch", "-q", "-c", "elsewhere")
    assert hand.land() == git(workspace, "rev-parse", "main")
    assert not (workspace / "a.txt").exists()


@pytest.mark.parametrize("written", [b"", b"from", b"from the run\n"])
def test_a_checkout_that_was_killed_half_way_is_finished(workspace: Path, hand: Hand, written: bytes) -> None:
    hand.bring("one", {"src/one.txt": "from the run\n", "new.txt": "from the run\n"})
    merged = hand.repository.land(hand.run)
    assert isinstance(merged, Merged)
    _begin_checkout(hand, merged)
    (workspace / "src/one.txt").write_bytes(written)
    (workspace / "new.txt").write_bytes(written)
    (workspace / ".git/index.lock").touch()
    assert hand.repository.finish_landing(hand.run, merged).commit == merged.commit
    assert git(workspace, "status", "--porcelain") == ""
    assert (workspace / "new.txt").read_text() == "from the run\n"


def test_a_persons_change_after_a_killed_checkout_is_not_overwritten(workspace: Path, hand: Hand) -> None:
    hand.bring("one", {"src/one.txt": "from the run\n"})
    merged = hand.repository.land(hand.run)
    assert isinstance(merged, Merged)
    _begin_checkout(hand, merged)
    (workspace / "src/one.txt").write_text("a person's\n")
    assert hand.repository.finish_landing(hand.run, merged).commit == ""
    assert (workspace / "src/one.txt").read_text() == "a person's\n"


def _begin_checkout(hand: Hand, merged: Merged) -> None:
    """As `finish_landing` does before it lets git write the main checkout."""
    from conductor.projects.place import write_document

    journal = hand.repository._place().folder + "/landing.json"  # type: ignore[attr-defined]
    write_document(journal, {"target": "refs/heads/main", "old": merged.tip, "new": merged.commit})


# -- included files, sub-modules, environment


def test_included_files_are_carried_in_when_git_ignores_them(tmp_path: Path) -> None:
    files = {**FILES, ".gitignore": b".env\nbuild/\n*.log\n", ".worktreeinclude": b".env\nbuild/\nREADME\nplain.txt\n"}
    workspace = make_workspace(tmp_path, files)
    for path in (".env", "build/deep/x.o", "a.log", "plain.txt"):
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text("local\n")
    (workspace / "build/out").symlink_to("/etc/hostname")
    (workspace / "build/back").symlink_to(workspace / "README")
    cut = Hand(make_repository(tmp_path, workspace), a_run()).cut("one")
    tree = Path(cut.path)
    assert (tree / ".env").read_text() == "local\n"
    assert (tree / "build/deep/x.o").stat().st_ino != (workspace / "build/deep/x.o").stat().st_ino
    assert (tree / "build/out").is_symlink()
    assert not (tree / "a.log").exists()
    assert not (tree / "plain.txt").exists()
    assert len(cut.notes) == 1
    assert "build/back" in cut.notes[0]


def test_each_worktree_has_ports_and_caches_of_its_own(hand: Hand) -> None:
    one, two = dict(hand.cut("one").environment), dict(hand.cut("two").environment)
    assert {one["CONDUCTOR_PORT_OFFSET"], two["CONDUCTOR_PORT_OFFSET"]} == {"10", "20"}
    assert one["XDG_CACHE_HOME"] != two["XDG_CACHE_HOME"]
    assert os.path.isdir(one["XDG_CACHE_HOME"])
    hand.release("one")
    assert dict(hand.cut("three").environment)["CONDUCTOR_PORT_OFFSET"] == "10"


def test_sub_modules_are_filled_from_the_main_checkout_or_told(tmp_path: Path, workspace: Path) -> None:
    library = make_workspace(tmp_path / "library", {"lib.txt": b"lib\n"})
    git(workspace, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(workspace, "commit", "-q", "-m", "with a library")
    shutil.rmtree(tmp_path / "library")
    hand = Hand(make_repository(tmp_path, workspace), a_run())
    cut = hand.cut("one")
    assert cut.notes == ()
    assert (Path(cut.path) / "lib/lib.txt").read_text() == "lib\n"
    assert hand.work("one", {"a.txt": "a\n"}).faults == ()
    hand.bring("one", {"a.txt": "a\n"})
    shutil.rmtree(workspace / ".git/modules")
    cut = hand.cut("two")
    assert len(cut.notes) == 1
    assert "lib" in cut.notes[0]


def test_work_in_a_sub_module_is_a_fault_and_keeps_its_worktree(tmp_path: Path, workspace: Path) -> None:
    library = make_workspace(tmp_path / "library", {"lib.txt": b"lib\n"})
    git(workspace, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(workspace, "commit", "-q", "-m", "with a library")
    hand = Hand(make_repository(tmp_path, workspace), a_run())
    tree = Path(hand.cut("one").path)
    marker = tmp_path / "home/projects/project/side/r-aaaaaaaa.one-1/cut.json"
    while (tree / "lib/lib.txt").stat().st_ctime_ns <= marker.stat().st_mtime_ns:  # that clock ticks every few ms
        (tree / "lib/lib.txt").write_text("changed\n")
    work = hand.take("one")
    assert len(work.faults) == 1
    assert "lib" in work.faults[0]
    hand.release("one")
    assert (tree / "lib/lib.txt").read_text() == "changed\n"


def test_two_runs_of_one_project_do_not_meet(workspace: Path, hand: Hand) -> None:
    other = Hand(hand.repository, a_run("r-bbbbbbbb"))
    hand.bring("one", {"a.txt": "a\n"})
    other.bring("one", {"b.txt": "b\n"})
    assert hand.land()
    assert other.land()
    assert (workspace / "a.txt").exists()
    assert (workspace / "b.txt").exists()
    folder = hand.repository.checkout_for_check(hand.run, hand.run.base)
    for one in (hand, other):
        assert os.path.isdir(folder), "somebody's check runs in it"
        one.repository.close_run(one.run, keep_branch=False)
    assert ours(workspace) == []
    assert " " not in git(workspace, "log", "-1", "--format=%P")


def test_a_run_that_landed_and_is_opened_again_goes_on_from_there(workspace: Path, hand: Hand) -> None:
    hand.bring("one", {"a.txt": "a\n"})
    assert hand.land()
    again = Hand(hand.repository, hand.run)
    assert set(again.repository.merged_steps(again.run)) == {"one"}
    again.bring("two", {"b.txt": "b\n"})
    assert set(again.repository.merged_steps(again.run)) == {"one", "two"}
    assert again.land() == git(workspace, "rev-parse", "main")


def test_a_full_disk_leaves_nothing_half_done(workspace: Path, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, document: object) -> None:
        raise OSError(28, "No space left on device", path)

    with monkeypatch.context() as patch:
        patch.setattr("conductor.projects.worktrees.write_document", full)
        with pytest.raises(NoRoom, match="No space left"):
            hand.cut("one")
    hand.bring("one", {"a.txt": "a\n"})
    hand.repository.release(hand.run, a_delegation(hand.run, "one"))
    assert commit_files(workspace, {"x": b"x"})
    assert [line for line in ours(workspace) if "one-1" in line] == []
