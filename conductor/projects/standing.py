"""What stands where a project is to be: a repository that can be used, room for a new one, or neither."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from conductor.domain.errors import UsageError
from conductor.projects.tool import Tools


@dataclass(frozen=True, slots=True)
class Standing:
    """A place that can become a project. All False: a repository with commits on `branch`."""

    workspace: str
    """Absolute, without links."""
    branch: str = ""
    """The one at HEAD; empty: none yet."""
    is_new: bool = False
    """Nothing is there, or an empty folder."""
    has_no_commit: bool = False
    """Files, or a repository, in which nothing was ever committed."""


def look(workspace: str, roots: Collection[str], tools: Tools) -> Standing:
    """What stands at `workspace`, an absolute path without links. Changes nothing.

    Raises UsageError where no project can be, with what to do about it.
    """
    _check_place(workspace, roots, tools.environment.get("HOME", ""))
    if not os.path.lexists(workspace):
        return Standing(workspace, is_new=True)
    if not os.path.isdir(workspace):
        raise UsageError(f"{workspace} is no folder: name another with --path")
    if (owner := os.stat(workspace).st_uid) != os.geteuid():
        raise UsageError(f"{workspace} belongs to user {owner}, not to us: choose another place, or chown it")
    if not os.listdir(workspace):
        return Standing(workspace, is_new=True)
    return _repository(workspace, tools)


def _check_place(workspace: str, roots: Collection[str], home: str) -> None:
    if workspace in ("/", os.path.realpath(home) if home else "/"):
        raise UsageError(f"{workspace} can't be a project: name a folder in it")
    allowed = [os.path.realpath(root) for root in roots]
    if allowed and not any(workspace.startswith(root.rstrip("/") + "/") for root in allowed):
        raise UsageError(
            f"{workspace} is outside of {', '.join(allowed)}: projects lie there; `orchestrator.roots` adds places"
        )


def _repository(workspace: str, tools: Tools) -> Standing:
    told = tools.git(workspace, "rev-parse", "--is-bare-repository", "--is-inside-git-dir", ok=(0, 128))
    if told.code:
        if "dubious ownership" in told.told:
            raise UsageError(f"git does not trust {workspace}: {told.fault}")
        return Standing(workspace, has_no_commit=True)
    if "true" in told.out:
        raise UsageError(
            f"{workspace} is a bare repository, or inside of a .git: a project needs files; clone it first"
        )
    top = tools.git(workspace, "rev-parse", "--show-toplevel").out.rstrip("\n")
    if not os.path.samefile(top, workspace):
        if tools.git(workspace, "ls-files", "--", ".").out:
            raise UsageError(f"{workspace} is a part of the repository {top}: name that one with --path")
        return Standing(workspace, has_no_commit=True)
    return _with_head(workspace, tools)


def _with_head(workspace: str, tools: Tools) -> Standing:
    branch = tools.git(workspace, "symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1)).out.strip()
    if tools.git(workspace, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", ok=(0, 1, 128)).code:
        return Standing(workspace, branch, has_no_commit=True)
    if not branch:
        raise UsageError(f"HEAD of {workspace} is on no branch: `git switch BRANCH` there first, runs land on that one")
    if branch.startswith(("conductor/", "conductor-step/")):
        raise UsageError(f"{workspace} is on {branch}, which is a run's: `git switch` to your own branch first")
    return Standing(workspace, branch)
