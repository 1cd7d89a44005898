"""Telling git to pass over files, without touching what the user tracks: lines in `.git/info/exclude`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from conductor.kit.durable import append_bytes, read_bytes

_MOST_READ = 1 << 20
_MARK = "# written by conductor: its own files"


def hide_from_git(folder: str, patterns: Sequence[str]) -> bool:
    """Adds the patterns that are not there yet; what is there stays as it is. False: no repository holds the folder.

    A repository that many worktrees share has one such file. Raises OSError where it can't be written.
    """
    shared = _shared_git_folder(folder)
    if not shared:
        return False
    path = f"{shared}/info/exclude"
    os.makedirs(f"{shared}/info", exist_ok=True)
    there = read_bytes(path, _MOST_READ).decode("utf-8", "replace") if os.path.exists(path) else ""
    missing = [pattern for pattern in patterns if pattern not in there.splitlines()]
    if missing:
        before = "" if not there or there.endswith("\n") else "\n"
        append_bytes(path, (before + "\n".join([_MARK, *missing]) + "\n").encode(), mode=0o644)
    return True


def _shared_git_folder(folder: str) -> str:
    """The repository that `folder` is in, whichever of its worktrees that is; empty: none, or one of somebody else."""
    folder = os.path.realpath(folder)
    while not os.path.lexists(f"{folder}/.git"):
        folder, before = os.path.dirname(folder), folder
        if folder == before:
            return ""
    git = f"{folder}/.git"
    if os.path.isfile(git):  # of a worktree or a sub-module
        git = os.path.join(folder, _line(git).removeprefix("gitdir:").strip())
    shared = _line(f"{git}/commondir") if os.path.isfile(f"{git}/commondir") else ""
    whole = os.path.normpath(os.path.join(git, shared))
    return whole if os.path.isfile(f"{whole}/HEAD") and os.stat(whole).st_uid == os.geteuid() else ""


def _line(path: str) -> str:
    return os.fsdecode(read_bytes(path, 4_096)).partition("\n")[0].strip()
