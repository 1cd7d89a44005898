"""What is kept of past rounds: worktrees that nobody released and work under refs, with the proof that it may go."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from conductor.domain.run import task_id_of
from conductor.projects.closing import rounds_of
from conductor.projects.merging import is_merged, merged_works
from conductor.projects.names import RoundName, run_ref
from conductor.projects.place import Place
from conductor.projects.releasing import is_worthless, release_worktree
from conductor.projects.taking import Asked, is_there, kept_work, snapshot
from conductor.projects.worktrees import read_cut

IsOpen = Callable[[RoundName], bool]
"""Whether a round's run is not over, or a person was asked to look at it."""


class KeptState(StrEnum):
    OPEN = "open"
    """Somebody works in it, or a person was asked to look."""
    MERGED = "merged"
    """The target, or its run's branch, has all of it: it may go."""
    KEPT = "kept"
    """Nothing proves that it is merged: it stays."""


@dataclass(frozen=True, slots=True)
class KeptRound:
    """One round of a step that left something behind."""

    name: RoundName
    state: KeptState
    why: str
    path: str
    """Its worktree; empty: that is gone."""
    ref: str
    """What holds its work; empty: nothing was taken."""
    age_seconds: float


def kept_rounds(place: Place, target: str, is_open: IsOpen, now: float) -> list[KeptRound]:
    """Every round that left a worktree or a ref."""
    return [_look(place, name, target, is_open, now) for name in rounds_of(place)]


def clean_rounds(
    place: Place, target: str, is_open: IsOpen, asked: Asked, now: float
) -> tuple[list[KeptRound], list[KeptRound]]:
    """Removes what is proven merged, the proof made anew for each; returns what went and what stays."""
    gone: list[KeptRound] = []
    stays: list[KeptRound] = []
    for kept in kept_rounds(place, target, is_open, now):
        removed = kept.state is KeptState.MERGED and _remove(place, kept, target, asked)
        (gone if removed else stays).append(kept)
    place.sweep_now()
    return gone, stays


def _look(place: Place, name: RoundName, target: str, is_open: IsOpen, now: float) -> KeptRound:
    path = place.worktree(name)
    standing = os.path.lexists(path)
    kept = kept_work(place, name)
    state, why = _state(place, name, target, is_open(name))
    ref = name.work_ref if kept is not None else next(iter(place.values(name.also)), "")
    return KeptRound(name, state, why, path if standing else "", ref, _age(place, name, kept is not None, now))


def _state(place: Place, name: RoundName, target: str, is_open: bool) -> tuple[KeptState, str]:
    if is_open:
        return KeptState.OPEN, "its step is not over"
    if place.values(name.also):
        return KeptState.KEPT, f"its agent left commits that no file shows, under {name.also}"
    kept, cut = kept_work(place, name), read_cut(place, name)
    if os.path.islink(place.worktree(name)):
        return KeptState.KEPT, "its worktree was replaced by a link"
    if cut is not None and is_there(place, name):
        found = snapshot(place, name, cut)
        if found.unsaved:
            return KeptState.KEPT, found.unsaved[0]
        if found.tree == place.git("rev-parse", f"{cut.base}^{{tree}}").text:
            return KeptState.MERGED, "nothing was changed in it"
        if kept is None or found.tree != kept.tree:
            return KeptState.KEPT, "its worktree holds what nobody took"
    if kept is None:
        branch = place.value(name.branch_ref)
        there = branch and any(_is_ancestor(place, branch, tip) for tip in _tips(place, name, target))
        return (KeptState.MERGED, "nothing was taken from it") if there or not branch else (KeptState.KEPT, name.branch)
    if is_worthless(place, kept):
        return KeptState.MERGED, "nothing was changed in it"
    for tip in _tips(place, name, target):
        if kept.work in merged_works(place.git, kept.base, tip) or is_merged(place.git, kept.work, kept.base, tip):
            return KeptState.MERGED, "merged"
    return KeptState.KEPT, "not merged"


def _tips(place: Place, name: RoundName, target: str) -> list[str]:
    found = (place.value(f"refs/heads/{target}"), place.value(run_ref(name.run_id)))
    return [tip for tip in found if tip]


def _remove(place: Place, kept: KeptRound, target: str, asked: Asked) -> bool:
    name = kept.name
    task = Asked(task_id_of(name.run_id, name.step_id, name.number), (), False, asked.identity)
    for tip in _tips(place, name, target):
        work = kept_work(place, name)
        if not release_worktree(place, name, task, tip, work.base if work else ""):
            return False
        left = kept_work(place, name)
        if left is None or is_worthless(place, left) or is_merged(place.git, left.work, left.base, tip):
            place.drop(name.branch_ref, name.work_ref)
            return True
    return False


def _age(place: Place, name: RoundName, is_taken: bool, now: float) -> float:
    """Since it was taken, or cut where nothing was."""
    if is_taken:
        return max(0.0, now - float(place.git("log", "-1", "--format=%ct", name.work_ref).text or now))
    try:
        return max(0.0, now - os.stat(place.side(name)).st_mtime)
    except OSError:
        return 0.0


def _is_ancestor(place: Place, older: str, newer: str) -> bool:
    return place.git.attempt("merge-base", "--is-ancestor", older, newer).code == 0
