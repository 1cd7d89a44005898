"""Ignored files that a build needs: `.worktreeinclude` (patterns as in .gitignore) says which go into worktrees."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from conductor.projects.git import encoded
from conductor.projects.place import Place

FILE = ".worktreeinclude"
MOST_BYTES = 2 << 30


def copy_includes(place: Place, worktree: str) -> tuple[str, ...]:
    """Copies what the main checkout's list names and git ignores; returns what was left out, in words."""
    notes: list[str] = []
    left = MOST_BYTES
    for path in _included(place):
        source, target = f"{place.workspace}/{path}", f"{worktree}/{path}"
        if os.path.lexists(target):
            continue
        try:
            size = os.lstat(source).st_size
            if size > left:
                notes.append(f"{path} was not carried in: {FILE} names more than {MOST_BYTES >> 30} GiB")
            elif why := _copy(place.workspace, worktree, path):
                notes.append(f"{path} was not carried in: {why}")
            else:
                left -= size
        except OSError as error:
            notes.append(f"{path} was not carried in: {error.strerror}")
    return tuple(notes)


def _included(place: Place) -> list[str]:
    listing = f"{place.workspace}/{FILE}"
    if os.path.islink(listing) or not os.path.isfile(listing):
        return []
    named = place.main("ls-files", "-z", "--others", "--ignored", f"--exclude-from={listing}").fields
    if not named:
        return []
    # With `./` no name is taken for one of git's patterns, which this command can't be told not to have.
    wanted = b"".join(b"./" + encoded(path) + b"\0" for path in named)
    told = place.main.saying(GIT_LITERAL_PATHSPECS="0")("check-ignore", "-z", "--stdin", stdin=wanted, ok=(0, 1))
    ignored = [path.removeprefix("./") for path in told.fields]
    return [path for path in ignored if not path.endswith("/") and ".conductor" not in path.split("/")]


def _copy(workspace: str, worktree: str, path: str) -> str:
    """Why not; empty: copied. Never linked: a build that writes into it would write into the main checkout."""
    source, target = f"{workspace}/{path}", f"{worktree}/{path}"
    parent = os.path.dirname(target)
    if not _is_inside(parent, worktree):
        return "its folder is a link out of the tree"
    os.makedirs(parent, exist_ok=True)
    if os.path.islink(source):
        return _copy_link(workspace, source, target)
    if not os.path.isfile(source):
        return "it is no file"
    temporary = f"{target}.{os.urandom(4).hex()}.tmp"
    try:
        shutil.copy2(source, temporary, follow_symlinks=False)
        os.rename(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return ""


def _copy_link(workspace: str, source: str, target: str) -> str:
    led = os.readlink(source)
    if os.path.isabs(led) and _is_inside(led, workspace):
        return "it is a link into the main checkout"
    os.symlink(led, target)
    return ""


def _is_inside(path: str, folder: str) -> bool:
    real, root = os.path.realpath(path), os.path.realpath(folder)
    return real == root or real.startswith(f"{root}/")
