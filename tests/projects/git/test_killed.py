"""Killed at each git command in turn, told again: every step merged exactly once, nothing left over, nothing lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from conductor.testing.repository_contract import FILES
from tests.projects.git.story import STEPS, Dying, tell
from tests.projects.git.world import commit_files, git, make_workspace, ours

_PARTS = 6
_EVERYTHING = os.environ.get("CONDUCTOR_FAULTS") == "all"
_EVERY = 1 if _EVERYTHING else 2
_MOMENTS = ("before", "after") if _EVERYTHING else ("after",)
"""After one command is as good as before the next, but for files that are written between the two."""


def _die_at(folder: Path, moment: str, number: int, until: str) -> bool:
    """Whether it died: the story has that many commands up to there."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            tell(folder, Dying(moment, number), until=until)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"{moment} {number}: it failed by itself"
    return os.WIFSIGNALED(status)


def _check_whole(folder: Path, seen: str) -> None:
    workspace = folder / "workspace"
    log = git(workspace, "log", "--format=%P|%(trailers:key=Conductor-Step,valueonly,separator=%x2c)").split("\n")
    assert all(" " not in line.partition("|")[0] for line in log), f"{seen}: the history is not linear"
    steps = [line.partition("|")[2] for line in log if line.partition("|")[2]]
    assert sorted(steps) == sorted(f"r-aaaaaaaa/{step}" for step in STEPS), seen
    assert git(workspace, "status", "--porcelain") == "", seen
    assert ours(workspace) == [], seen
    for files in STEPS.values():
        for path, content in files.items():
            assert (workspace / path).read_text() == content, seen
    found = [path for path in (folder / "home").rglob("*") if path.is_file() or path.is_symlink()]
    left = [str(path) for path in found if path.name not in ("landed.json", "deed")]
    assert left == [], seen
    assert not list((workspace / ".git").rglob("*.lock")), seen


def _kill_everywhere(template: Path, part: int, until: str = "") -> None:
    """Every `_PARTS`th command (every second one of them) goes wrong; then the story is told to its end."""
    number, died = part + 1, True
    while died:
        for moment in _MOMENTS:
            folder = template.parent / f"{moment}-{number}"
            shutil.copytree(template, folder, symlinks=True)
            died = _die_at(folder, moment, number, until)
            tell(folder)
            _check_whole(folder, f"killed {moment} git command {number}")
            shutil.rmtree(folder)
        number += _PARTS * _EVERY
    assert number > 2 * _PARTS, "there was hardly a command to die at"


@pytest.mark.parametrize("part", range(_PARTS))
def test_a_step_that_is_killed_at_a_git_command_is_merged_once_when_told_again(tmp_path: Path, part: int) -> None:
    make_workspace(tmp_path / "template", dict(FILES))
    _kill_everywhere(tmp_path / "template", part, until="one")


@pytest.mark.parametrize("part", range(_PARTS))
def test_a_landing_that_is_killed_at_a_git_command_converges_when_told_again(tmp_path: Path, part: int) -> None:
    _kill_everywhere(_merged(tmp_path), part)


@pytest.mark.parametrize("part", range(_PARTS))
def test_a_landing_that_is_killed_beside_somebody_elses_commit_converges_too(tmp_path: Path, part: int) -> None:
    template = _merged(tmp_path)
    commit_files(template / "workspace", {"theirs.txt": b"theirs\n"})
    _kill_everywhere(template, part)


def _merged(tmp_path: Path) -> Path:
    """A story that was told up to its landing. Git's worktrees hold absolute paths, so none stands any more."""
    template = tmp_path / "template"
    make_workspace(template, dict(FILES))
    tell(template, until="landing")
    git(template / "workspace", "worktree", "remove", "--force", str(template / "home/projects/project/check"))
    return template
