"""The end of a run: rounds whose worktrees nobody released, branches and refs whose work is merged."""

from __future__ import annotations

import os
from collections.abc import Callable

from conductor.domain.run import Run, task_id_of
from conductor.projects.merging import is_merged, merged_steps
from conductor.projects.names import ALSO, STEP_BRANCHES, WORKS, RoundName, round_of_folder, round_of_ref
from conductor.projects.place import Place
from conductor.projects.releasing import is_worthless, release_worktree
from conductor.projects.taking import Asked, kept_work


def close_rounds(place: Place, run: Run, tip: str, asked: Callable[[str], Asked]) -> None:
    """Unmerged work stays under its ref; a branch stays where no later round of its step was merged."""
    done = merged_steps(place.git, run.id, run.base, tip)
    for name in rounds_of(place, run.id):
        if not release_worktree(place, name, asked(task_id_of(run.id, name.step_id, name.number)), tip, run.base):
            continue
        kept = kept_work(place, name)
        if kept is None or is_worthless(place, kept) or is_merged(place.git, kept.work, run.base, tip):
            place.drop(name.branch_ref, name.work_ref)
        elif name.step_id in done:
            place.drop(name.branch_ref)


def rounds_of(place: Place, run_id: str = "") -> list[RoundName]:
    """Every round that has a folder or a ref left; of all runs where none is named."""
    below = f"{run_id}/" if run_id else ""
    found: dict[RoundName, None] = {}
    for folder in ("worktrees", "side"):
        path = f"{place.folder}/{folder}"
        for entry in os.listdir(path) if os.path.isdir(path) else []:
            if name := round_of_folder(entry):
                found[name] = None
    for ref in place.values(*(f"{root}{below}" for root in (STEP_BRANCHES, WORKS, ALSO))):
        for root in (STEP_BRANCHES, WORKS, ALSO):
            if name := round_of_ref(ref, root):
                found[name] = None
    wanted = (name for name in found if not run_id or name.run_id == run_id)
    return sorted(wanted, key=lambda name: (name.run_id, name.step_id, name.number))
