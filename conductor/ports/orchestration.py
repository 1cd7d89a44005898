"""The Protocols of orchestration: what the orchestrator needs of store, repository and router."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conductor.domain.plan import Step
from conductor.domain.run import Activity, Changes, Delegation, Heartbeat, Project, Run, StepState, Wish

Paths = Mapping[str, Sequence[str]]
"""What each step changed, by its id."""


class Store(Protocol):
    """Projects, runs and what became of them. Several processes hold one each; every call is one short transaction:
    all of it or nothing, and on return it is there for whoever asks, even when this process is killed.

    Raises StoreRefused where the database can't be used. Entry point group `conductor.storage`: a callable that takes
    (home path, location) and gives a Store; `conductor.testing.store_contract` is what it has to pass. Mappings are
    JSON: a tuple in one comes back as a list.
    """

    # -- projects

    def add_project(self, project: Project) -> None:
        """Raises UsageError when the name is taken."""

    def save_project(self, project: Project) -> None:
        """Replaces the row of that name. Raises NoSuchProject."""

    def project(self, name: str) -> Project | None: ...

    def projects(self) -> list[Project]:
        """By name."""

    # -- runs: `save` is called by the run's orchestrator alone, once there is one

    def add_run(self, run: Run, steps: Sequence[StepState] = ()) -> None:
        """Raises UsageError when the id is taken."""

    def replace_steps(self, run: Run, steps: Sequence[StepState]) -> None:
        """The plan is made: `run` and all of its steps, in one transaction. Its delegations stay."""

    def save(self, changes: Changes) -> None:
        """Raises NoSuchRun where a step or delegation belongs to a run that is not there."""

    def forget(self, run_id: str) -> None:
        """Removes a run that is over, with its steps, delegations, wishes and activity; not there: nothing happens.
        Raises UsageError where it is not over."""

    def run(self, run_id: str) -> Run | None: ...

    def runs(self, project: str = "", *, active: bool = False, limit: int = 0) -> list[Run]:
        """Newest first; 0: all. `active`: those that are not over."""

    def steps(self, run_id: str) -> list[StepState]:
        """In the order of the plan."""

    def delegations(self, run_id: str, step_id: str = "") -> list[Delegation]:
        """Oldest first."""

    def open_delegations(self, project: str) -> list[Delegation]:
        """Of all runs of the project, those in OPEN_DELEGATIONS."""

    # -- wishes: written by the command line, read by the orchestrator. Wishing raises NoSuchRun. Of a step the last
    # word counts: `again` takes an `accept` back that was not granted yet, and the other way round; both take a `stop`
    # back, or a stopped run could never go on

    def wish(self, run_id: str) -> Wish:
        """An empty one where nobody wished anything."""

    def stop(self, run_id: str) -> None: ...

    def resume(self, run_id: str) -> None:
        """Takes a `stop` back."""

    def approve(self, run_id: str, asked: int) -> None:
        """Says yes to everything that was asked up to the `asked`th time."""

    def accept(self, run_id: str, step_id: str) -> None: ...

    def again(self, run_id: str, step_id: str) -> None: ...

    def granted(self, run_id: str, step_id: str) -> None:
        """The orchestrator has done what `accept` or `again` wanted for this step: it is wanted no more."""

    # -- life signs and history

    def beat(self, heartbeat: Heartbeat) -> None: ...

    def heartbeats(self) -> dict[str, Heartbeat]:
        """The latest of each project."""

    def activity(self, after: int = 0, *, project: str = "", run_id: str = "", limit: int = 0) -> list[Activity]:
        """Oldest first, those whose sequence is greater than `after`; the first `limit` of them, 0: all. Sequences
        start at 1 and have no gap but where a run was forgotten; none is given twice, and nothing appears later below
        one that was seen."""

    def remembered(self, what: str) -> Mapping[str, Any]:
        """A small document kept under a name (learned experience, how far events were told); empty: none."""

    def remember(self, what: str, document: Mapping[str, Any]) -> None: ...

    def version(self) -> int:
        """Another number whenever another process (another Store) has written since: cheap to ask. Own writes don't
        count."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Worktree:
    """Where one round of one step works."""

    path: str
    branch: str
    base: str
    """Commit that it was cut from."""
    environment: tuple[tuple[str, str], ...] = ()
    """Port offset, private cache folders."""
    notes: tuple[str, ...] = ()
    """What it should hold and does not: an included file that was too large, a sub-module without objects here."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was in a worktree, committed and kept under a ref. Taking twice gives the same answer."""

    work: str
    """The commit."""
    base: str
    paths: tuple[str, ...]
    """That differ from the base, relative, sorted; none: nothing was changed."""
    faults: tuple[str, ...] = ()
    """What forbids merging it, for the agent: a link out of the tree, a nested repository, conflict markers, a file
    outside of what the step said it would touch."""
    held: tuple[str, ...] = ()
    """What a person must look at first: the main checkout or the repository's own settings changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A commit on top of the branch's tip that holds the work; the branch does not know of it yet."""

    commit: str
    tip: str
    is_empty: bool = False
    """The branch has all of it already: `commit` is the tip itself."""


@dataclass(frozen=True, slots=True)
class Conflict:
    tip: str
    paths: tuple[str, ...]
    told: str
    """What git says, for the prompt of the next round."""
    tree: str = ""
    """For `cut(onto=...)`: a commit on that tip in which the files in conflict hold both sides between markers."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of bringing the run's branch onto its target. `commit` empty: it did not land, `reason` says why."""

    commit: str
    reason: str = ""
    checkout: str = ""
    """What was done with the main checkout, for a person."""
    is_overtaken: bool = False
    """It did not land because the target is elsewhere by now: it can land there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a run changed, as git tells it."""

    stat: str
    patch: str
    """Its beginning."""


class Repository(Protocol):
    """The git side of one project. Work is only ever added: nothing goes whose content is not merged or under a ref.

    Every call is idempotent: killed before or after any git command, it can be made again. Raises RepositoryBroken
    where git refuses or the folder is gone.
    """

    def open_run(self, run: Run) -> Run:
        """With its branch made, and base, branch and target filled in."""

    def tip(self, run: Run) -> str: ...

    def merged_steps(self, run: Run) -> dict[str, str]:
        """Step id to commit, as the branch itself tells (trailers): the truth about what is merged."""

    def prepare(self, run: Run, wanted: int) -> None:
        """Has up to `wanted` worktrees made ahead, in the background, for `cut` to take; 0: those that were go. Cheap
        where there is nothing to do: called at each pass of the loop."""

    def cut(self, run: Run, step: Step, round_number: int, onto: str = "") -> Worktree:
        """A worktree of the branch's tip for this round, with the ignored files that `.worktreeinclude` names; there
        already: as it is. `onto`: `Conflict.tree`, whose content is laid over it, uncommitted; what was merged since
        that conflict stays."""

    def take(self, run: Run, step: Step, delegation: Delegation) -> Taken:
        """Commits what is in the worktree, whatever state its branch and index are in, and keeps it under a ref."""

    def merge(self, run: Run, delegation: Delegation, work: Taken, message: str) -> Merged | Conflict:
        """Makes the commit that brings the work onto the tip, with the trailers of that round behind `message`; touches
        no branch and no folder."""

    def checkout_for_check(self, run: Run, commit: str) -> str:
        """The folder in which the check runs, now holding that commit."""

    def advance(self, run: Run, merged: Merged) -> bool:
        """Moves the branch from `merged.tip` to `merged.commit`; False: the branch is elsewhere."""

    def standing(self, run: Run) -> frozenset[str]:
        """Paths of the run's worktrees that are there."""

    def release(self, run: Run, delegation: Delegation) -> None:
        """The worktree goes; its branch and ref too where its work is merged, else they stay."""

    def seal(self, run: Run, message: str) -> str:
        """The run's last commit, which changes no file and has a trailer `Conductor-Run`; there already: that one."""

    def difference(self, run: Run, most_bytes: int) -> Difference:
        """All that the run's branch has and its base has not."""

    def land(self, run: Run) -> Merged | Conflict:
        """The commit that brings the run's branch onto its target's tip, history linear; `is_empty` where the target
        has all of it. Touches no branch."""

    def finish_landing(self, run: Run, merged: Merged) -> Landed:
        """Moves the target (and a clean main checkout that is on it), then the run's own branch goes."""

    def close_run(self, run: Run, *, keep_branch: bool) -> None:
        """What the run no longer needs goes: check folder, merged refs; and its branch unless `keep_branch`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who can do a step."""

    agent: str
    model: str = ""
    thinking: str = ""
    score: int = 0
    """0 to 100, as shown; the order was made before the cap."""
    parts: tuple[tuple[str, float], ...] = ()
    """What the score is made of: (`rating`, 40.0) and so on, in the order of the table."""
    usd_expected: float | None = None

    @property
    def who(self) -> str:
        """AGENT[:MODEL]."""
        return f"{self.agent}:{self.model}" if self.model else self.agent


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Somebody who can't, and why."""

    agent: str
    model: str
    why: str

    @property
    def who(self) -> str:
        """AGENT[:MODEL]."""
        return f"{self.agent}:{self.model}" if self.model else self.agent


@dataclass(frozen=True, slots=True)
class Choice:
    """Who may do a step, best first."""

    candidates: tuple[Candidate, ...]
    passed_over: tuple[PassedOver, ...] = ()


class Router(Protocol):
    """Says who does a step."""

    def choose(self, step: Step) -> Choice:
        """A step that names an agent has that one as its only candidate."""

    def learn(self, step: Step, candidate: Candidate, *, succeeded: bool, seconds: float, tokens: int) -> None:
        """A round of it is over: done and merged, or failed by the candidate's fault."""


class CheckRunner(Protocol):
    """Runs one project's check, one at a time, without holding up the caller."""

    def start(self, folder: str, command: str, log_path: str, timeout_seconds: float) -> None: ...

    def fileno(self) -> int:
        """Readable when the check is over; -1: none runs."""

    def take(self, now: float) -> CheckResult | None:
        """Its result, once; None: it runs still, or none does. Past its deadline it is ended, with all that it
        started."""

    def stop(self) -> None:
        """Ends it and all that it started."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    passed: bool
    reason: str
    """`exit code 1`, `longer than 10m`."""
    tail: str
    """The last part of its output, at most 64 KiB, masked."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be published of one run."""

    workspace: str
    """The project's main checkout."""
    remote: str
    commit: str
    branch: str
    """What the commit is pushed to: the target, or the run's own where a pull request is wanted."""
    base: str = ""
    """The target of the pull request; empty: none is wanted."""
    title: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of it."""

    pushed: bool
    pull_request: str = ""
    """Its address."""
    reason: str = ""
    """Why not all of it was done, and what a person can do; empty: all was."""


class Publisher(Protocol):
    """Pushes and opens pull requests, one publication at a time, without holding up the caller."""

    def is_busy(self) -> bool:
        """One goes on, or nobody has taken yet what became of it: another has to wait."""

    def start(self, what: Publication, folder: str) -> None:
        """`folder`: where logs and the pull request's text are written."""

    def fileno(self) -> int:
        """Readable when `take` should be called; -1: nothing runs, though `take` may have an answer."""

    def take(self) -> Published | None:
        """What became of it, once; None: it goes on, or there is nothing."""

    def stop(self) -> None:
        """Ends what goes on, and forgets what became of it."""


class ProjectMirror(Protocol):
    """Shows a project's run in files of the project's own folder, for people and tools; never raises for the folder's
    sake."""

    def note(self, activity: Sequence[Activity]) -> None:
        """For the history, oldest first."""

    def show(self, run: Run, steps: Sequence[StepState], rounds: Sequence[Delegation], paths: Paths) -> None:
        """`rounds`: the latest of each step. Returns at once."""

    def finish(self, run: Run, steps: Sequence[StepState], rounds: Sequence[Delegation], paths: Paths) -> None:
        """The last word on a run: written on return."""


class ResultsFeed(Protocol):
    """Attempts that ended, as results.txt tells them."""

    def fileno(self) -> int:
        """Readable when there may be news: a hint."""

    def take(self) -> Iterator[str]:
        """Task ids that ended for good since the last call."""


Teller = Callable[[Collection[Activity]], bool]
"""Hands activity on, for events.jsonl; False: nobody listened, tell it again."""
