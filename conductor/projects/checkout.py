"""The main checkout: brought along with its branch when nothing in it is anybody's work, never otherwise."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

from conductor.domain.run import Run
from conductor.kit.durable import read_bytes
from conductor.ports.orchestration import Landed, Merged
from conductor.projects.faults import changes_between
from conductor.projects.git import encoded
from conductor.projects.guarding import note_landing
from conductor.projects.names import run_branch, run_ref
from conductor.projects.place import Place, read_document, write_document


def move_target(place: Place, run: Run, merged: Merged) -> Landed:
    """The target points at the merged commit, with the main checkout if that is on it; or the reason why not."""
    _finish_interrupted(place)
    target = f"refs/heads/{run.target}"
    there = place.value(target)
    if there == merged.commit or _is_ancestor(place, merged.commit, there):
        return Landed(merged.commit, checkout="it was there already")
    if there != merged.tip:
        return _overtaken(run)
    holder = _holder(place, target)
    if not holder:
        note_landing(place, target, merged.tip, merged.commit)
        moved = place.move(target, merged.commit, merged.tip)
        if not moved:
            return _overtaken(run)
        return Landed(merged.commit, checkout=f"nobody had {run.target} checked out")
    if holder != place.workspace:
        return _left_to_person(place, run, merged, holder, f"{run.target} is checked out in {holder}")
    return _bring_along(place, run, merged, target)


def _overtaken(run: Run) -> Landed:
    return Landed("", f"{run.target} was moved by somebody meanwhile", is_overtaken=True)


def _bring_along(place: Place, run: Run, merged: Merged, target: str) -> Landed:
    changed = place.main(
        "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all"
    ).fields
    if changed:
        why = f"{place.workspace} has uncommitted changes ({', '.join(entry[3:] for entry in changed[:5])})"
        return _left_to_person(place, run, merged, place.workspace, why)
    note_landing(place, target, merged.tip, merged.commit)
    journal = _journal(place)
    write_document(journal, {"target": target, "old": merged.tip, "new": merged.commit})
    with place.deed():
        quietly = ("--quiet", "--no-stat", "--no-overwrite-ignore")
        answer = place.main.durably.attempt("merge", "--ff-only", *quietly, merged.commit)
    _forget(journal)
    if answer.code:
        told = " ".join(answer.told.split())[:500]
        return _left_to_person(place, run, merged, place.workspace, f"git refused to bring it along: {told}")
    return Landed(merged.commit, checkout=f"{place.workspace} was brought along")


def _left_to_person(place: Place, run: Run, merged: Merged, where: str, why: str) -> Landed:
    """The run's branch holds what would have landed, for a person to bring in."""
    branch = run_branch(run.id)
    place.move(run_ref(run.id), merged.commit, None)
    place.move(f"refs/heads/{branch}", merged.commit, None)
    return Landed("", f"{why}: when it is clean, `git -C {shlex.quote(where)} merge --ff-only {branch}`")


def _finish_interrupted(place: Place) -> None:
    """A call that was killed while git wrote the main checkout: what differs there is git's half-done work."""
    journal = _journal(place)
    found = read_document(journal)
    if found is None:
        return
    target, old, new = (str(found[key]) for key in ("target", "old", "new"))
    head = place.main("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text
    there = place.value(target)
    if head == target and there in (old, new) and _only_half_done(place, old, new):
        with suppress(FileNotFoundError):
            os.unlink(f"{place.main.git_dir}/index.lock")  # the journal says that it was ours
        place.main("read-tree", "--reset", "-u", new)
        place.move(target, new, None if there == new else old)
    _forget(journal)


def _only_half_done(place: Place, old: str, new: str) -> bool:
    """Whether each path that would change is as it was before, as it will be, or the beginning of that."""
    differs = place.main("diff-index", "-z", "--name-only", "--no-renames", "--ignore-submodules=all", old, ok=(0,))
    changes = {change.path: change for change in changes_between(place.git, old, new)}
    others = place.main("ls-files", "-z", "--others", "--", *changes).fields if changes else []
    for path in {*differs.fields, *others}:
        if path not in changes or not _is_beginning(place, path, (old, new)):
            return False
    return True


def _is_beginning(place: Place, path: str, commits: tuple[str, ...]) -> bool:
    full = f"{place.workspace}/{path}"
    if not os.path.lexists(full):
        return True
    here = encoded(os.readlink(full)) if os.path.islink(full) else read_bytes(full)
    for commit in commits:
        answer = place.main.attempt("cat-file", "--filters", f"{commit}:{path}")
        if answer.code == 0 and answer.out.startswith(here):
            return True
    return False


def _holder(place: Place, target: str) -> str:
    """The checkout that is on the target; empty: none."""
    path = ""
    for line in place.git("worktree", "list", "--porcelain").lines:
        word, _, rest = line.partition(" ")
        if word == "worktree":
            path = rest
        elif word == "branch" and rest == target:
            return place.workspace if os.path.realpath(path) == os.path.realpath(place.workspace) else path
    return ""


def _is_ancestor(place: Place, older: str, newer: str) -> bool:
    return place.git.attempt("merge-base", "--is-ancestor", older, newer).code == 0


def _journal(place: Place) -> str:
    return f"{place.folder}/landing.json"


def _forget(journal: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(journal)
