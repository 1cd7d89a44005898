"""What is kept, what the proof is that it may go, and `conductor worktrees`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from conductor.domain.run import Changes, Project, Run
from conductor.projects.keeping import KeptState
from conductor.projects.names import RoundName
from conductor.projects.repository import GitRepository
from conductor.testing.repository_contract import FILES, Hand, a_run
from tests.projects.git.world import commit_files, git, make_repository, make_workspace, ours


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path, dict(FILES))


@pytest.fixture
def repository(tmp_path: Path, workspace: Path) -> GitRepository:
    return make_repository(tmp_path, workspace)


@pytest.fixture
def hand(repository: GitRepository) -> Hand:
    return Hand(repository, a_run())


def _nobody(name: RoundName) -> bool:
    return False


def _states(repository: GitRepository) -> dict[str, KeptState]:
    return {kept.name.step_id: kept.state for kept in repository.kept("main", _nobody, 0.0)}


def test_released_work_that_is_merged_leaves_nothing_and_unmerged_work_is_listed(
    hand: Hand, repository: GitRepository
) -> None:
    hand.bring("one", {"a.txt": "a\n"})
    hand.work("two", {"b.txt": "b\n"})
    hand.release("two")
    assert _states(repository) == {"two": KeptState.KEPT}


@pytest.mark.parametrize("how", ["squashed", "rebased", "rewritten"])
def test_work_that_a_person_brought_in_is_proven_merged(
    hand: Hand, repository: GitRepository, workspace: Path, how: str
) -> None:
    work = hand.work("one", {"a.txt": "a\n", "src/one.txt": "one\n"})
    hand.release("one")
    commit_files(workspace, {"between.txt": b"x\n"})
    if how == "squashed":
        git(workspace, "merge", "-q", "--squash", work.work)
        git(workspace, "commit", "-q", "-m", "squashed by a person")
    elif how == "rebased":
        git(workspace, "cherry-pick", work.work)
    else:
        commit_files(workspace, {"a.txt": b"a\n"})
        commit_files(workspace, {"src/one.txt": b"one\n"})
    assert _states(repository) == {"one": KeptState.MERGED}
    gone, stays = repository.clean("main", _nobody, 0.0)
    assert len(gone) == 1
    assert stays == []
    assert [ref for ref in ours(workspace) if "one-1" in ref] == []


def test_cleaning_leaves_what_is_not_proven_and_what_is_open(
    hand: Hand, repository: GitRepository, workspace: Path
) -> None:
    hand.work("one", {"a.txt": "a\n"})
    hand.cut("two")
    hand.cut("three")
    before = ours(workspace)
    gone, stays = repository.clean("main", lambda name: name.step_id == "two", 0.0)
    assert [kept.name.step_id for kept in gone] == ["three"]
    assert [kept.state for kept in stays] == [KeptState.KEPT, KeptState.OPEN]
    assert [line for line in before if "three" not in line] == ours(workspace)


def test_a_worktree_that_changed_after_it_was_taken_is_kept(hand: Hand, repository: GitRepository) -> None:
    hand.work("one", {})
    (Path(hand.cut("one").path) / "late.txt").write_text("late\n")
    assert _states(repository) == {"one": KeptState.KEPT}


def test_closing_a_run_keeps_unmerged_work_where_a_person_may_mend_it(
    hand: Hand, repository: GitRepository, workspace: Path
) -> None:
    hand.bring("one", {"a.txt": "a\n"})
    hand.work("two", {"b.txt": "b\n"})
    hand.cut("three")
    assert hand.land()
    repository.close_run(hand.run, keep_branch=False)
    assert git(workspace, "show", "refs/conductor/work/r-aaaaaaaa/two-1:b.txt") == "b"
    assert [path.rpartition(".")[2] for path in hand.standing()] == ["two-1"]


def test_an_earlier_round_of_a_merged_step_keeps_its_ref_alone(
    hand: Hand, repository: GitRepository, workspace: Path
) -> None:
    hand.work("one", {"src/one.txt": "first try\n"})
    hand.release("one")
    hand.bring("one", {"src/one.txt": "second try\n"}, 2)
    assert hand.land()
    repository.close_run(hand.run, keep_branch=False)
    assert ours(workspace) == ["refs/conductor/work/r-aaaaaaaa/one-1"]


def test_the_command_lists_and_cleans(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from conductor.cli.main import cli
    from conductor.store.opening import load_store

    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    hand = Hand(make_repository(tmp_path, workspace), a_run())
    hand.work("one", {"a.txt": "a\n"})
    hand.cut("two")
    store = load_store("sqlite", str(home))
    store.add_project(Project("project", str(workspace), "main", 0.0))
    store.close()

    def conductor(*words: str) -> list[dict[str, object]]:
        done = CliRunner().invoke(cli, ["--home", str(home), "worktrees", *words, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    assert [(row["step"], row["state"]) for row in conductor("list")] == [("one", "kept"), ("two", "merged")]
    assert [row["step"] for row in conductor("clean", "--dry-run")] == ["two"]
    assert len(hand.standing()) == 2
    assert [row["step"] for row in conductor("clean")] == ["two"]
    assert len(hand.standing()) == 1


def test_rounds_of_a_run_that_is_not_over_are_never_cleaned(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conductor.cli.main import cli
    from conductor.store.opening import load_store

    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    hand = Hand(make_repository(tmp_path, workspace), a_run())
    hand.cut("one")
    store = load_store("sqlite", str(home))
    store.add_project(Project("project", str(workspace), "main", 0.0))
    run: Run = hand.run
    store.add_run(run)
    store.save(Changes(run))
    store.close()
    done = CliRunner().invoke(cli, ["--home", str(home), "worktrees", "clean"], catch_exceptions=False)
    assert done.exit_code == 0
    assert len(hand.standing()) == 1
