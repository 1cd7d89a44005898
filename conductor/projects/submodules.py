"""Sub-modules in worktrees: filled from what the main checkout has of them, never from the network."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress

from conductor.projects.git import Git
from conductor.projects.place import Place

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./+@ -]*")


def fill(place: Place, git: Git) -> tuple[str, ...]:
    """`git` is on the worktree. Returns which ones stay empty, in words."""
    listing = f"{git.work_tree}/.gitmodules"
    if os.path.islink(listing) or not os.path.isfile(listing):
        return ()
    notes = []
    for name, path in _modules(git, listing):
        objects = f"{place.common}/modules/{name}"
        if not _NAME.fullmatch(name) or not os.path.isdir(objects) or os.path.islink(objects):
            notes.append(f"sub-module {path} is empty here: run `git submodule update --init` in {place.workspace}")
            continue
        local = git.having(f"submodule.{name}.url={objects}", f"submodule.{name}.update=checkout")
        local = local.saying(GIT_ALLOW_PROTOCOL="file")
        answer = local.attempt("submodule", "--quiet", "update", "--init", "--", path)
        if answer.code:
            told = answer.told.strip().splitlines()
            notes.append(f"sub-module {path} is empty here: {told[-1] if told else 'git refused'}")
    return tuple(notes)


def touched(worktree: str, paths: Sequence[str], since_ns: int) -> tuple[str, ...]:
    """Sub-modules in which something changed after that moment: what they hold is in no commit of the project. Looks
    at times alone: no git is run in a repository that an agent may have set up."""
    return tuple(path for path in paths if _changed_since(f"{worktree}/{path}", since_ns))


def _changed_since(folder: str, since_ns: int) -> bool:
    if not os.path.lexists(f"{folder}/.git"):
        return False
    for path, _, files in os.walk(folder):
        for name in (".", *files):
            with suppress(FileNotFoundError):
                if os.lstat(f"{path}/{name}").st_ctime_ns > since_ns:
                    return True
    return False


def paths_in(git: Git, listing: str) -> list[str]:
    """Of the sub-modules that a .gitmodules file names."""
    return [path for _, path in _modules(git, listing)] if os.path.isfile(listing) else []


def _modules(git: Git, listing: str) -> list[tuple[str, str]]:
    """Name and path of each."""
    entries = git("config", "--file", listing, "-z", "--get-regexp", r"^submodule\..*\.path$", ok=(0, 1, 128)).fields
    pairs = (entry.partition("\n") for entry in entries)
    return [(key.removeprefix("submodule.").removesuffix(".path"), path) for key, _, path in pairs]
