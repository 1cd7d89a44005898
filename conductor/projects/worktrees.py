"""Worktrees: one for each round of a step, cut from what is merged so far, made whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from conductor.domain.errors import RepositoryBroken
from conductor.kit.filesystem import remove_tree
from conductor.ports.orchestration import Worktree
from conductor.projects import guarding, ports_and_caches, submodules
from conductor.projects.git import Git
from conductor.projects.includes import copy_includes
from conductor.projects.names import RoundName
from conductor.projects.place import Place, read_document, require_folder, write_document
from conductor.projects.spares import keep_index, move_spare, take_spare

MARKER = "cut.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Cut:
    """What is remembered of a worktree, in its side folder, from the moment on that it is whole."""

    base: str
    slot: int
    notes: tuple[str, ...]
    guard: dict[str, Any]

    def as_document(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "base": self.base,
            "slot": self.slot,
            "notes": list(self.notes),
            "guard": self.guard,
        }


def read_cut(place: Place, name: RoundName) -> Cut | None:
    """None: the worktree was never made whole."""
    found = read_document(f"{place.side(name)}/{MARKER}")
    if found is None or found.get("version") != _VERSION:
        return None
    return Cut(found["base"], found["slot"], tuple(found["notes"]), found["guard"])


def cut_worktree(place: Place, name: RoundName, tip: str, onto: str) -> Worktree:
    """There already: as it is. Half made, by a call that was killed: made anew; no agent has seen it."""
    place.make_folders()
    path, side = place.worktree(name), place.side(name)
    known = read_cut(place, name)
    if known is not None and os.path.isdir(path) and not os.path.islink(path):
        return _told(place, name, known)
    _clear(place, name, known)
    os.makedirs(f"{side}/cache", mode=0o700, exist_ok=True)
    slot = ports_and_caches.take_slot(place.folder, name.folder)
    admin, notes = _from_spare(place, name, tip) or _from_nothing(place, name, tip)
    keep_index(admin, side)
    if onto:
        notes += _lay_over(guarding.trusted(place, name.run_id).git.on(path, git_dir=admin), tip, onto)
    cut = Cut(tip, slot, notes, guarding.fingerprint(place, name.run_id))
    write_document(f"{side}/{MARKER}", cut.as_document())
    return _told(place, name, cut)


def _from_spare(place: Place, name: RoundName, tip: str) -> tuple[str, tuple[str, ...]] | None:
    """Git's folder for it and what it lacks; None: there was none that was any good."""
    spare = take_spare(place, name.run_id)
    if spare is None:
        return None
    trusted = guarding.trusted(place, name.run_id)
    admin = move_spare(trusted, spare, place.worktree(name), name.branch, tip)
    if admin:
        return admin, spare.notes
    place.throw_away(place.worktree(name))
    place.forget_worktree(place.worktree(name))
    place.drop(name.branch_ref)
    return None


def _from_nothing(place: Place, name: RoundName, tip: str) -> tuple[str, tuple[str, ...]]:
    path, git = place.worktree(name), guarding.trusted(place, name.run_id).git
    with place.deed():
        git("worktree", "add", "--quiet", "--no-track", "-b", name.branch, path, tip)
    admin = place.admin_of(path)
    if not admin:
        raise RepositoryBroken(f"git made no worktree at {path}: look at {place.common}/worktrees")
    return admin, submodules.fill(place, git.on(path, git_dir=admin)) + copy_includes(place, path)


def forget(place: Place, name: RoundName) -> None:
    """Worktree and side folder go. The caller has seen that the work is kept."""
    path, side = place.worktree(name), place.side(name)
    require_parents(place)
    # The worktree first, in one moment: half of it must never be taken for what an agent left.
    place.throw_away(path)
    place.forget_worktree(path)
    ports_and_caches.free_slot(place.folder, name.folder)
    remove_tree(side)


def require_parents(place: Place) -> None:
    for path in (place.folder, f"{place.folder}/worktrees", f"{place.folder}/side"):
        if os.path.lexists(path):
            require_folder(path)


def _told(place: Place, name: RoundName, cut: Cut) -> Worktree:
    environment = ports_and_caches.environment(place.side(name), cut.slot)
    return Worktree(place.worktree(name), name.branch, cut.base, environment, cut.notes)


def _clear(place: Place, name: RoundName, known: Cut | None) -> None:
    """What a killed call left, or an agent that removed its own worktree: its branch may hold commits."""
    path = place.worktree(name)
    if not os.path.lexists(path) and not os.path.lexists(place.side(name)):
        return  # the side folder is made before anything else, and goes last
    if known is not None and os.path.lexists(path):
        raise RepositoryBroken(f"{path} is no folder any more: move away what stands there")
    branch = place.value(name.branch_ref)
    if branch and known is not None and branch != known.base:
        place.move(f"{name.also}{branch[:12]}", branch, None)
    forget(place, name)
    if branch:
        place.drop(name.branch_ref)


def _lay_over(git: Git, tip: str, onto: str) -> tuple[str, ...]:
    """The content of `onto`, uncommitted. It was made on an earlier tip: what was merged since stays. No ref holds it,
    so a step's `git gc` may have taken it: then the round begins without, which is the note."""
    kind = git.attempt("cat-file", "-t", onto)
    if kind.code:
        return ("both sides of the conflict, which were to lie in its files",)
    if kind.text == "commit":
        merged = git.attempt("merge-tree", "--write-tree", "-z", tip, onto)
        if merged.code not in (0, 1):
            raise RepositoryBroken(f"git can't lay {onto} over {tip}: {merged.told.strip()}")
        onto = merged.fields[0]
    git("restore", f"--source={onto}", "--worktree", "--no-overlay", "--", ".")
    return ()
