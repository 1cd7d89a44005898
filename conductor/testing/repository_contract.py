"""The contract that every Repository keeps, as tests. Needs pytest (`conductor[test]`).

Subclass RepositoryContract in a test module and say how a repository is made, what its target holds, and how somebody
else commits there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import RepositoryBroken
from conductor.domain.plan import Step
from conductor.domain.run import Delegation, DelegationState, Run, RunStatus, task_id_of
from conductor.ports.orchestration import Conflict, Merged, Repository, Taken, Worktree

FILES = {"README": b"a project\n", "src/one.txt": b"1\n", "src/two.txt": b"2\n"}


def a_run(run_id: str = "r-aaaaaaaa") -> Run:
    return Run(run_id, "project", "a run", RunStatus.RUNNING, 1_800_000_000.0)


def a_step(step_id: str = "one", **options: Any) -> Step:
    return Step(step_id, f"Step {step_id}", "does something", **options)


def a_delegation(run: Run, step_id: str, number: int = 1) -> Delegation:
    task = task_id_of(run.id, step_id, number)
    return Delegation(task, run.id, step_id, number, DelegationState.RETURNED, 1_800_000_000.0)


class Hand:
    """Plays the orchestrator and its agents on one run."""

    def __init__(self, repository: Repository, run: Run) -> None:
        self.repository, self.run = repository, repository.open_run(run)

    def cut(self, step_id: str, number: int = 1, onto: str = "") -> Worktree:
        return self.repository.cut(self.run, a_step(step_id), number, onto)

    def work(self, step_id: str, written: dict[str, str], number: int = 1, onto: str = "", **options: Any) -> Taken:
        """An agent writes files in its worktree and ends."""
        tree = Path(self.cut(step_id, number, onto).path)
        for path, content in written.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(content)
        return self.take(step_id, number, **options)

    def take(self, step_id: str, number: int = 1, **options: Any) -> Taken:
        return self.repository.take(self.run, a_step(step_id, **options), a_delegation(self.run, step_id, number))

    def merge(self, step_id: str, work: Taken, number: int = 1) -> Merged | Conflict:
        delegation = a_delegation(self.run, step_id, number)
        return self.repository.merge(self.run, delegation, work, f"feat: step {step_id}")

    def bring(self, step_id: str, files: dict[str, str], number: int = 1, onto: str = "") -> Merged:
        """From the worktree to the branch, and the worktree goes."""
        merged = self.merge(step_id, self.work(step_id, files, number, onto), number)
        assert isinstance(merged, Merged)
        assert self.repository.advance(self.run, merged)
        self.release(step_id, number)
        return merged

    def release(self, step_id: str, number: int = 1) -> None:
        self.repository.release(self.run, a_delegation(self.run, step_id, number))

    def standing(self) -> frozenset[str]:
        repository: Any = self.repository
        found: frozenset[str] = repository.standing(self.run)
        return found

    def land(self) -> str:
        merged = self.repository.land(self.run)
        assert isinstance(merged, Merged)
        return self.repository.finish_landing(self.run, merged).commit


class RepositoryContract:
    """Every promise of the Repository port that can be told without git, one test each."""

    # -- what a subclass says

    def make_repository(self, folder: Path, files: dict[str, bytes]) -> Repository:
        raise NotImplementedError

    def target_files(self, repository: Any) -> dict[str, bytes]:
        """What the target branch holds."""
        raise NotImplementedError

    def commit_to_target(self, repository: Any, files: dict[str, bytes]) -> None:
        """As somebody else."""
        raise NotImplementedError

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Repository:
        return self.make_repository(tmp_path, dict(FILES))

    @pytest.fixture
    def hand(self, repository: Repository) -> Hand:
        return Hand(repository, a_run())

    # -- runs and worktrees

    def test_opening_a_run_tells_branch_base_and_target_and_may_be_done_again(self, hand: Hand) -> None:
        again = hand.repository.open_run(a_run())
        assert again == hand.run
        assert again.branch == "conductor/r-aaaaaaaa"
        assert again.base == hand.repository.tip(again)
        assert again.target

    def test_a_worktree_holds_what_is_merged_so_far(self, hand: Hand) -> None:
        hand.bring("one", {"new.txt": "new\n"})
        tree = Path(hand.cut("two").path)
        assert (tree / "new.txt").read_text() == "new\n"
        assert (tree / "src/one.txt").read_text() == "1\n"

    def test_cutting_again_gives_the_worktree_as_it_is(self, hand: Hand) -> None:
        first = hand.cut("one")
        (Path(first.path) / "begun.txt").write_text("half\n")
        assert hand.cut("one") == first
        assert (Path(first.path) / "begun.txt").read_text() == "half\n"

    def test_what_is_made_ahead_stands_nowhere_and_is_as_good_as_fresh(self, hand: Hand) -> None:
        hand.repository.prepare(hand.run, 1)
        assert hand.standing() == frozenset()
        hand.bring("one", {"new.txt": "new\n"})
        hand.repository.prepare(hand.run, 0)
        assert (Path(hand.cut("two").path) / "new.txt").read_text() == "new\n"

    def test_standing_tells_the_worktrees_that_are_there(self, hand: Hand) -> None:
        one, two = hand.cut("one").path, hand.cut("two").path
        assert hand.standing() == {one, two}
        hand.release("one")
        assert hand.standing() == {two}

    # -- taking

    def test_what_was_written_is_taken_and_taking_again_gives_the_same(self, hand: Hand) -> None:
        work = hand.work("one", {"src/one.txt": "one\n", "new/deep.txt": "deep\n"})
        assert work.paths == ("new/deep.txt", "src/one.txt")
        assert not work.faults
        assert not work.held
        assert hand.take("one") == work

    def test_nothing_written_is_no_paths(self, hand: Hand) -> None:
        hand.cut("one")
        assert hand.take("one").paths == ()

    def test_more_written_later_is_another_work(self, hand: Hand) -> None:
        first = hand.work("one", {"a.txt": "a\n"})
        second = hand.work("one", {"b.txt": "b\n"})
        assert second.work != first.work
        assert second.paths == ("a.txt", "b.txt")

    def test_a_file_that_was_not_declared_is_a_fault(self, hand: Hand) -> None:
        work = hand.work("one", {"src/one.txt": "one\n", "other.txt": "x\n"}, files=("src/*",))
        assert len(work.faults) == 1
        assert "other.txt" in work.faults[0]

    def test_conflict_markers_are_a_fault(self, hand: Hand) -> None:
        work = hand.work("one", {"a.txt": "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"})
        assert "a.txt" in " ".join(work.faults)

    def test_unmerged_work_is_answered_after_its_worktree_went(self, hand: Hand) -> None:
        work = hand.work("one", {"a.txt": "a\n"})
        hand.release("one")
        assert hand.standing() == frozenset()
        assert hand.take("one") == work

    def test_a_worktree_that_never_was_can_not_be_taken(self, hand: Hand) -> None:
        with pytest.raises(RepositoryBroken):
            hand.take("one")

    # -- merging

    def test_a_merged_step_is_told_by_the_branch(self, hand: Hand) -> None:
        one, two = hand.bring("one", {"a.txt": "a\n"}), hand.bring("two", {"b.txt": "b\n"})
        assert hand.repository.merged_steps(hand.run) == {"one": one.commit, "two": two.commit}

    def test_a_merge_that_was_not_advanced_is_not_told(self, hand: Hand) -> None:
        hand.merge("one", hand.work("one", {"a.txt": "a\n"}))
        assert hand.repository.merged_steps(hand.run) == {}
        assert hand.repository.tip(hand.run) == hand.run.base

    def test_steps_that_ran_side_by_side_both_arrive(self, hand: Hand) -> None:
        hand.cut("two")
        hand.bring("one", {"a.txt": "a\n"})
        merged = hand.bring("two", {"b.txt": "b\n"})
        folder = Path(hand.repository.checkout_for_check(hand.run, merged.commit))
        assert (folder / "a.txt").exists()
        assert (folder / "b.txt").exists()

    def test_advancing_from_another_tip_is_refused_and_advancing_twice_is_once(self, hand: Hand) -> None:
        one = hand.merge("one", hand.work("one", {"a.txt": "a\n"}))
        two = hand.merge("two", hand.work("two", {"b.txt": "b\n"}))
        assert isinstance(one, Merged)
        assert isinstance(two, Merged)
        assert hand.repository.advance(hand.run, one)
        assert hand.repository.advance(hand.run, one)
        assert not hand.repository.advance(hand.run, two)
        assert hand.repository.tip(hand.run) == one.commit

    def test_merging_what_is_there_already_is_empty(self, hand: Hand) -> None:
        work = hand.work("one", {"a.txt": "a\n"})
        hand.bring("one", {})
        merged = hand.merge("one", work)
        assert merged == Merged(hand.repository.tip(hand.run), hand.repository.tip(hand.run), is_empty=True)

    def test_a_conflict_is_told_and_laid_over_the_next_round(self, hand: Hand) -> None:
        hand.cut("two")
        hand.bring("one", {"src/one.txt": "from one\n"})
        conflict = hand.merge("two", hand.work("two", {"src/one.txt": "from two\n"}))
        assert isinstance(conflict, Conflict)
        assert conflict.paths == ("src/one.txt",)
        assert "src/one.txt" in conflict.told
        hand.release("two")
        hand.bring("three", {"later.txt": "merged meanwhile\n"})
        tree = Path(hand.cut("two", 2, conflict.tree).path)
        assert "from one" in (tree / "src/one.txt").read_text()
        assert "from two" in (tree / "src/one.txt").read_text()
        assert (tree / "later.txt").exists()
        assert hand.take("two", 2).faults
        hand.bring("two", {"src/one.txt": "from both\n"}, 2)
        assert set(hand.repository.merged_steps(hand.run)) == {"one", "two", "three"}

    def test_the_check_folder_holds_each_commit_as_it_is(self, hand: Hand) -> None:
        one = hand.bring("one", {"a.txt": "a\n"})
        folder = Path(hand.repository.checkout_for_check(hand.run, one.commit))
        (folder / "left.txt").write_text("by a test\n")
        (folder / "a.txt").write_text("changed by a test\n")
        two = hand.bring("two", {"b.txt": "b\n"})
        assert Path(hand.repository.checkout_for_check(hand.run, two.commit)) == folder
        assert (folder / "a.txt").read_text() == "a\n"
        assert (folder / "b.txt").exists()
        assert not (folder / "left.txt").exists()

    # -- landing

    def test_sealing_twice_is_one_commit(self, hand: Hand) -> None:
        hand.bring("one", {"a.txt": "a\n"})
        sealed = hand.repository.seal(hand.run, "feat: all of it")
        assert hand.repository.seal(hand.run, "feat: all of it") == sealed == hand.repository.tip(hand.run)

    def test_a_run_lands_on_its_target(self, hand: Hand) -> None:
        hand.bring("one", {"a.txt": "a\n"})
        hand.repository.seal(hand.run, "feat: all of it")
        assert hand.land()
        assert self.target_files(hand.repository) == {**FILES, "a.txt": b"a\n"}
        again = hand.repository.land(hand.run)
        assert isinstance(again, Merged)
        assert again.is_empty
        assert set(hand.repository.merged_steps(hand.run)) == {"one"}
        hand.repository.close_run(hand.run, keep_branch=False)

    def test_a_target_that_moved_keeps_what_it_got(self, hand: Hand) -> None:
        hand.bring("one", {"a.txt": "a\n"})
        hand.bring("two", {"b.txt": "b\n"})
        self.commit_to_target(hand.repository, {"theirs.txt": b"theirs\n"})
        assert hand.land()
        assert self.target_files(hand.repository) == {
            **FILES,
            "a.txt": b"a\n",
            "b.txt": b"b\n",
            "theirs.txt": b"theirs\n",
        }

    def test_a_run_that_does_not_fit_onto_its_target_is_a_conflict(self, hand: Hand) -> None:
        hand.bring("one", {"src/one.txt": "mine\n"})
        self.commit_to_target(hand.repository, {"src/one.txt": b"theirs\n"})
        conflict = hand.repository.land(hand.run)
        assert isinstance(conflict, Conflict)
        assert conflict.paths == ("src/one.txt",)

    def test_a_target_that_moved_after_the_look_is_not_overrun(self, hand: Hand) -> None:
        hand.bring("one", {"a.txt": "a\n"})
        merged = hand.repository.land(hand.run)
        assert isinstance(merged, Merged)
        self.commit_to_target(hand.repository, {"theirs.txt": b"theirs\n"})
        assert hand.repository.finish_landing(hand.run, merged).commit == ""
        assert hand.land()
        assert "theirs.txt" in self.target_files(hand.repository)

    def test_closing_keeps_a_branch_that_did_not_land(self, hand: Hand) -> None:
        merged = hand.bring("one", {"a.txt": "a\n"})
        hand.repository.close_run(hand.run, keep_branch=False)
        assert hand.repository.tip(hand.run) == merged.commit
