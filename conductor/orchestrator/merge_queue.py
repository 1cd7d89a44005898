"""The serial merge queue of a project: onto the tip, check, advance. Only it makes a step done.

One thing at a time is on its way to a branch. What is killed here is found again: the branch itself tells by its
trailers which steps it has, and everything else is made anew from the kept work.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from conductor.domain.errors import RepositoryBroken
from conductor.domain.run import Run
from conductor.orchestrator.earlier import CHECK_SAYS, CONFLICT_SAYS
from conductor.orchestrator.rules import Rules, Tools
from conductor.ports.orchestration import CheckResult, Conflict, Merged

_TAIL_IN_PROMPT = 6000


@dataclass(frozen=True, slots=True)
class Passed:
    """It is in: the branch is at `commit`."""

    commit: str
    is_empty: bool = False
    """The branch had all of it before."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not: for a conflict, a red check or a repository that refuses."""

    why: str
    overlay: str = ""
    """The tree with conflict markers."""


Verdict = Passed | Refused


@dataclass(frozen=True, slots=True)
class MergeItem:
    """Something on its way in. `merge` makes the commit, `advance` moves the branch to it."""

    name: str
    """Unique in the project and fit for a file's name: the task's id."""
    run: Callable[[], Run]
    merge: Callable[[], Merged | Conflict]
    advance: Callable[[Merged], bool]
    done: Callable[[Verdict], None]


@dataclass(frozen=True, slots=True)
class _Checking:
    item: MergeItem
    merged: Merged
    command: str


class MergeQueue:
    """Nothing here waits: the loop does, for `fileno`."""

    def __init__(self, tools: Tools, rules: Callable[[], Rules]) -> None:
        self._tools = tools
        self._rules = rules
        self._items: deque[MergeItem] = deque()
        self._now: _Checking | None = None

    def add(self, item: MergeItem) -> None:
        self._items.append(item)

    def __len__(self) -> int:
        return len(self._items) + (self._now is not None)

    def holds(self, run_id: str) -> bool:
        """Whether anything of that run is on its way."""
        return any(item.run().id == run_id for item in (*self._items, *([self._now.item] if self._now else ())))

    def in_check(self) -> str:
        return self._now.item.name if self._now else ""

    def fileno(self) -> int:
        return self._tools.checks.fileno()

    def drop(self, run_id: str) -> None:
        """Takes out all of a run, ending its check. Nobody is told a verdict: none was reached."""
        self._items = deque(item for item in self._items if item.run().id != run_id)
        if self._now is not None and self._now.item.run().id == run_id:
            self._tools.checks.stop()
            self._now = None

    def stop(self) -> None:
        """The orchestrator ends: what was on its way is taken up again by the next one."""
        self._tools.checks.stop()

    def hear(self, now: float) -> None:
        """Whether the check is over, and what follows from it."""
        if self._now is not None:
            result = self._tools.checks.take(now)
            if result is not None:
                checking, self._now = self._now, None
                self._checked(checking, result)

    def go_on(self) -> bool:
        """Begins with the next one where nothing is on its way; whether there is more to do at once. One at a call:
        what became ready by it starts first."""
        if self._now is None and self._items:
            self._begin(self._items.popleft())
            return self._now is None
        return False

    def _begin(self, item: MergeItem) -> None:
        try:
            merged = item.merge()
            if isinstance(merged, Conflict):
                item.done(Refused(_conflict(merged), merged.tree))
                return
            folder = (
                self._tools.repository.checkout_for_check(item.run(), merged.commit) if self._tools.repository else ""
            )
            command = self._command(item.run(), folder)
            if not command or merged.is_empty:
                self._advance(item, merged)
                return
            logs = f"{self._tools.folder}/checks"
            os.makedirs(logs, mode=0o700, exist_ok=True)
            self._tools.checks.start(folder, command, f"{logs}/{item.name}.log", self._rules().check_timeout_seconds)
            self._now = _Checking(item, merged, command)
        except RepositoryBroken as error:
            item.done(Refused(f"it could not be merged: {error}"))

    def _command(self, run: Run, folder: str) -> str:
        """A plan's own check wins, unless a model wrote it: then what the project configures does."""
        first, second = (self._rules().check, run.check) if run.from_model else (run.check, self._rules().check)
        return first or second or self._tools.find_check(folder)

    def _checked(self, checking: _Checking, result: CheckResult) -> None:
        if not result.passed:
            tail = result.tail[-_TAIL_IN_PROMPT:]
            why = f"{CHECK_SAYS}{checking.command}` did not pass after the merge ({result.reason}):\n{tail}"
            checking.item.done(Refused(why))
            return
        try:
            self._advance(checking.item, checking.merged)
        except RepositoryBroken as error:
            checking.item.done(Refused(f"it could not be merged: {error}"))

    def _advance(self, item: MergeItem, merged: Merged) -> None:
        if merged.is_empty or item.advance(merged):
            item.done(Passed(merged.commit, merged.is_empty))
        else:
            self._items.appendleft(item)  # somebody moved the branch: onto the new tip, checked again


def _conflict(conflict: Conflict) -> str:
    return f"{CONFLICT_SAYS}{', '.join(conflict.paths)}:\n{conflict.told}"
