"""Where one project's repository is, and what of it and beside it is ours."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from conductor.domain.errors import RepositoryBroken
from conductor.kit.durable import replace_file
from conductor.kit.filesystem import remove_tree
from conductor.kit.process import own_identity
from conductor.projects.background import Background
from conductor.projects.git import Git
from conductor.projects.names import RoundName

_ZERO = "0" * 40
_SWEEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """One repository, and the folder in which conductor keeps worktrees of it."""

    name: str
    workspace: str
    """The main checkout."""
    folder: str
    git: Git
    """On the repository, without files."""
    main: Git
    """On the main checkout."""
    inodes: tuple[int, int]
    """Of the workspace and of the git directory: another number is another folder."""
    background: Background = field(default_factory=Background, compare=False)
    memory: dict[str, tuple[object, str]] = field(default_factory=dict, compare=False)
    """What was read of a file, with the stamp that the file had."""
    tips: dict[str, str] = field(default_factory=dict, compare=False)
    """Where each run's branch is, as this process left it: only one at a time moves them."""

    @property
    def common(self) -> str:
        return self.git.git_dir

    def worktree(self, name: RoundName) -> str:
        return f"{self.folder}/worktrees/{name.folder}"

    def side(self, name: RoundName) -> str:
        return f"{self.folder}/side/{name.folder}"

    @property
    def check(self) -> str:
        return f"{self.folder}/check"

    def make_folders(self) -> None:
        """Raises RepositoryBroken where one of ours was replaced by a link."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        for path in (self.folder, *(f"{self.folder}/{name}" for name in ("worktrees", "side", "trash", "spares"))):
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
            require_folder(path)

    def admin_of(self, path: str) -> str:
        """Git's own folder for the worktree at `path`; empty: it knows none."""
        root = f"{self.common}/worktrees"
        likely = os.path.basename(path)
        names = os.listdir(root) if os.path.isdir(root) else []
        for name in sorted(names, key=lambda name: name != likely):
            with suppress(OSError):
                with open(f"{root}/{name}/gitdir", encoding="utf-8", errors="surrogateescape") as file:
                    if file.read().rstrip("\n") == f"{path}/.git":
                        return f"{root}/{name}"
        return ""

    @contextmanager
    def deed(self) -> Iterator[None]:
        """Stands as a file while something runs that takes locks: whoever finds it knows whose the locks are."""
        identity = own_identity()
        with open(self.git.deed, "w", encoding="ascii") as file:
            file.write(f"{identity.pid} {identity.start_ticks} {identity.boot}\n")
        yield
        with suppress(FileNotFoundError):
            os.unlink(self.git.deed)

    def value(self, ref: str) -> str:
        """The commit of a ref; empty: there is none."""
        return self.git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1)).text

    def values(self, *refs: str) -> dict[str, str]:
        told = self.git("for-each-ref", "--format=%(refname) %(objectname)", *refs).lines
        return {ref: value for ref, _, value in (line.partition(" ") for line in told)}

    def move(self, ref: str, new: str, old: str | None) -> bool:
        """Sets a ref from `old` (empty: it must not exist, None: whatever it is); False where it is elsewhere."""
        if old is not None and new == old:
            return self.value(ref) == new
        expected = [] if old is None else [old or _ZERO]
        with self.deed():
            answer = self.git.attempt("update-ref", ref, new, *expected)
        if answer.code == 0:
            return True
        if self.value(ref) == new:
            return True
        if old is not None and self.value(ref) != old:
            return False
        raise RepositoryBroken(f"git can't set {ref} in {self.common}: {answer.told.strip()}")

    def drop(self, *refs: str) -> None:
        """Refs go; those that are not there are gone already."""
        there = list(self.values(*refs))
        if there:
            with self.deed():
                self.git("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in there).encode())

    def throw_away(self, path: str) -> None:
        """A folder of ours goes in one moment; what it held is removed after that."""
        if os.path.lexists(path):
            os.rename(path, f"{self.folder}/trash/{os.path.basename(path)}.{os.urandom(6).hex()}")
        self.sweep()

    def sweep(self) -> None:
        """What was thrown away is being removed, in the background."""
        for path in self._thrown_away():
            self.background.start(path, ["rm", "-rf", "--", path], {"PATH": self.git.environment.get("PATH", "")})

    def sweep_now(self) -> None:
        """What was thrown away is gone when this returns, folders that an agent closed too; what takes too long goes
        the next time."""
        self.sweep()
        deadline = time.monotonic() + _SWEEP_SECONDS
        for path in self._thrown_away():
            if self.background.wait(path, deadline - time.monotonic()):
                remove_tree(path)

    def _thrown_away(self) -> list[str]:
        trash = f"{self.folder}/trash"
        return [f"{trash}/{name}" for name in os.listdir(trash)] if os.path.isdir(trash) else []

    def forget_worktree(self, path: str) -> None:
        """Git's own folder for a worktree goes, whatever locks are in it."""
        admin = self.admin_of(path)
        if admin:
            remove_tree(admin)


def require_folder(path: str) -> None:
    if os.path.islink(path) or not os.path.isdir(path):
        raise RepositoryBroken(f"{path} is no folder any more: move away what stands there")


def find_place(name: str, workspace: str, folder: str, git: Git) -> Place:
    """Raises RepositoryBroken where `workspace` is not the top of a repository with files."""
    if not os.path.isdir(workspace):
        raise RepositoryBroken(f"the folder of project {name}, {workspace}, is gone: put it back")
    told = git.on(workspace).attempt(
        "rev-parse", "--is-bare-repository", "--path-format=absolute", "--git-common-dir", "--git-dir"
    )
    if told.code:
        raise RepositoryBroken(f"{workspace} is no git repository: `git init` there first ({told.told.strip()})")
    bare, common, own = told.lines
    if bare == "true":
        raise RepositoryBroken(f"{workspace} is a bare repository: conductor needs one with a main checkout")
    top = git.on(workspace)("rev-parse", "--show-toplevel").text
    if not os.path.samefile(top, workspace):
        raise RepositoryBroken(f"{workspace} is inside of the repository {top}: name that folder instead")
    found = Git(git.environment, common, deed=f"{folder}/deed", hook=git.hook)
    return Place(name, workspace, folder, found, found.on(workspace, git_dir=own), inodes_of(workspace, common))


def inodes_of(workspace: str, common: str) -> tuple[int, int]:
    try:
        return os.stat(workspace).st_ino, os.stat(common).st_ino
    except OSError as error:
        raise RepositoryBroken(
            f"{error.filename} was moved or deleted: put it back, what was done is kept in its git refs"
        ) from None


def read_document(path: str) -> dict[str, Any] | None:
    """A small JSON file of ours; None: there is none that can be read."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_document(path: str, document: dict[str, Any]) -> None:
    """On disk when it returns."""
    replace_file(path, json.dumps(document).encode(), synced=True)
