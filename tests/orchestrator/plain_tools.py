"""What an orchestrator works with, plain and in memory: repository, checks, router, publishers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from conductor.domain.plan import Step
from conductor.domain.run import Delegation, Run
from conductor.ports.orchestration import (
    Candidate,
    CheckResult,
    Choice,
    Conflict,
    Difference,
    Landed,
    Merged,
    Publication,
    Published,
    Taken,
    Worktree,
)


@dataclass
class PlainRepository:
    """What a repository does, without git: commits are numbers, work is what the script says."""

    branches: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Run id to (step id, task id) in the order of the merges."""
    target: list[str] = field(default_factory=list)
    worktrees: set[str] = field(default_factory=set)
    work: set[str] = field(default_factory=set)
    paths: Callable[[str], tuple[str, ...]] = lambda task_id: (f"{task_id}.txt",)
    faults: Callable[[str], tuple[str, ...]] = lambda task_id: ()
    held: Callable[[str], tuple[str, ...]] = lambda task_id: ()
    conflicts: Callable[[str, list[str]], bool] = lambda task_id, merged: False
    checking: str = ""
    overtaken: int = 0
    """How often somebody moves the target before a run lands."""

    def open_run(self, run: Run) -> Run:
        self.branches.setdefault(run.id, [])
        return replace(run, branch=f"conductor/{run.id}", base="base", target="main")

    def tip(self, run: Run) -> str:
        return str(len(self.branches[run.id]))

    def merged_steps(self, run: Run) -> dict[str, str]:
        return {step: str(number) for number, (step, _) in enumerate(self.branches.get(run.id, ()), start=1)}

    def cut(self, run: Run, step: Step, round_number: int, onto: str = "") -> Worktree:
        path = f"/{run.id}/{step.id}-{round_number}"
        self.worktrees.add(path)
        return Worktree(path, f"step/{path}", self.tip(run))

    def take(self, run: Run, step: Step, delegation: Delegation) -> Taken:
        task = delegation.task_id
        self.work.add(task)
        return Taken(task, delegation.base, self.paths(task), self.faults(task), self.held(task))

    def merge(self, run: Run, delegation: Delegation, work: Taken, message: str) -> Merged | Conflict:
        merged = [task for _, task in self.branches[run.id]]
        if work.work in merged:
            return Merged(self.tip(run), self.tip(run), is_empty=True)
        if self.conflicts(work.work, merged):
            return Conflict(self.tip(run), work.paths, "both changed it", "tree")
        return Merged(f"{delegation.step_id}|{work.work}", self.tip(run))

    def checkout_for_check(self, run: Run, commit: str) -> str:
        self.checking = commit
        return "/check"

    def advance(self, run: Run, merged: Merged) -> bool:
        if self.tip(run) != merged.tip:
            return False
        step, _, task = merged.commit.partition("|")
        self.branches[run.id].append((step, task))
        return True

    def prepare(self, run: Run, wanted: int) -> None: ...

    def standing(self, run: Run) -> frozenset[str]:
        return frozenset(path for path in self.worktrees if path.startswith(f"/{run.id}/"))

    def release(self, run: Run, delegation: Delegation) -> None:
        self.worktrees.discard(delegation.worktree)
        if delegation.task_id in [task for _, task in self.branches[run.id]]:
            self.work.discard(delegation.task_id)

    def seal(self, run: Run, message: str) -> str:
        return self.tip(run)

    def difference(self, run: Run, most_bytes: int) -> Difference:
        return Difference("1 file", "+a line")

    def land(self, run: Run) -> Merged | Conflict:
        return Merged(f"land|{run.id}", "target", is_empty=run.id in self.target)

    def finish_landing(self, run: Run, merged: Merged) -> Landed:
        if self.overtaken:
            self.overtaken -= 1
            return Landed("", "main was moved", is_overtaken=True)
        if run.id not in self.target:
            self.target.append(run.id)
        return Landed("landed")

    def close_run(self, run: Run, *, keep_branch: bool) -> None:
        pass


class PlainChecks:
    """A check is over at the second look; `passes` says how, by the commit."""

    def __init__(self, repository: PlainRepository, passes: Callable[[str], bool]) -> None:
        self._repository = repository
        self._passes = passes
        self._looks: int | None = None
        self.lasts = False
        """Whether a check goes on and on."""
        self.ran = 0

    def start(self, folder: str, command: str, log_path: str, timeout_seconds: float) -> None:
        assert self._looks is None, "one check at a time"
        self._looks = 0
        self.ran += 1

    def fileno(self) -> int:
        return -1

    def take(self, now: float) -> CheckResult | None:
        if self._looks is None or self._looks < 1 or self.lasts:
            self._looks = 1 if self._looks == 0 else self._looks
            return None
        self._looks = None
        passed = self._passes(self._repository.checking)
        return CheckResult(passed, "" if passed else "exit code 1", "1 test failed", 0.1)

    def stop(self) -> None:
        self._looks = None


class PlainRouter:
    """Steps that name an agent have it; all others may be done by `first` and `second`."""

    def __init__(self) -> None:
        self.learned: list[tuple[str, str, bool]] = []

    def choose(self, step: Step) -> Choice:
        if step.agent:
            return Choice((Candidate(step.agent, step.model),))
        return Choice((Candidate("first", "a"), Candidate("second", "b")))

    def learn(self, step: Step, candidate: Candidate, *, succeeded: bool, seconds: float, tokens: int) -> None:
        self.learned.append((step.id, candidate.agent, succeeded))


class NoPublisher:
    def is_busy(self) -> bool:
        return False

    def start(self, what: Publication, folder: str) -> None:
        raise AssertionError("nothing is to be published")

    def fileno(self) -> int:
        return -1

    def take(self) -> Published | None:
        return None

    def stop(self) -> None: ...


class SlowPublisher:
    """Publishes one after the other, each for as many looks as `looks` says."""

    def __init__(self, looks: int) -> None:
        self.published: list[str] = []
        self._looks = looks
        self._left = 0
        self._branch = ""

    def is_busy(self) -> bool:
        return bool(self._branch)

    def start(self, what: Publication, folder: str) -> None:
        assert not self._branch, "one publication at a time"
        self._branch, self._left = what.branch, self._looks

    def fileno(self) -> int:
        return -1

    def take(self) -> Published | None:
        self._left -= 1
        if not self._branch or self._left > 0:
            return None
        self.published.append(self._branch)
        self._branch = ""
        return Published(True, f"https://example.com/{self.published[-1]}/pull/1")

    def stop(self) -> None:
        self._branch = ""


class NoMirror:
    def note(self, activity: Any) -> None: ...

    def show(self, run: Run, steps: Any, rounds: Any, paths: Any) -> None: ...

    def finish(self, run: Run, steps: Any, rounds: Any, paths: Any) -> None: ...
