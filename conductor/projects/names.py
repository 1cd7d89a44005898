"""What conductor's branches, refs and folders are called in a repository.

refs/heads/conductor/<run>                     the run's branch, for people
refs/conductor/run/<run>                       its tip as conductor made it: the truth, where the branch was touched
refs/heads/conductor-step/<run>/<step>-<n>     what round n of a step works on (another root than `conductor/<run>`,
                                               which is a branch: a ref can't be a folder of refs too)
refs/conductor/work/<run>/<step>-<n>           what was in that round's worktree
refs/conductor/also/<run>/<step>-<n>/<sha>     commits that its agent left elsewhere
<folder>/worktrees/<run>.<step>-<n>            the worktree; its side folder is <folder>/side/<the same>
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from conductor.domain.errors import UsageError
from conductor.domain.plan import STEP_ID

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ROUND = re.compile(r"(.+)-([1-9][0-9]{0,5})", re.DOTALL)

RUN_BRANCHES, STEP_BRANCHES = "refs/heads/conductor/", "refs/heads/conductor-step/"
RUNS, WORKS, ALSO = "refs/conductor/run/", "refs/conductor/work/", "refs/conductor/also/"
OURS = (RUN_BRANCHES, STEP_BRANCHES, "refs/conductor/")

STEP, TASK, WORK = "Conductor-Step", "Conductor-Task", "Conductor-Work"
"""Trailers of the commit that brings a step into its run's branch."""
RUN = "Conductor-Run"
"""Trailer of a run's last commit."""


@dataclass(frozen=True, slots=True)
class RoundName:
    """One round of one step of one run. Raises UsageError where a part could lead anywhere else."""

    run_id: str
    step_id: str
    number: int

    def __post_init__(self) -> None:
        checked_run(self.run_id)
        if not STEP_ID.fullmatch(self.step_id) or not 0 < self.number < 1_000_000:
            raise UsageError(f"round {self.number!r} of step {self.step_id!r} can't be the name of a branch")

    @property
    def _last(self) -> str:
        return f"{self.step_id}-{self.number}"

    @property
    def folder(self) -> str:
        return f"{self.run_id}.{self._last}"

    @property
    def branch(self) -> str:
        return f"conductor-step/{self.run_id}/{self._last}"

    @property
    def branch_ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def work_ref(self) -> str:
        return f"{WORKS}{self.run_id}/{self._last}"

    @property
    def also(self) -> str:
        return f"{ALSO}{self.run_id}/{self._last}/"

    @property
    def step(self) -> str:
        """As the trailer tells it."""
        return f"{self.run_id}/{self.step_id}"


def checked_run(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"run id {run_id!r} can't be the name of a branch")
    return run_id


def run_branch(run_id: str) -> str:
    return f"conductor/{checked_run(run_id)}"


def run_ref(run_id: str) -> str:
    return f"{RUNS}{checked_run(run_id)}"


def round_of_folder(name: str) -> RoundName | None:
    """The round that a folder of ours is named for."""
    run_id, dot, rest = name.partition(".")
    return _round(run_id, rest) if dot else None


def round_of_ref(ref: str, root: str) -> RoundName | None:
    """The round that a ref below `root` is named for."""
    if not ref.startswith(root):
        return None
    run_id, _, rest = ref.removeprefix(root).partition("/")
    return _round(run_id, rest.partition("/")[0])


def _round(run_id: str, rest: str) -> RoundName | None:
    match = _ROUND.fullmatch(rest)
    try:
        return RoundName(run_id, match[1], int(match[2])) if match else None
    except UsageError:
        return None


def checked_commit(commit: str) -> str:
    """Raises UsageError where it is no full object name: it could be an option, or a path."""
    if not _COMMIT.fullmatch(commit):
        raise UsageError(f"{commit!r} is no commit")
    return commit


def is_ours(ref: str) -> bool:
    return ref.startswith(OURS)
