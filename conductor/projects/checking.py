"""The check folder: one worktree a project that holds, one after another, the commits that are to be checked."""

from __future__ import annotations

import os
from contextlib import suppress

from conductor.domain.errors import RepositoryBroken
from conductor.projects import submodules
from conductor.projects.git import Git
from conductor.projects.includes import copy_includes
from conductor.projects.place import Place


def check_out(place: Place, commit: str) -> str:
    """Ignored files stay from one check to the next: they are what makes builds fast."""
    place.make_folders()
    admin = place.admin_of(place.check) if _is_ours(place.check) else ""
    if admin and _switched(place.git.on(place.check, git_dir=admin), commit):
        return place.check
    remove_check(place)
    git = place.git
    with place.deed():
        git("worktree", "add", "--quiet", "--detach", place.check, commit)
    submodules.fill(place, git.on(place.check, git_dir=place.admin_of(place.check)))
    copy_includes(place, place.check)
    return place.check


def remove_check(place: Place) -> None:
    place.throw_away(place.check)
    place.forget_worktree(place.check)


def _is_ours(path: str) -> bool:
    return os.path.isfile(f"{path}/.git") and not os.path.islink(path)


def _switched(git: Git, commit: str) -> bool:
    """False: it is broken, make it anew."""
    for name in ("index.lock", "HEAD.lock"):
        with suppress(OSError):
            os.unlink(f"{git.git_dir}/{name}")  # nobody else works in this one
    try:
        git("checkout", "--force", "--detach", "--quiet", commit)
        git("clean", "--force", "--force", "-d", "--quiet")
    except RepositoryBroken:
        return False
    if os.path.isfile(f"{git.work_tree}/.gitmodules"):
        git.saying(GIT_ALLOW_PROTOCOL="file").attempt("submodule", "--quiet", "update", "--no-fetch")
    return True
