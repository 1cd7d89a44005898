"""One run, driven: its phases, what people wish of it, its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from conductor.domain.errors import RepositoryBroken, UsageError
from conductor.domain.plan import Plan
from conductor.domain.run import (
    Asks,
    Delegation,
    DelegationState,
    Run,
    RunAutonomy,
    RunStatus,
    StepStatus,
    Wish,
    task_id_of,
)
from conductor.domain.view import Ended
from conductor.orchestrator.approvals import Ask, before_start, before_wave
from conductor.orchestrator.board import Board
from conductor.orchestrator.commands import unseen_commands
from conductor.orchestrator.finishing import REVIEW, Finishing, end_run
from conductor.orchestrator.merge_queue import MergeItem, MergeQueue, Passed, Refused, Verdict
from conductor.orchestrator.planning_phase import PLANNING, PlanningPhase
from conductor.orchestrator.rounds import Rounds
from conductor.orchestrator.rules import Rules, Tools
from conductor.ports.orchestration import Taken

_STOPPED = "stopped on request"
_SPARES = 3
"""Worktrees made ahead."""


class Driver:
    """`tick` does everything that can be done now but starting steps, which `start_next` does one at a time: the
    project shares its room among its runs."""

    def __init__(
        self, tools: Tools, rules: Rules, board: Board, queue: MergeQueue, let_go: Callable[[str], None]
    ) -> None:
        self._tools = tools
        self._rules = rules
        self.board = board
        self._queue = queue
        self._rounds = Rounds(tools, rules, board, self._queue_merge, let_go)
        self._planning = PlanningPhase(tools, rules, board)
        self._finishing = Finishing(tools, rules, board, queue)
        self._ending: tuple[RunStatus, str] | None = None
        self._is_open = False
        self._may_begin = False
        """Nothing is to be asked any more before it begins."""
        self._is_broken = False

    @property
    def run(self) -> Run:
        return self.board.run

    @contextmanager
    def _over_if_broken(self) -> Iterator[None]:
        """A repository that refuses, or is gone, ends the run and is told: put right, its steps are tried anew."""
        try:
            yield
        except RepositoryBroken as error:
            self._is_broken = True
            if self._ending is None and not self.run.is_over:
                self.end(RunStatus.FAILED, str(error))

    def resume(self) -> None:
        """After a start: everything that was under way goes on."""
        with self._over_if_broken():
            self._resume()

    def _resume(self) -> None:
        if self.run.branch:
            self._open()
            self._settle_merged()
            self._rounds.resume()
        elif not self.run.isolated:
            self._rounds.resume()
        self._planning.resume()
        self._finishing.resume()

    def task_ended(self, view: Ended) -> None:
        delegation = self.board.open.get(view.task_id)
        match delegation.step_id if delegation is not None else "":
            case "":
                return
            case step_id if step_id == PLANNING:
                self._planning.task_ended(view)
            case step_id if step_id == REVIEW:
                self._finishing.task_ended(view)
            case _:
                self._rounds.task_ended(view)

    def task_missing(self, task_id: str) -> None:
        """Its task is in no folder of the queue: somebody removed it."""
        self._rounds.task_missing(task_id)

    def rests(self) -> bool:
        """It waits for a person, and nothing of it is under way."""
        return self.run.status is RunStatus.WAITING and self._ending is None and not self.board.open

    # -- one pass

    def tick(self) -> None:
        if self.run.is_over:  # it may be reopened already: nothing more is written of it here
            return
        if self._ending is not None:
            self._end_when_quiet()
            return
        with self._over_if_broken():
            self._go_on()

    def _go_on(self) -> None:
        match self.run.status:
            case RunStatus.PLANNING:
                self._planning.tick()
            case RunStatus.RUNNING:
                self._ask_or_begin()
                self._finish()
            case RunStatus.FINISHING:
                self._finish()

    def _finish(self) -> None:
        """At once when the last step is over: no wait of the loop lies between."""
        if self.run.status is RunStatus.FINISHING:
            self._finishing.tick()

    def _ask_or_begin(self) -> None:
        ask = self._first_ask() or before_wave(self.run, self.board.states.values())
        if ask is not None:
            self._wait_for_person(ask)
        elif not self._is_open:
            self._begin()
        elif self._nothing_left():
            self._all_over()

    def _first_ask(self) -> Ask | None:
        """Found out once: what a plan of thousands would run is not gone through at every pass."""
        if self._may_begin:
            return None
        ask = before_start(self.run, self._unseen())
        self._may_begin = ask is None
        return ask

    def _unseen(self) -> tuple[str, ...]:
        if self.run.asked or not self.run.from_model:
            return ()
        steps = tuple(state.step for state in self.board.states.values())
        plan = Plan(self.run.title, steps, check=self.run.check, from_model=True)
        found = unseen_commands(plan, self._rules.allow_commands)
        return tuple(f"{one.step_id or 'check'}: {one.command}" for one in found)

    def _begin(self) -> None:
        """The run's branch, and the start of its clock. Raises RepositoryBroken."""
        if not self.run.started:
            self.board.note("run_started", title=self.run.title, steps=len(self.board.states))
            self.board.set_run(started=self._tools.clock())
        self._open()

    def _open(self) -> None:
        if self._tools.repository is not None:
            opened = self._tools.repository.open_run(self.run)
            if opened != self.run:
                self.board.set_run(branch=opened.branch, base=opened.base, target=opened.target)
        self._is_open = True

    def start_next(self) -> bool:
        """Starts one step where one may start."""
        if self._ending is not None or self.run.status is not RunStatus.RUNNING or not self._is_open:
            return False
        if self.run.sequential and self.in_progress():
            return False
        if self.run.wip and self.in_progress() >= self.run.wip:
            return False
        manual = self.run.autonomy is RunAutonomy.MANUAL
        if manual and not self.run.wave:
            return False
        step = self.board.schedule.take(self.run.wave if manual else 0)
        if step is None:
            return False
        self._rounds.start(step)
        return True

    def spawn(self, step_id: str) -> str:
        """Starts that very step; its task's id. Raises UsageError where it may not start."""
        state = self.board.states.get(step_id)
        if state is None:
            raise UsageError(
                f"run {self.run.id} has no step {step_id!r}: `conductor runs show {self.run.id}` lists them"
            )
        if self.run.status is not RunStatus.RUNNING:
            raise UsageError(f"run {self.run.id} is {self.run.status.value}: nothing of it can start now")
        ask = self._first_ask()
        if ask is not None:
            self._wait_for_person(ask)
            raise UsageError(f"run {self.run.id} asks first: `conductor approve {self.run.id}` shows what for")
        if not self._is_open:
            self._begin()
        step = self.board.schedule.take_this(step_id)
        if step is None:
            raise UsageError(
                f"step {step_id} can't start now: it is {state.status.value}, waits for another step, or its files "
                "are in use"
            )
        self._rounds.start(step)
        return task_id_of(self.run.id, step_id, self.board.states[step_id].round)

    def tidy(self) -> bool:
        """One piece of work that can wait; whether there was any."""
        if self._tools.repository is not None and self._is_open and self.run.status is RunStatus.RUNNING:
            with self._over_if_broken():
                self._tools.repository.prepare(self.run, min(_SPARES, self.board.count(StepStatus.PENDING)))
        return self._rounds.tidy()

    def in_progress(self) -> int:
        return self.board.count(StepStatus.IN_PROGRESS)

    # -- people

    def obey(self, wish: Wish) -> None:
        """While it ends, nothing is obeyed: `is_wanted_again` tells of what is wished then."""
        if self._ending is not None or self.run.is_over:
            return
        if wish.stop:
            self.end(RunStatus.STOPPED, _STOPPED)
            return
        if self.run.status is RunStatus.WAITING and wish.approved >= self.run.asked:
            wave = self.run.wave + (self.run.asks is Asks.WAVE)
            self.board.note("run_approved", what=self.run.asks.value)
            self.board.set_run(status=RunStatus.RUNNING, asks=Asks.NOTHING, asked_for=(), wave=wave, plan_only=False)
        if wish.accept or wish.again:
            with self._over_if_broken():
                self._grant(wish)

    def is_wanted_again(self) -> bool:
        """Whether a person wished something of a step while the run came to its end: it goes on then. Not where the
        repository is what ended it: that has to be put right first."""
        wish = self._tools.store.wish(self.run.id)
        return bool(wish.accept or wish.again) and not wish.stop and not self._is_broken

    def _grant(self, wish: Wish) -> None:
        if not self._is_open:
            self._begin()
        self._rounds.wait_again()
        for step_id in wish.accept:
            if step_id in self.board.states:
                self._rounds.accept(step_id)
            self._tools.store.granted(self.run.id, step_id)
        self._rounds.again([step_id for step_id in wish.again if step_id in self.board.states])
        for step_id in wish.again:
            self._tools.store.granted(self.run.id, step_id)

    def _wait_for_person(self, ask: Ask) -> None:
        self.board.note("run_asks", what=ask.what.value, about=list(ask.about[:50]))
        self.board.set_run(status=RunStatus.WAITING, asks=ask.what, asked=self.run.asked + 1, asked_for=ask.about)

    # -- the merge queue

    def _queue_merge(self, delegation: Delegation, taken: Taken) -> None:
        repository, state = self._tools.repository, self.board.states[delegation.step_id]
        assert repository is not None  # only runs with git merge
        message = self._tools.texts.commit(self.run, state)

        def done(verdict: Verdict) -> None:
            match verdict:
                case Passed(commit, is_empty):
                    self._rounds.merged(delegation, "" if is_empty else commit)
                case Refused(why, overlay):
                    self._rounds.bounced(delegation, why, overlay)

        self._queue.add(
            MergeItem(
                delegation.task_id,
                lambda: self.run,
                lambda: repository.merge(self.run, delegation, taken, message),
                lambda merged: repository.advance(self.run, merged),
                done,
            )
        )

    def _settle_merged(self) -> None:
        """What the branch has is done, whatever was written down before we were killed."""
        assert self._tools.repository is not None  # called for runs with a branch
        merged = self._tools.repository.merged_steps(self.run)
        for delegation in list(self.board.open.values()):
            if delegation.step_id in merged and delegation.state is DelegationState.MERGING:
                self._rounds.merged(delegation, merged[delegation.step_id])

    # -- the end

    def spend(self, seconds: float) -> None:
        """Of its timeout."""
        run = self.board.run = replace(self.run, spent_seconds=self.run.spent_seconds + seconds)
        if run.spent_seconds > run.timeout_seconds and self._ending is None and not run.is_over:
            self.end(RunStatus.FAILED, f"it took longer than its timeout of {run.timeout_seconds:.0f} s")

    def _nothing_left(self) -> bool:
        return not (self.board.schedule.has_waiting or self.board.open or self._queue.holds(self.run.id))

    def _all_over(self) -> None:
        while self._rounds.tidy():
            pass
        if self.board.count(StepStatus.COMPLETED) == len(self.board.states):
            self.board.set_run(status=RunStatus.FINISHING)
            return
        review = self.board.in_status(StepStatus.NEEDS_REVIEW)
        failed = self.board.in_status(StepStatus.FAILED, StepStatus.CANCELLED)
        named = ", ".join(state.step.id for state in (review or failed)[:10])
        status, what = (RunStatus.NEEDS_REVIEW, "need review") if review else (RunStatus.FAILED, "failed")
        kept = f"; what is merged is on branch {self.run.branch}" if self.run.branch else ""
        end_run(self._tools, self.board, status, f"{_counted(len(review or failed), what)}: {named}{kept}")

    def end(self, status: RunStatus, reason: str) -> None:
        """No more steps; what runs is cancelled and its work kept."""
        self._ending = (status, reason)
        self.board.note("run_ending", status=status.value, reason=reason)
        self._queue.drop(self.run.id)
        self._finishing.stop()
        self._rounds.cancel_all(reason)
        self._end_when_quiet()

    def _end_when_quiet(self) -> None:
        assert self._ending is not None  # it is ending
        if self.board.open:
            return
        while self._rounds.tidy():
            pass
        status, reason = self._ending
        now = self._tools.clock()
        left = [state.step.id for state in self.board.in_status(StepStatus.PENDING, StepStatus.BLOCKED)]
        self.board.set_steps(left, status=StepStatus.CANCELLED, reason=reason, ended=now)
        end_run(self._tools, self.board, status, reason)


def _counted(count: int, what: str) -> str:
    """`1 step failed`, `2 steps need review`."""
    return f"{count} steps {what}" if count != 1 else f"1 step {what.replace('need ', 'needs ')}"
