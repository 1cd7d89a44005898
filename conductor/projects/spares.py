"""Spares: worktrees made ahead, in the background, that nobody has worked in. `cut` takes one where it finds one.

    <folder>/spares/<run>.<pid>-<hex>         the tree, detached at what was the run's tip
    <folder>/spares/<run>.<pid>-<hex>.json    it is whole: the commit, the notes; written last

A spare is nobody's work: what a killed process left of one is swept, and a used worktree never becomes one.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from conductor.kit.process import all_pids
from conductor.projects import guarding, submodules
from conductor.projects.git import Git
from conductor.projects.includes import copy_includes
from conductor.projects.names import checked_commit, checked_run
from conductor.projects.place import Place, find_place, read_document, require_folder, write_document

MOST_AT_ONCE = 2
_MOST_FAILURES = 5
_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Spare:
    path: str
    commit: str
    notes: tuple[str, ...]


def prepare_spares(place: Place, run_id: str, tip: Callable[[], str], wanted: int) -> None:
    """Starts making what is missing of `wanted`, one at a call, and waits for nothing."""
    root = _root(place)
    os.makedirs(root, mode=0o700, exist_ok=True)
    making = [name for name in place.background.running if name.startswith(f"{root}/")]
    if sum(name.startswith(f"{root}/") for name in place.background.failed) >= _MOST_FAILURES:
        return  # `cut` makes them as well, and tells what is wrong
    there = {*_ready(place, run_id), *(name for name in making if os.path.basename(name).startswith(f"{run_id}."))}
    if len(there) >= wanted or len(making) >= MOST_AT_ONCE:
        return
    path = f"{root}/{checked_run(run_id)}.{os.getpid()}-{os.urandom(4).hex()}"
    words = (place.name, place.workspace, place.folder, path, run_id, tip())
    place.background.start(path, [sys.executable, "-m", "conductor.projects.spares", *words], place.git.environment)


def take_spare(place: Place, run_id: str) -> Spare | None:
    """One that is whole, and that nobody else will find any more."""
    for path in _ready(place, run_id):
        found = read_document(f"{path}.json")
        with suppress(FileNotFoundError):
            os.unlink(f"{path}.json")
        if found is not None and os.path.isdir(path) and not os.path.islink(path):
            return Spare(path, str(found["commit"]), tuple(found["notes"]))
    return None


def sweep_spares(place: Place, run_id: str = "") -> None:
    """Those of a run go; without one, those that killed processes left half made."""
    root = _root(place)
    if not os.path.isdir(root):
        return
    require_folder(root)
    for name in sorted({name.removesuffix(".json") for name in os.listdir(root)}):
        path = f"{root}/{name}"
        if run_id and name.startswith(f"{run_id}."):
            place.background.stop(path)
        elif run_id or os.path.exists(f"{path}.json") or place.background.runs(path):
            continue
        if not _is_left(path):
            continue  # the next sweep finds it
        with suppress(FileNotFoundError):
            os.unlink(f"{path}.json")
        place.throw_away(path)
        place.forget_worktree(path)


def make_spare(place: Place, path: str, run_id: str, tip: str) -> None:
    """In a process of its own."""
    git = guarding.trusted(place, run_id).git
    git("worktree", "add", "--quiet", "--detach", path, checked_commit(tip))
    notes = submodules.fill(place, git.on(path, git_dir=place.admin_of(path))) + copy_includes(place, path)
    write_document(f"{path}.json", {"commit": tip, "notes": list(notes)})


def move_spare(place: Place, spare: Spare, path: str, branch: str, tip: str) -> str:
    """The spare stands at `path` on a new branch at `tip`; returns git's folder for it, empty: it was no good."""
    admin = place.admin_of(spare.path)
    if not admin:
        return ""
    # Git's side first: a tree at `path` that git does not know would be taken for something else.
    with open(f"{admin}/gitdir", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{path}/.git\n")
    os.rename(spare.path, path)
    git = place.git.on(path, git_dir=admin)
    if spare.commit != tip and git.attempt("read-tree", "-m", "-u", spare.commit, tip).code:
        return ""
    if not place.move(f"refs/heads/{branch}", tip, ""):
        return ""
    git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    return admin


def keep_index(admin: str, side: str) -> None:
    """Ours, with git's memory of unchanged files: the agent's own index may say what it wants."""
    shutil.copy2(f"{admin}/index", f"{side}/index")


def _root(place: Place) -> str:
    return f"{place.folder}/spares"


def _ready(place: Place, run_id: str) -> list[str]:
    root = _root(place)
    names = os.listdir(root) if os.path.isdir(root) else []
    return [
        f"{root}/{name.removesuffix('.json')}"
        for name in sorted(names)
        if name.startswith(f"{run_id}.") and name.endswith(".json")
    ]


def _is_left(path: str) -> bool:
    """Waits for what a killed process of ours began and which may still write there."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while _is_being_made(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _is_being_made(path: str) -> bool:
    """Whether a process that was left over still works on it: its command line has the path."""
    for pid in all_pids():
        with suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if os.fsencode(path) in file.read().split(b"\0"):
                    return True
    return False


def main(words: list[str]) -> None:
    name, workspace, folder, path, run_id, tip = words
    make_spare(find_place(name, workspace, folder, Git(dict(os.environ))), path, run_id, tip)


if __name__ == "__main__":
    main(sys.argv[1:])
