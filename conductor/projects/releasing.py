"""Giving up worktrees: only what is kept under a ref goes, and only what is merged loses its ref."""

from __future__ import annotations

from conductor.projects.merging import is_merged
from conductor.projects.names import RoundName
from conductor.projects.place import Place
from conductor.projects.taking import Asked, Kept, is_there, keep_content, kept_work
from conductor.projects.worktrees import forget, read_cut


def release_worktree(place: Place, name: RoundName, asked: Asked, tip: str, base: str) -> bool:
    """Whether the worktree is gone. What is in it and was not taken is taken first; what git can't hold keeps it."""
    if not _is_kept(place, name, asked):
        return False
    kept = kept_work(place, name)
    # The branch before the side folder: without that nobody would look for the branch again.
    if is_over(place, kept, base, tip):
        place.drop(name.branch_ref, name.work_ref)
    elif kept is not None and place.value(name.branch_ref):
        place.move(name.branch_ref, kept.work, None)
    forget(place, name)
    return True


def is_over(place: Place, kept: Kept | None, base: str, tip: str) -> bool:
    """Whether nothing would be lost without the refs of that work."""
    return kept is None or is_worthless(place, kept) or is_merged(place.git, kept.work, base, tip)


def is_worthless(place: Place, kept: Kept) -> bool:
    """Nothing was changed."""
    return place.git("rev-parse", f"{kept.base}^{{tree}}").text == kept.tree


def _is_kept(place: Place, name: RoundName, asked: Asked) -> bool:
    cut = read_cut(place, name)
    if cut is None or not is_there(place, name):
        return True
    _, found = keep_content(place, name, cut, asked)
    return not found.unsaved
