"""Bringing a run's branch onto its target: fast-forward, or replayed commit by commit; never forced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conductor.domain.errors import RepositoryBroken
from conductor.domain.run import Run
from conductor.ports.orchestration import Conflict, Merged
from conductor.projects.git import Git
from conductor.projects.merging import conflict_commit, merge_trees, merged_steps, tree_of
from conductor.projects.names import RUN, run_ref
from conductor.projects.place import Place

_FORMAT = "%H%x00%P%x00%T%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B%x01"


@dataclass(frozen=True, slots=True)
class _Commit:
    commit: str
    parent: str
    tree: str
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    message: str

    @property
    def variables(self) -> dict[str, str]:
        """Who and when are the first commit's: replaying it twice gives the same one."""
        words: dict[str, str] = {}
        for who, (name, email, date) in (("AUTHOR", self.author), ("COMMITTER", self.committer)):
            words |= {f"GIT_{who}_NAME": name, f"GIT_{who}_EMAIL": email, f"GIT_{who}_DATE": date}
        return words


def landing_commit(place: Place, run: Run) -> Merged | Conflict:
    """What the target should point at; `is_empty` where it has all of the run already."""
    target = place.value(f"refs/heads/{run.target}")
    if not target:
        raise RepositoryBroken(f"branch {run.target} of {place.workspace} is gone: make it again, then resume the run")
    tip = place.value(run_ref(run.id))
    if not tip:
        if merged_steps(place.git, run.id, run.base, target):
            return Merged(target, target, is_empty=True)
        raise RepositoryBroken(f"run {run.id} has no branch in {place.workspace} any more, and {run.target} lacks it")
    if _is_ancestor(place.git, tip, target):
        return Merged(target, target, is_empty=True)
    if _is_ancestor(place.git, target, tip):
        return Merged(tip, target)
    return _replayed(place.git, target, tip)


def _is_ancestor(git: Git, older: str, newer: str) -> bool:
    return git.attempt("merge-base", "--is-ancestor", older, newer).code == 0


def _replayed(git: Git, target: str, tip: str) -> Merged | Conflict:
    onto, onto_tree = target, tree_of(git, target)
    for commit in _commits(git, target, tip):
        # A commit on `parent` with the tree so far: git then takes `parent` for the common ancestor.
        ours = git("commit-tree", onto_tree, "-p", commit.parent, stdin=b"ours\n").text
        found = merge_trees(git, ours, commit.commit)
        if found.paths:
            subject = commit.message.partition("\n")[0]
            told = f"{subject!r} ({commit.commit[:12]}) does not fit onto what the target branch has now\n{found.told}"
            return Conflict(target, found.paths, told, conflict_commit(git, onto, found))
        if found.tree == onto_tree and not _is_seal(commit):
            continue
        written = git.saying(**commit.variables)("commit-tree", found.tree, "-p", onto, stdin=commit.message.encode())
        onto, onto_tree = written.text, found.tree
    if onto_tree == tree_of(git, target):
        return Merged(target, target, is_empty=True)
    return Merged(onto, target)


def _is_seal(commit: _Commit) -> bool:
    return commit.message.rstrip().rpartition("\n")[2].startswith(f"{RUN}: ")


def _commits(git: Git, target: str, tip: str) -> Iterator[_Commit]:
    """Those of the branch that the target lacks, oldest first."""
    span = ("--reverse", "--topo-order", "--date=raw", f"--format={_FORMAT}", tip, f"^{target}")
    for entry in git("log", *span).out.decode("utf-8", "replace").split("\x01")[:-1]:
        commit, parents, tree, *rest, message = entry.lstrip("\n").split("\0")
        author, committer = tuple(rest[:3]), tuple(rest[3:])
        if " " in parents or not parents:
            raise RepositoryBroken(f"{commit[:12]} on the run's branch is a merge, which conductor never makes there")
        yield _Commit(commit, parents, tree, _three(author), _three(committer), message)


def _three(words: tuple[str, ...]) -> tuple[str, str, str]:
    name, email, date = words
    return name, email, date
