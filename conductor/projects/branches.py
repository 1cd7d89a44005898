"""A run's branch: made, moved step by step, put right where somebody else touched it, and given up."""

from __future__ import annotations

from dataclasses import replace

from conductor.domain.errors import RepositoryBroken
from conductor.domain.run import Run
from conductor.ports.orchestration import Merged
from conductor.projects.merging import merged_steps
from conductor.projects.names import ALSO, checked_commit, run_branch, run_ref
from conductor.projects.place import Place


def open_branch(place: Place, run: Run) -> Run:
    """The run with base, branch and target filled in; its branch is there when this returns."""
    target = run.target or _checked_out(place)
    branch = run_branch(run.id)
    tip = place.value(run_ref(run.id))
    if not tip:
        shown = place.value(f"refs/heads/{branch}")
        if shown and not run.base:
            raise RepositoryBroken(f"branch {branch} is there already, and not ours: rename it, then begin again")
        # Git was killed between the two when both were to go, or somebody removed ours: the other one tells.
        tip = shown or _first_tip(place, run, place.value(f"refs/heads/{target}"))
        if not tip:
            raise RepositoryBroken(f"branch {target} of {place.workspace} has no commit: make a first one there")
        place.move(run_ref(run.id), tip, "")
    place.tips[run.id] = tip
    opened = replace(run, branch=branch, target=target, base=run.base or tip)
    _show(place, opened, tip)
    return opened


def _first_tip(place: Place, run: Run, target: str) -> str:
    """A run that landed and is opened again goes on from where its steps are now."""
    landed = run.base and target and merged_steps(place.git, run.id, run.base, target)
    return target if landed or not run.base else run.base


def tip_of(place: Place, run: Run) -> str:
    """As conductor made it. What an agent moved or deleted is put back; what it pointed at is kept."""
    return tip_and_tree(place, run)[0]


def tip_and_tree(place: Place, run: Run) -> tuple[str, str]:
    branch, own = f"refs/heads/{run_branch(run.id)}", run_ref(run.id)
    lines = place.git("for-each-ref", "--format=%(refname) %(objectname) %(tree)", branch, own).lines
    found = {ref: (commit, tree) for ref, commit, tree in (line.split(" ") for line in lines)}
    seen = found.get(own, ("", ""))[0]
    tip = place.tips.get(run.id) or seen
    if not tip:
        raise RepositoryBroken(f"run {run.id} has no branch in {place.workspace} (any more): it landed or was given up")
    place.tips[run.id] = tip
    if seen != tip:
        _put_back(place, run, own, seen, tip)
        return tip_and_tree(place, run)
    if found.get(branch) != found[own]:
        _show(place, run, tip)
    return found[own]


def advance_branch(place: Place, run: Run, merged: Merged) -> bool:
    """False: the branch is elsewhere."""
    # Our own ref first: a branch that is behind it is no stranger's.
    moves = f"update {run_ref(run.id)} {{0}}\nupdate refs/heads/{run_branch(run.id)} {{0}}\n"
    step = f"{checked_commit(merged.commit)} {checked_commit(merged.tip)}"
    with place.deed():
        if place.git.durably.attempt("update-ref", "--stdin", stdin=moves.format(step).encode()).code == 0:
            place.tips[run.id] = merged.commit
            return True
    if not place.move(run_ref(run.id), merged.commit, merged.tip):
        return False
    place.tips[run.id] = merged.commit
    _show(place, run, merged.commit)
    return True


def drop_branch(place: Place, run: Run) -> None:
    place.tips.pop(run.id, None)
    place.drop(f"refs/heads/{run_branch(run.id)}", run_ref(run.id))


def _show(place: Place, run: Run, tip: str) -> None:
    """Makes the branch that people see what our own ref says."""
    branch = f"refs/heads/{run_branch(run.id)}"
    seen = place.value(branch)
    if seen == tip:
        return
    _put_back(place, run, branch, seen, tip)


def _put_back(place: Place, run: Run, ref: str, seen: str, tip: str) -> None:
    if seen and place.git.attempt("merge-base", "--is-ancestor", seen, tip).code != 0:
        place.move(f"{ALSO}{run.id}/branch/{seen[:12]}", seen, None)
    place.move(ref, tip, None)


def _checked_out(place: Place) -> str:
    """The branch that the main checkout is on."""
    ref = place.main("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text
    if not ref.startswith("refs/heads/"):
        raise RepositoryBroken(
            f"{place.workspace} is on no branch (its HEAD is detached): `git switch` to the one that the run is for"
        )
    return ref.removeprefix("refs/heads/")
