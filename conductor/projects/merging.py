"""Bringing work onto a tip: one commit a step, made in the object store alone, in a linear history."""

from __future__ import annotations

from dataclasses import dataclass

from conductor.domain.errors import RepositoryBroken
from conductor.ports.orchestration import Conflict, Merged
from conductor.projects.git import Git, decoded
from conductor.projects.names import RUN, STEP, WORK, checked_commit, checked_run

_MOST_TOLD = 8000


@dataclass(frozen=True, slots=True)
class MergedTree:
    """What git makes of two sides."""

    tree: str
    paths: tuple[str, ...] = ()
    """In conflict; none: it is clean."""
    told: str = ""


def merge_trees(git: Git, ours: str, theirs: str) -> MergedTree:
    """Two commits, their common ancestor found by git."""
    answer = git.attempt("merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs)
    if answer.code not in (0, 1):
        raise RepositoryBroken(f"git can't merge {theirs[:12]} onto {ours[:12]}: {answer.told.strip()}")
    parts = decoded(answer.out).split("\0")
    tree, rest = parts[0], parts[1:]
    if answer.code == 0:
        return MergedTree(tree)
    end = rest.index("")
    return MergedTree(tree, tuple(dict.fromkeys(rest[:end])), "".join(_messages(rest[end + 1 :]))[:_MOST_TOLD])


def _messages(parts: list[str]) -> list[str]:
    """Each is a number of paths, those paths, a kind and a text."""
    told, at = [], 0
    while at < len(parts) and parts[at].strip().isdigit():
        at += 1 + int(parts[at])
        kind, text = parts[at], parts[at + 1]
        if not kind.startswith("Auto-merging"):
            told.append(text if text.endswith("\n") else f"{text}\n")
        at += 2
    return told


def merge_work(
    git: Git, tip_and_tree: tuple[str, str], work: str, message: str, trailers: dict[str, str]
) -> Merged | Conflict:
    """The commit that squashes the work onto the tip, with its trailers; nothing to bring: the tip itself."""
    tip, tree = tip_and_tree
    found = merge_trees(git, tip, checked_commit(work))
    if found.paths:
        return Conflict(tip, found.paths, found.told, conflict_commit(git, tip, found))
    if found.tree == tree:
        return Merged(tip, tip, is_empty=True)
    text = with_trailers(message, {**trailers, WORK: work})
    return Merged(git("commit-tree", found.tree, "-p", tip, stdin=text.encode()).text, tip)


def seal_commit(git: Git, run_id: str, base: str, tip: str, message: str) -> str:
    """A commit on the tip that changes nothing and says that the run is whole; the tip itself where one is there: at
    its end, or further down where the run had landed and others landed after it."""
    told = git("log", f"--format=%(trailers:key={RUN},valueonly)", tip, *([f"^{base}"] if base else [])).lines
    if checked_run(run_id) in told:
        return tip
    text = with_trailers(message, {RUN: run_id})
    return git("commit-tree", f"{tip}^{{tree}}", "-p", tip, stdin=text.encode()).text


def tree_of(git: Git, commit: str) -> str:
    return git("rev-parse", f"{commit}^{{tree}}").text


def conflict_commit(git: Git, tip: str, found: MergedTree) -> str:
    """A commit and not a tree alone, so that what comes after `tip` can be merged with it later."""
    return git("commit-tree", found.tree, "-p", tip, stdin=b"Both sides of a conflict\n").text


def with_trailers(message: str, trailers: dict[str, str]) -> str:
    """Ours are the last paragraph, so nothing that a model wrote above counts as one."""
    clean = "".join(letter for letter in message if letter in "\n\t" or letter.isprintable()).strip()
    last = "\n".join(f"{key}: {' '.join(value.split())}" for key, value in trailers.items() if value)
    return f"{clean or 'chore: step without a message'}\n\n{last}\n"


def merged_steps(git: Git, run_id: str, base: str, tip: str) -> dict[str, str]:
    """Step id to commit, as the trailers between the two tell; what others committed there does not count."""
    span = [tip, f"^{base}"] if base else [tip]
    told = git("log", "--format=%H%x00%(trailers:key=" + STEP + ",valueonly,separator=%x1f)", *span).lines
    found = {}
    for line in reversed(told):
        commit, _, values = line.partition("\0")
        for value in values.split("\x1f"):
            owner, _, step = value.partition("/")
            if owner == run_id and step:
                found[step] = commit
    return found


def merged_works(git: Git, base: str, tip: str) -> frozenset[str]:
    """The work commits that the trailers between the two name."""
    span = [tip, f"^{base}"] if base else [tip]
    told = git("log", "--format=%(trailers:key=" + WORK + ",valueonly,separator=%x0a)", *span).lines
    return frozenset(line.strip() for line in told if line.strip())


def is_merged(git: Git, work: str, base: str, tip: str) -> bool:
    """Whether the branch has the work: by its trailer, or because merging it would change nothing (squashed, rebased,
    or done by somebody else as well)."""
    if work in merged_works(git, base, tip):
        return True
    found = git.attempt("merge-tree", "--write-tree", "-z", "--name-only", tip, work)
    return found.code == 0 and found.fields[0] == tree_of(git, tip)
