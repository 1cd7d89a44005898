"""Running git: argument lists only, a scrubbed environment, a deadline, never in a repository that isn't meant."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from conductor.domain.errors import NoRoom, RepositoryBroken
from conductor.projects.locks import remove_if_stale

OLDEST_GIT = (2, 38)
DEADLINE_SECONDS = 300.0
LOCK_DEADLINE_SECONDS = 10.0
_LOCK_WAIT_SECONDS = 0.05
_KEPT_VARIABLES = frozenset(
    "GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_EXEC_PATH "
    "GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL".split()
)
"""What a person says about git on this machine; every other GIT_ variable would lead us to another repository."""
_ALWAYS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.sparseCheckout=false",
    "core.quotePath=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.fsync=committed,loose-object",
    "core.fsyncMethod=writeout-only",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.addEmbeddedRepo=false",
    "advice.detachedHead=false",
    "checkout.workers=0",
    "submodule.recurse=false",
    "diff.external=",
    "log.showSignature=false",
)
_LOCKED = re.compile(r"(?:Unable to create|cannot lock ref .*?) '([^'\n]+\.lock)': File exists", re.DOTALL)
_NO_ROOM = re.compile(r"^.*(?:No space left on device|Disk quota exceeded)$", re.MULTILINE)

Hook = Callable[[str, tuple[str, ...]], None]
"""Called with `before` or `after` and the arguments of each git command: tests die in it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a git command left behind."""

    code: int
    out: bytes
    told: str
    """Its standard error."""

    @property
    def text(self) -> str:
        return decoded(self.out).rstrip("\n")

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n") if self.text else []

    @property
    def fields(self) -> list[str]:
        """Of NUL-terminated output."""
        return [decoded(part) for part in self.out.split(b"\0")[:-1]]


def decoded(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def encoded(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Git:
    """Git on one repository. `git_dir` empty: only for what needs none, or to find one from `work_tree`."""

    environment: Mapping[str, str]
    git_dir: str = ""
    work_tree: str = ""
    index: str = ""
    """Another index file; empty: the repository's."""
    settings: tuple[str, ...] = ()
    """Further `name=value`, strongest last."""
    variables: tuple[tuple[str, str], ...] = ()
    deed: str = ""
    """A file that stands while a command of ours that takes locks runs; empty: none is written."""
    hook: Hook | None = field(default=None, compare=False)

    def on(self, work_tree: str, index: str = "", git_dir: str = "") -> Git:
        """The same repository with other files."""
        return replace(self, work_tree=work_tree, index=index, git_dir=git_dir or self.git_dir)

    def having(self, *settings: str) -> Git:
        return replace(self, settings=self.settings + settings)

    @property
    def durably(self) -> Git:
        """What it writes is on disk when it returns, and so is what was written out before."""
        return self.having("core.fsync=committed,loose-object,reference", "core.fsyncMethod=fsync")

    def saying(self, **variables: str) -> Git:
        return replace(self, variables=self.variables + tuple(variables.items()))

    def __call__(self, *arguments: str, stdin: bytes = b"", ok: tuple[int, ...] = (0,)) -> Answer:
        """Raises RepositoryBroken where it ends otherwise than `ok`, or takes longer than it may."""
        answer = self.attempt(*arguments, stdin=stdin)
        if answer.code not in ok:
            raise RepositoryBroken(_refusal(self, arguments, answer))
        return answer

    def attempt(self, *arguments: str, stdin: bytes = b"") -> Answer:
        """Whatever its exit code. A lock that a dead git of ours left goes; another's is waited for. Raises NoRoom."""
        deadline = time.monotonic() + LOCK_DEADLINE_SECONDS
        while True:
            answer = self._once(arguments, stdin)
            if answer.code and (full := _NO_ROOM.search(answer.told)):
                raise NoRoom(self._where, full[0].strip())
            found = _LOCKED.search(answer.told) if answer.code else None
            if found is None or time.monotonic() > deadline:
                return answer
            if not remove_if_stale(found[1], self.deed):
                time.sleep(_LOCK_WAIT_SECONDS)

    def _once(self, arguments: tuple[str, ...], stdin: bytes) -> Answer:
        if self.hook is not None:
            self.hook("before", arguments)
        command = ["git", *_as_options((*_ALWAYS, *self.settings)), *arguments]
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                cwd=self.work_tree or self.git_dir or "/",
                env=self._variables(),
                timeout=DEADLINE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RepositoryBroken(
                f"git {arguments[0]} in {self._where} took longer than {DEADLINE_SECONDS:.0f} s and was ended"
            ) from None
        except FileNotFoundError:
            raise RepositoryBroken(self._why_not_found()) from None
        if self.hook is not None:
            self.hook("after", arguments)
        return Answer(done.returncode, done.stdout, decoded(done.stderr))

    @property
    def _where(self) -> str:
        return self.work_tree or self.git_dir

    def _why_not_found(self) -> str:
        if self._where and not os.path.isdir(self._where):
            return f"{self._where} is gone: put it back, or `conductor project` tells how to give it up"
        return "there is no git on the PATH: install git 2.38 or newer"

    def _variables(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in self.environment.items()
            if not name.startswith("GIT_") or name in _KEPT_VARIABLES
        }
        kept |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
        kept |= {"GIT_LITERAL_PATHSPECS": "1"}
        if self.git_dir:
            kept["GIT_DIR"] = self.git_dir
            if self.work_tree:
                kept["GIT_WORK_TREE"] = self.work_tree
        elif self.work_tree:
            kept["GIT_CEILING_DIRECTORIES"] = os.path.dirname(self.work_tree)
        if self.index:
            kept["GIT_INDEX_FILE"] = self.index
        return kept | dict(self.variables)


def _as_options(settings: tuple[str, ...]) -> list[str]:
    return [word for setting in settings for word in ("-c", setting)]


def _refusal(git: Git, arguments: tuple[str, ...], answer: Answer) -> str:
    where = git.work_tree or git.git_dir
    told = answer.told.strip() or decoded(answer.out).strip() or f"exit code {answer.code}"
    deed = " ".join(arguments[:2])
    lock = _LOCKED.search(answer.told)
    if lock:
        return f"git {deed} in {where}: {lock[1]} is held by another git; when none runs there, remove that file"
    return f"git {deed} in {where} refused: {told[:2000]}"


def check_version(git: Git) -> None:
    """Raises RepositoryBroken where git is too old to merge without touching files."""
    told = git("version").text
    found = re.search(r"(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise RepositoryBroken(f"{told or 'this git'} is too old: conductor merges with git 2.38 or newer, install one")
