"""Taking work out of a worktree: what is in its files counts, whatever its branch, HEAD and index say."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from conductor.domain.errors import RepositoryBroken
from conductor.ports.orchestration import Taken
from conductor.projects import guarding, submodules
from conductor.projects.faults import Change, changes_between, find_faults
from conductor.projects.git import Git
from conductor.projects.names import STEP, TASK, RoundName
from conductor.projects.place import Place
from conductor.projects.worktrees import MARKER, Cut, read_cut

_NEW_IN_REFLOG = re.compile(r"^[0-9a-f]+ ([0-9a-f]{40,64}) ")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be looked at beside the files."""

    task_id: str
    declared: tuple[str, ...]
    """Globs; none: any path will do."""
    guard: bool
    identity: tuple[str, ...]
    """Settings that name who commits, where nobody is configured."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is in a worktree now."""

    tree: str
    changes: tuple[Change, ...]
    unsaved: tuple[str, ...] = ()
    """What git can't hold, in words: such a worktree is not removed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was taken earlier."""

    work: str
    tree: str
    base: str


def take_work(place: Place, name: RoundName, asked: Asked) -> Taken:
    """Raises RepositoryBroken where there is neither a worktree nor anything that was taken from it."""
    cut = read_cut(place, name)
    if cut is None or not is_there(place, name):
        kept = kept_work(place, name)
        if kept is None:
            raise RepositoryBroken(f"the worktree {place.worktree(name)} is gone, and nothing was taken from it")
        return _taken(place, kept, asked, changes_between(place.git, kept.base, kept.tree), ())
    kept, found = keep_content(place, name, cut, asked)
    taken = _taken(place, kept, asked, found.changes, found.unsaved)
    if not asked.guard:
        return taken
    return Taken(taken.work, taken.base, taken.paths, taken.faults, guarding.changes(place, cut.guard))


def keep_content(place: Place, name: RoundName, cut: Cut, asked: Asked) -> tuple[Kept, Snapshot]:
    """Everything that git can hold of a worktree is under refs when this returns."""
    found = snapshot(place, name, cut)
    old, branch = _refs_of(place, name)
    kept = _keep(place, name, old, Kept("", found.tree, cut.base), asked)
    _keep_commits(place, name, kept, branch)
    return kept, found


def snapshot(place: Place, name: RoundName, cut: Cut) -> Snapshot:
    """The content of the worktree as a tree, seen through an index of ours that no agent wrote."""
    side, path = place.side(name), place.worktree(name)
    index = f"{side}/take.index"
    for leftover in (index, f"{index}.lock"):
        with suppress(FileNotFoundError):
            os.unlink(leftover)
    git = guarding.harmless(place, cut.guard["settings"]).git.on(path, index)
    git = git.having("core.protectHFS=false", "core.protectNTFS=false")  # such names are kept too, and told
    if os.path.isfile(f"{side}/index"):
        shutil.copy2(f"{side}/index", index)
    else:
        git("read-tree", cut.base)
    unsaved = _add_all(git)
    tree = git("write-tree").text
    changes = changes_between(git, cut.base, tree)
    return Snapshot(tree, changes, unsaved + _repositories(changes) + _in_submodules(place, name, git))


def kept_work(place: Place, name: RoundName) -> Kept | None:
    return _refs_of(place, name)[0]


def _refs_of(place: Place, name: RoundName) -> tuple[Kept | None, str]:
    """What was taken, and where the round's branch is."""
    refs = (name.work_ref, name.branch_ref)
    lines = place.git("for-each-ref", "--format=%(refname) %(objectname) %(tree) %(parent)", *refs).lines
    found = {ref: Kept(*rest[:3]) for ref, *rest in (line.split(" ") for line in lines)}
    branch = found.get(name.branch_ref)
    return found.get(name.work_ref), branch.work if branch else ""


def is_there(place: Place, name: RoundName) -> bool:
    path = place.worktree(name)
    if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
        raise RepositoryBroken(f"{path} is no folder any more: somebody put something else in its place")
    return os.path.isdir(path)


def _add_all(git: Git) -> tuple[str, ...]:
    """What could not be read, in words."""
    answer = git.attempt("add", "--all", "--", ".")
    if answer.code == 0:
        return ()
    nested = _nested(git.work_tree)
    without = (f":(exclude,literal){path}" for path in nested)
    again = git.saying(GIT_LITERAL_PATHSPECS="0").attempt("add", "--all", "--ignore-errors", "--", ".", *without)
    told = [line for line in again.told.splitlines() if line.startswith(("error:", "fatal:"))]
    if any("No space left" in line for line in told) or (again.code and not told):
        raise RepositoryBroken(f"git can't keep what is in {git.work_tree}: {again.told.strip()}")
    found = [f"{path!r} is a repository of its own: remove its .git folder or the whole of it" for path in nested]
    return tuple(found + [f"git can't read it: {line}" for line in told[:5]])


def _nested(root: str) -> list[str]:
    found = []
    for path, folders, files in os.walk(root):
        if path != root and ".git" in (*folders, *files):
            found.append(os.path.relpath(path, root))
            folders.clear()
        elif path == root and ".git" in folders:
            folders.remove(".git")
    return found


def _repositories(changes: Sequence[Change]) -> tuple[str, ...]:
    return tuple(
        f"{change.path!r} holds a repository of its own, which no commit of this one holds"
        for change in changes
        if change.mode == "160000"
    )


def _in_submodules(place: Place, name: RoundName, git: Git) -> tuple[str, ...]:
    known = submodules.paths_in(git, f"{git.work_tree}/.gitmodules")
    cut_at = os.stat(f"{place.side(name)}/{MARKER}").st_mtime_ns if known else 0
    return tuple(
        f"something changed in the sub-module {path!r}, which no commit of this one holds: work in the project alone"
        for path in submodules.touched(git.work_tree, known, cut_at)
    )


def _keep(place: Place, name: RoundName, old: Kept | None, new: Kept, asked: Asked) -> Kept:
    """The ref of this round holds the new content; what it held before stays under another one."""
    if old is not None and (old.tree, old.base) == (new.tree, new.base):
        return old
    message = f"Work of {asked.task_id}\n\n{STEP}: {name.step}\n{TASK}: {asked.task_id}\n"
    git = place.git.having(*asked.identity)
    work = git("commit-tree", new.tree, "-p", new.base, stdin=message.encode()).text
    if old is not None and not _is_contained(place.git, old.work, new):
        place.move(f"{name.also}{old.work[:12]}", old.work, None)
    if not place.move(name.work_ref, work, old.work if old else ""):
        raise RepositoryBroken(f"{name.work_ref} was changed by somebody else: is another orchestrator at it?")
    return Kept(work, new.tree, new.base)


def _keep_commits(place: Place, name: RoundName, kept: Kept, branch: str) -> None:
    """Commits of the agent that are not in its files any more, as its reflog and its branch tell, get refs."""
    told = [commit for commit in _own_commits(place, name, branch) if commit != kept.base]
    if not told:
        return
    # Those that nothing else holds: neither the line of commits that led to what was taken nor a branch of its own.
    git = place.git
    present = [commit for commit in told if git.attempt("cat-file", "-e", f"{commit}^{{commit}}").code == 0]
    for commit in git("merge-base", "--independent", *present, kept.base).lines if present else []:
        if commit != kept.base and not _is_contained(git, commit, kept):
            place.move(f"{name.also}{commit[:12]}", commit, None)


def _own_commits(place: Place, name: RoundName, branch: str) -> list[str]:
    found = {branch: None}
    admin = place.admin_of(place.worktree(name))
    with suppress(OSError):
        with open(f"{admin}/logs/HEAD", encoding="utf-8", errors="replace") as file:
            found |= dict.fromkeys(match[1] for line in file if (match := _NEW_IN_REFLOG.match(line)))
    return [commit for commit in found if commit][-500:]


def _is_contained(git: Git, commit: str, kept: Kept) -> bool:
    """Whether the work has its own version of every path that the commit changed: it is what became of it."""
    if git.attempt("merge-base", "--is-ancestor", commit, kept.base).code == 0:
        return True
    base = git("merge-base", commit, kept.base, ok=(0, 1)).text
    if not base:
        return False
    changed = {change.path for change in changes_between(git, base, commit)}
    return changed <= {change.path for change in changes_between(git, kept.base, kept.tree)}


def _taken(place: Place, kept: Kept, asked: Asked, changes: Sequence[Change], unsaved: Sequence[str]) -> Taken:
    faults = find_faults(place, kept.base, kept.tree, changes, asked.declared)
    further = tuple(told for told in unsaved if told not in faults and "a repository of its own, which" not in told)
    return Taken(kept.work, kept.base, tuple(change.path for change in changes), faults + further)
