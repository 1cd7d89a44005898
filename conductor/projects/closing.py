"""The end of a run: rounds whose worktrees nobody released, branches and refs whose work is merged."""

from __future__ import annotations

import os
from collections.abc import Callable

from conductor.domain.run import Run, task_id_of
from conductor.projects.merging import merged_steps
from conductor.projects.names import ALSO, STEP_BRANCHES, WORKS, RoundName, round_of_folder, round_of_ref
from conductor.projects.place import Place
from conductor.projects.releasing import is_over, release_worktree
from conductor.projects.taking import Asked, is_there, keep_content, kept_work
from conductor.projects.worktrees import read_cut


def close_rounds(place: Place, run: Run, tip: str, asked: Callable[[str], Asked]) -> None:
    """Unmerged work stays under its ref; a branch stays where no later round of its step was merged, and so does a
    worktree in which a person may mend it."""
    done = merged_steps(place.git, run.id, run.base, tip)
    for name in rounds_of(place, run.id):
        task = asked(task_id_of(run.id, name.step_id, name.number))
        if name.step_id not in done and _waits_for_a_person(place, name, task, run.base, tip):
            continue
        if not release_worktree(place, name, task, tip, run.base):
            continue
        if is_over(place, kept_work(place, name), run.base, tip):
            place.drop(name.branch_ref, name.work_ref)
        elif name.step_id in done:
            place.drop(name.branch_ref)


def _waits_for_a_person(place: Place, name: RoundName, asked: Asked, base: str, tip: str) -> bool:
    cut = read_cut(place, name)
    if cut is None or not is_there(place, name):
        return False
    kept, _ = keep_content(place, name, cut, asked)
    return not is_over(place, kept, base, tip)


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
