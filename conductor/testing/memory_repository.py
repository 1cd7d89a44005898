"""A Repository without git, for tests of what stands on one: commits in memory, worktrees as plain folders.

It merges whole files: two different changes of one path are a conflict wherever in it they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch

from conductor.domain.errors import RepositoryBroken
from conductor.domain.plan import Step
from conductor.domain.run import Delegation, Run
from conductor.kit.filesystem import remove_tree
from conductor.ports.orchestration import Conflict, Difference, Landed, Merged, Taken, Worktree

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class _Commit:
    parent: str
    files: Files
    message: str
    trailers: Mapping[str, str] = field(default_factory=dict)


class MemoryRepository:
    """`folder` is its own; worktrees and the check folder are made there. `held` is what the next takes will tell."""

    def __init__(self, folder: str, files: Files | None = None, *, target: str = "main") -> None:
        self._folder, self._target = folder, target
        self._commits: dict[str, _Commit] = {}
        self._bases: dict[str, str] = {}
        self.refs: dict[str, str] = {}
        self.held: tuple[str, ...] = ()
        self.commit_to_target(files or {})

    # -- what tests ask and do

    def commit_to_target(self, files: Files) -> str:
        """Somebody else's commit on the target branch."""
        old = self.refs.get(self._target, "")
        before = self._commits[old].files if old else {}
        self.refs[self._target] = self._add(_Commit(old, {**before, **files}, "somebody else's"))
        return self.refs[self._target]

    def files(self, ref: str) -> dict[str, bytes]:
        """What a branch, ref or commit holds."""
        return dict(self._commits[self.refs.get(ref, ref)].files)

    def history(self, ref: str) -> list[str]:
        """The first lines of its messages, newest first."""
        told, commit = [], self.refs.get(ref, ref)
        while commit:
            told.append(self._commits[commit].message.split("\n")[0])
            commit = self._commits[commit].parent
        return told

    # -- the port

    def open_run(self, run: Run) -> Run:
        branch = f"conductor/{run.id}"
        base = run.base or self.refs.get(branch) or self.refs[self._target]
        self.refs.setdefault(branch, base)
        return replace(run, branch=branch, base=base, target=run.target or self._target)

    def tip(self, run: Run) -> str:
        try:
            return self.refs[f"conductor/{run.id}"]
        except KeyError:
            raise RepositoryBroken(f"run {run.id} has no branch (any more)") from None

    def merged_steps(self, run: Run) -> dict[str, str]:
        tip = self.refs.get(f"conductor/{run.id}") or self.refs[self._target]
        found = {}
        for commit in reversed(self._since(run.base, tip)):
            owner, _, step = self._commits[commit].trailers.get("Conductor-Step", "").partition("/")
            if owner == run.id:
                found[step] = commit
        return found

    def standing(self, run: Run) -> frozenset[str]:
        root = f"{self._folder}/worktrees"
        names = os.listdir(root) if os.path.isdir(root) else []
        return frozenset(f"{root}/{name}" for name in names if name.startswith(f"{run.id}."))

    def prepare(self, run: Run, wanted: int) -> None:
        """Nothing here takes time."""

    def cut(self, run: Run, step: Step, round_number: int, onto: str = "") -> Worktree:
        name = f"{run.id}.{step.id}-{round_number}"
        path = f"{self._folder}/worktrees/{name}"
        if not os.path.isdir(path):
            tip = self._bases[name] = self.tip(run)
            files = self._commits[tip].files
            if onto:
                wanted = self._commits[onto]
                files = _merge(self._commits[wanted.parent].files, files, wanted.files)[0]
            _write(path, files)
        branch = f"conductor-step/{run.id}/{step.id}-{round_number}"
        return Worktree(path, branch, self._bases[name], (("CONDUCTOR_PORT_OFFSET", "10"),))

    def take(self, run: Run, step: Step, delegation: Delegation) -> Taken:
        name = f"{run.id}.{delegation.step_id}-{delegation.round}"
        path, ref = f"{self._folder}/worktrees/{name}", f"work/{name}"
        if os.path.isdir(path):
            self.refs[ref] = self._add(_Commit(self._bases[name], _read(path), f"Work of {delegation.task_id}"))
        if ref not in self.refs:
            raise RepositoryBroken(f"the worktree {path} is gone, and nothing was taken from it")
        work = self._commits[self.refs[ref]]
        before = self._commits[work.parent].files
        paths = sorted(path for path in {*before, *work.files} if before.get(path) != work.files.get(path))
        faults = [
            f"{path!r} holds conflict markers: solve the conflict there"
            for path in paths
            if b"<<<<<<< " in work.files.get(path, b"")
        ]
        faults += [f"{path!r} is outside of what this step may touch" for path in paths if _is_foreign(step, path)]
        return Taken(self.refs[ref], work.parent, tuple(paths), tuple(faults), self.held)

    def merge(self, run: Run, delegation: Delegation, work: Taken, message: str) -> Merged | Conflict:
        tip = self.tip(run)
        ours, theirs = self._commits[tip].files, self._commits[work.work].files
        files, paths = _merge(self._commits[work.base].files, ours, theirs)
        if paths:
            told = "".join(f"CONFLICT (content): Merge conflict in {path}\n" for path in paths)
            return Conflict(tip, paths, told, self._add(_Commit(tip, files, "Both sides of a conflict")))
        if files == ours:
            return Merged(tip, tip, is_empty=True)
        trailers = {
            "Conductor-Step": f"{run.id}/{delegation.step_id}",
            "Conductor-Task": delegation.task_id,
            "Conductor-Work": work.work,
        }
        return Merged(self._add(_Commit(tip, files, message, trailers)), tip)

    def checkout_for_check(self, run: Run, commit: str) -> str:
        folder = f"{self._folder}/check"
        remove_tree(folder)
        _write(folder, self._commits[commit].files)
        return folder

    def advance(self, run: Run, merged: Merged) -> bool:
        if self.tip(run) not in (merged.tip, merged.commit):
            return False
        self.refs[f"conductor/{run.id}"] = merged.commit
        return True

    def release(self, run: Run, delegation: Delegation) -> None:
        name = f"{run.id}.{delegation.step_id}-{delegation.round}"
        if os.path.isdir(f"{self._folder}/worktrees/{name}"):
            self.take(run, Step(delegation.step_id, "", ""), delegation)
            remove_tree(f"{self._folder}/worktrees/{name}")
        if self._is_merged(run, f"work/{name}"):
            self.refs.pop(f"work/{name}", None)

    def seal(self, run: Run, message: str) -> str:
        tip = self._commits[self.tip(run)]
        if tip.trailers.get("Conductor-Run") != run.id:
            sealed = _Commit(self.tip(run), tip.files, message, {"Conductor-Run": run.id})
            self.refs[f"conductor/{run.id}"] = self._add(sealed)
        return self.tip(run)

    def difference(self, run: Run, most_bytes: int) -> Difference:
        before, after = self.files(run.base), self.files(run.branch)
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        return Difference(
            "".join(f" {path}\n" for path in changed), "".join(f"+++ b/{p}\n" for p in changed)[:most_bytes]
        )

    def land(self, run: Run) -> Merged | Conflict:
        target = self.refs[run.target]
        branch = self.refs.get(f"conductor/{run.id}")
        if branch is None or branch in self._since("", target):
            return Merged(target, target, is_empty=True)
        onto = target
        for commit in reversed(self._since(run.base, branch)):
            one = self._commits[commit]
            if one.parent == onto:
                onto = commit
                continue
            files, paths = _merge(self._commits[one.parent].files, self._commits[onto].files, one.files)
            if paths:
                told = f"{one.message!r} does not fit onto {run.target}\n"
                return Conflict(target, paths, told, self._add(_Commit(onto, files, "Both sides of a conflict")))
            onto = self._add(replace(one, parent=onto, files=files))
        return Merged(onto, target)

    def finish_landing(self, run: Run, merged: Merged) -> Landed:
        if self.refs[run.target] not in (merged.tip, merged.commit):
            return Landed("", f"{run.target} was moved by somebody meanwhile")
        self.refs[run.target] = merged.commit
        self.refs.pop(f"conductor/{run.id}", None)
        return Landed(merged.commit, checkout="brought along")

    def close_run(self, run: Run, *, keep_branch: bool) -> None:
        remove_tree(f"{self._folder}/check")
        branch = self.refs.get(f"conductor/{run.id}")
        if branch is not None and not keep_branch and branch in self._since("", self.refs[run.target]):
            del self.refs[f"conductor/{run.id}"]

    # -- commits

    def _add(self, commit: _Commit) -> str:
        whole = repr((commit.parent, sorted(commit.files.items()), commit.message, sorted(commit.trailers.items())))
        name = hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest()
        self._commits[name] = commit
        return name

    def _since(self, base: str, tip: str) -> list[str]:
        """Newest first, without the base."""
        found = []
        while tip and tip != base:
            found.append(tip)
            tip = self._commits[tip].parent
        return found

    def _is_merged(self, run: Run, ref: str) -> bool:
        work = self.refs.get(ref, "")
        tip = self.refs.get(f"conductor/{run.id}") or self.refs[run.target or self._target]
        merged = {self._commits[commit].trailers.get("Conductor-Work") for commit in self._since(run.base, tip)}
        return work in merged or (bool(work) and self._commits[work].files == self._commits[run.base].files)


def _merge(base: Files, ours: Files, theirs: Files) -> tuple[dict[str, bytes], tuple[str, ...]]:
    merged, conflicts = dict(ours), []
    for path in sorted({*base, *theirs}):
        before, mine, other = base.get(path), ours.get(path), theirs.get(path)
        if other in (before, mine):
            continue
        if mine == before:
            merged.pop(path, None)
            merged |= {path: other} if other is not None else {}
        else:
            conflicts.append(path)
            merged[path] = b"<<<<<<< \n" + (mine or b"") + b"=======\n" + (other or b"") + b">>>>>>> \n"
    return merged, tuple(conflicts)


def _is_foreign(step: Step, path: str) -> bool:
    return bool(step.files) and not any(fnmatch(path, glob) for glob in step.files)


def _write(folder: str, files: Files) -> None:
    os.makedirs(folder, exist_ok=True)
    for path, content in files.items():
        os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
        with open(f"{folder}/{path}", "wb") as file:
            file.write(content)


def _read(folder: str) -> dict[str, bytes]:
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(f"{path}/{name}", "rb") as file:
                found[os.path.relpath(f"{path}/{name}", folder)] = file.read()
    return found
