"""Ignored files that a build needs are carried into worktrees; nothing else is."""

from __future__ import annotations

from pathlib import Path

from conductor.testing.repository_contract import FILES, Hand, a_run
from tests.projects.git.world import git, make_repository, make_workspace

IGNORED = b"*.env\n.env\ndata/\nbuild/\n:odd\n"
LISTED = b"*.env\n.env\n/data/\n:odd\nnotes.txt\n"


def test_ignored_files_that_are_listed_are_carried_in_and_no_others(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, {**FILES, ".gitignore": IGNORED, ".worktreeinclude": LISTED})
    for path in (".env", "server/prod.env", "data/deep/small.db", "build/out.o", ":odd", "notes.txt"):
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(path)

    tree = Path(Hand(make_repository(tmp_path, workspace), a_run()).cut("one").path)

    for path in (".env", "server/prod.env", "data/deep/small.db", ":odd"):
        assert (tree / path).read_text() == path
    assert not (tree / "build").exists(), "it is ignored, but nobody listed it"
    assert not (tree / "notes.txt").exists(), "it is listed, but git would not ignore it: it would be merged"
    assert git(tree, "status", "--porcelain") == ""
