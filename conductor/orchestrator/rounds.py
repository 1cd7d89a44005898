"""The life of rounds in one run: out into the queue, back from it, through the merge queue or back to the agent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from conductor.domain.errors import ConductorError, NoSuchTask, RepositoryBroken, SettingsInvalid
from conductor.domain.outcome import Status
from conductor.domain.plan import Step
from conductor.domain.run import Delegation, DelegationState, StepState, StepStatus
from conductor.domain.task import parse_fallback
from conductor.domain.usage import Usage
from conductor.domain.view import Ended
from conductor.orchestrator.board import Board
from conductor.orchestrator.emitting import Emitter, Extras
from conductor.orchestrator.rules import Rules, Tools
from conductor.orchestrator.schedule import key_of
from conductor.orchestrator.verdicts import GiveUp, Next, TryAgain, after_bounce, after_failure, attempt_order
from conductor.ports.orchestration import Candidate, Choice, Taken

_MOST_REASON = 4000


class Rounds:
    """`queue_merge` takes what is to be merged; `let_go` frees a step's files for the other steps of the project."""

    def __init__(
        self,
        tools: Tools,
        rules: Rules,
        board: Board,
        queue_merge: Callable[[Delegation, Taken], None],
        let_go: Callable[[str], None],
    ) -> None:
        self._tools = tools
        self._rules = rules
        self._board = board
        self._emitter = Emitter(tools, board)
        self._queue_merge = queue_merge
        self._let_go = let_go
        self._overlays: dict[str, str] = {}
        self._sent_again: set[str] = set()
        self._to_release: deque[Delegation] = deque()

    # -- out

    def start(self, step: Step) -> None:
        """The next round of a step whose turn it is."""
        choice = self._tools.router.choose(step)
        who = self._who(step, choice)
        if who is None:
            self._give_up(step.id, _nobody(choice), StepStatus.FAILED)
            self._let_go(key_of(self._board.run.id, step.id))
            return
        delegation = self._emitter.begin_round(step, who)
        self._emit(delegation, who, choice)

    def resume(self) -> None:
        """After a restart: every open delegation goes on where it was, and worktrees of closed ones go."""
        self._release_left()
        for delegation in list(self._board.open.values()):
            match delegation.state:
                case DelegationState.SPAWNING:
                    self._emit(delegation, Candidate(delegation.agent, delegation.model))
                case DelegationState.WORKING:
                    self._find_again(delegation)
                case DelegationState.RETURNED | DelegationState.MERGING:
                    self._returned(delegation)

    def _release_left(self) -> None:
        if self._tools.repository is None:
            return
        standing = self._tools.repository.standing(self._board.run)
        for one in self._board.all_rounds() if standing else ():
            if one.worktree in standing and one.state in _CLOSED:
                self._release(one)

    def task_missing(self, task_id: str) -> None:
        """Submits it again, once: a file that can't be read is missing too, and stays so."""
        delegation = self._board.open.get(task_id)
        if delegation is None or delegation.state is not DelegationState.WORKING or task_id in self._sent_again:
            return
        self._sent_again.add(task_id)
        if delegation.step_id in self._board.states:
            self._tools.log.warning("task_sent_again", task=task_id)
            self._emit(delegation, Candidate(delegation.agent, delegation.model))

    def _find_again(self, delegation: Delegation) -> None:
        view = self._tools.queue.find(delegation.task_id)
        if view is None:  # accepted once, and gone: its folder was cleaned or lost
            self._emit(delegation, Candidate(delegation.agent, delegation.model))
        elif isinstance(view, Ended):
            self.task_ended(view)
        else:
            self._board.specs[delegation.task_id] = view.spec

    def _emit(self, delegation: Delegation, who: Candidate, choice: Choice | None = None) -> None:
        others = tuple(one.who for one in choice.candidates if one.who != who.who) if choice else ()
        try:
            onto = self._overlays.pop(delegation.step_id, "") if self._tools.is_prompted(who.agent) else ""
            mends = bool(self._rules.resolver) and who.who == self._rules.resolver
            self._emitter.emit(delegation, Extras(who.thinking, onto, others, mends))
        except (RepositoryBroken, SettingsInvalid) as error:
            self._failed(delegation, Status.FAILED, str(error), by_agent=False)

    def _who(self, step: Step, choice: Choice) -> Candidate | None:
        """The one whose turn it is: after a bounce the one who did it last, or the resolver."""
        state = self._board.states[step.id]
        if state.bounces and state.agent:
            last = Candidate(state.agent, state.model, step.thinking)
            verdict = after_bounce(state.bounces, self._rules.bounces, last, self._resolver())
            return verdict.who if isinstance(verdict, TryAgain) else last
        if not choice.candidates:
            return None
        failed = _failed_of(self._rounds_of(state))
        order = self._order(step, choice, failed)
        return order[min(len(failed), len(order) - 1)]

    def _order(self, step: Step, choice: Choice, failed: Sequence[Delegation]) -> tuple[Candidate, ...]:
        """What the plan names is tried as the plan says; what the router chose twice, then the runner-up twice."""
        if step.agent:
            return choice.candidates[:1]
        return attempt_order(choice.candidates, self._rules.route_depth, failed)

    def _rounds_of(self, state: StepState) -> tuple[Delegation, ...]:
        return self._board.rounds_of(state.step.id) if state.round else ()

    def _resolver(self) -> Candidate | None:
        return Candidate(*parse_fallback(self._rules.resolver)) if self._rules.resolver else None

    # -- back

    def task_ended(self, view: Ended) -> None:
        """Its task is over: nothing that comes later can change what it did."""
        delegation = self._board.open.get(view.task_id)
        if delegation is None or delegation.state is not DelegationState.WORKING:
            return
        delegation, spent = _with_costs(delegation, view.record)
        if view.status is not Status.SUCCESS:
            self._failed(delegation, view.status, str(view.record.get("reason", "")), by_agent=True, **spent)
            return
        state = self._board.states[delegation.step_id]
        delegation = replace(delegation, state=DelegationState.RETURNED)
        if self._tools.repository is None:
            self._completed(delegation, "", **self._added(state, spent))
            return
        self._board.set_round(delegation, **self._added(state, spent))
        self._returned(delegation)

    def _returned(self, delegation: Delegation) -> None:
        """Takes the work out of the worktree, and judges what came back before anything is merged."""
        assert self._tools.repository is not None  # a run without git has nothing to take
        state = self._board.states[delegation.step_id]
        try:
            taken = self._tools.repository.take(self._board.run, state.step, delegation)
        except RepositoryBroken as error:
            self._failed(delegation, Status.FAILED, str(error), by_agent=False)
            return
        delegation = replace(delegation, work=taken.work, state=DelegationState.MERGING)
        self._board.paths[delegation.step_id] = taken.paths
        accepted = state.reason == ACCEPTED
        if taken.faults and not accepted:
            self.bounced(delegation, "what it left can't be merged:\n" + "\n".join(taken.faults))
        elif not taken.paths and (accepted or state.step.may_be_empty):
            self._completed(delegation, "")
        elif not taken.paths:
            self.bounced(delegation, "it ended well, but changed no file: there is nothing to merge")
        elif taken.held and not accepted:
            self._hold(delegation, "a person must look first: " + "; ".join(taken.held))
        else:
            self._board.set_round(delegation)
            self._queue_merge(delegation, taken)

    # -- what people wish

    def accept(self, step_id: str) -> None:
        """The work of a step that needs review is merged as it lies there now."""
        held = [one for one in self._board.rounds_of(step_id) if one.state is DelegationState.HELD]
        if not held or self._board.states[step_id].status is not StepStatus.NEEDS_REVIEW:
            return
        delegation = replace(held[-1], state=DelegationState.RETURNED, ended=0.0)
        self._board.note("step_accepted", step_id, round=delegation.round)
        self._board.set_round(delegation, status=StepStatus.IN_PROGRESS, reason=ACCEPTED, ended=0.0)
        self._revive(step_id)
        self._board.schedule.occupy(step_id)
        self._returned(delegation)

    def again(self, step_ids: Sequence[str]) -> None:
        """Steps that were given up are tried anew, and what waited for them waits again."""
        wanted = [one for one in step_ids if self._board.states[one].status in _GIVEN_UP]
        for step_id in wanted:
            self._board.note("step_tried_anew", step_id)
        self._wait_again(wanted, bounces=0)

    def wait_again(self) -> None:
        """What was cancelled with its run, before it had begun, waits again: the run goes on."""
        cancelled = self._board.in_status(StepStatus.CANCELLED)
        self._wait_again([state.step.id for state in cancelled if not state.round], reason="")

    def _wait_again(self, step_ids: Sequence[str], **fields: Any) -> None:
        """At once, however many they are: looking for what they free costs as much as the plan is long."""
        if not step_ids:
            return
        freed = dict.fromkeys(self._board.schedule.tried_anew(step_ids))
        may_come = [one for one in step_ids if one in freed]
        self._board.set_steps(may_come, status=StepStatus.PENDING, ended=0.0, **fields)
        may_not = [one for one in step_ids if one not in freed]
        self._board.set_steps(may_not, status=StepStatus.BLOCKED, ended=0.0, **fields)
        others = freed.keys() - set(step_ids)
        self._board.set_steps(others, status=StepStatus.PENDING, reason="", ended=0.0)

    def _revive(self, step_id: str) -> None:
        freed = self._board.schedule.revived(step_id)
        self._board.set_steps(freed, status=StepStatus.PENDING, reason="", ended=0.0)

    # -- what the merge queue says

    def merged(self, delegation: Delegation, commit: str) -> None:
        self._completed(delegation, commit)

    def bounced(self, delegation: Delegation, why: str, overlay: str = "") -> None:
        """Back to who made it, with the reason; or given up, with everything kept."""
        state = self._board.states[delegation.step_id]
        last = Candidate(delegation.agent, delegation.model, state.step.thinking)
        verdict = after_bounce(state.bounces + 1, self._rules.bounces, last, self._resolver())
        why = why[:_MOST_REASON]
        over = replace(delegation, state=DelegationState.BOUNCED, reason=why, ended=self._tools.clock())
        if isinstance(verdict, GiveUp):
            self._learn(delegation, succeeded=False)
            self._hold(delegation, f"{verdict.reason}; the last time: {why}")
            return
        if overlay:
            self._overlays[delegation.step_id] = overlay
        self._board.note("step_bounced", delegation.step_id, round=delegation.round, reason=why[:500])
        self._board.set_round(over, status=StepStatus.PENDING, bounces=state.bounces + 1, reason=why)
        self._release(over)
        self._board.schedule.sent_back(delegation.step_id)

    # -- over

    def _completed(self, delegation: Delegation, commit: str, **fields: Any) -> None:
        self._learn(delegation, succeeded=True)
        now = self._tools.clock()
        over = replace(delegation, state=DelegationState.COMPLETED, ended=now)
        self._board.note("step_completed", delegation.step_id, round=delegation.round, commit=commit)
        self._board.set_round(over, status=StepStatus.COMPLETED, commit=commit, ended=now, reason="", **fields)
        self._release(over)
        self._board.schedule.completed(delegation.step_id)

    def _failed(self, delegation: Delegation, status: Status, reason: str, *, by_agent: bool, **spent: Any) -> None:
        state, now = self._board.states[delegation.step_id], self._tools.clock()
        over = replace(delegation, state=DelegationState.FAILED, reason=reason[:_MOST_REASON], ended=now)
        fields = self._added(state, spent)
        rounds = [one for one in self._rounds_of(state) if one.task_id != over.task_id]
        rounds.append(over)
        order = self._order(state.step, self._tools.router.choose(state.step), _failed_of(rounds))
        verdict: Next = after_failure(status, reason, rounds, order if by_agent else ())
        over = self._kept(over)
        if by_agent and status not in (Status.CANCELLED, Status.BUDGET):
            self._learn(delegation, succeeded=False)
        if isinstance(verdict, TryAgain):
            self._board.note("step_failed_once", delegation.step_id, round=delegation.round, reason=reason[:500])
            self._board.set_round(over, status=StepStatus.PENDING, reason=reason[:_MOST_REASON], **fields)
            self._release(over)
            self._board.schedule.sent_back(delegation.step_id)
            return
        status_of_step = StepStatus.CANCELLED if status is Status.CANCELLED else StepStatus.FAILED
        self._give_up(delegation.step_id, verdict.reason, status_of_step, over, **fields)
        self._release(over)

    def _hold(self, delegation: Delegation, reason: str) -> None:
        """Its worktree stays where it is: a person may mend it there."""
        over = replace(delegation, state=DelegationState.HELD, reason=reason[:_MOST_REASON], ended=self._tools.clock())
        self._give_up(delegation.step_id, reason, StepStatus.NEEDS_REVIEW, over)
        self._let_go(key_of(self._board.run.id, delegation.step_id))

    def _give_up(
        self, step_id: str, reason: str, status: StepStatus, over: Delegation | None = None, **fields: Any
    ) -> None:
        self._board.note("step_given_up", step_id, status=status.value, reason=reason[:500])
        now = self._tools.clock()
        self._board.give_up(step_id, over, status=status, reason=reason[:_MOST_REASON], ended=now, **fields)

    # -- helpers

    def _kept(self, delegation: Delegation) -> Delegation:
        """What a failed round left stays under a ref; with its commit, where it left anything."""
        if self._tools.repository is None or not delegation.worktree:
            return delegation
        step = self._board.states[delegation.step_id].step
        try:
            taken = self._tools.repository.take(self._board.run, step, delegation)
        except RepositoryBroken as error:
            self._tools.log.warning("work_not_kept", task=delegation.task_id, error=str(error))
            return delegation
        return replace(delegation, work=taken.work) if taken.paths else delegation

    def _release(self, delegation: Delegation) -> None:
        """The files are free at once, the worktree goes when nothing else is to be done."""
        if self._tools.repository is not None and delegation.worktree:
            self._to_release.append(delegation)
        self._let_go(key_of(self._board.run.id, delegation.step_id))

    def tidy(self) -> bool:
        """Removes one worktree that nobody needs; whether there was one. Killed before that, `resume` makes it good."""
        if not self._to_release:
            return False
        delegation = self._to_release.popleft()
        assert self._tools.repository is not None  # only runs with git have worktrees
        try:
            self._tools.repository.release(self._board.run, delegation)
        except RepositoryBroken as error:
            self._tools.log.warning("worktree_stays", path=delegation.worktree, error=str(error))
        return True

    def _learn(self, delegation: Delegation, *, succeeded: bool) -> None:
        """Of whom the router chose: done means merged."""
        step = self._board.states[delegation.step_id].step
        if step.agent:
            return
        who, seconds = Candidate(delegation.agent, delegation.model), self._tools.clock() - delegation.created
        self._tools.router.learn(step, who, succeeded=succeeded, seconds=seconds, tokens=delegation.tokens)

    @staticmethod
    def _added(state: StepState, spent: dict[str, Any]) -> dict[str, Any]:
        if not spent:
            return {}
        return {"usd": state.usd + spent["usd"], "tokens": state.tokens + spent["tokens"]}

    def cancel_all(self, reason: str) -> None:
        """Every task under way is cancelled; its end is heard like any other."""
        for delegation in list(self._board.open.values()):
            if delegation.state in (DelegationState.RETURNED, DelegationState.MERGING):
                self._failed(delegation, Status.CANCELLED, reason, by_agent=False)
            else:
                self._cancel(delegation, reason)

    def _cancel(self, delegation: Delegation, reason: str) -> None:
        """Killed in between, the task of one that is still SPAWNING may be in the queue."""
        self._board.set_round(replace(delegation, state=DelegationState.WORKING))
        try:
            if self._tools.queue.cancel(delegation.task_id, self._tools.caller) == "stopping":
                self._tools.nudge(delegation.task_id)
        except NoSuchTask:
            if delegation.step_id in self._board.states:
                self._failed(delegation, Status.CANCELLED, reason, by_agent=False)
            else:
                over = replace(delegation, state=DelegationState.FAILED, reason=reason, ended=self._tools.clock())
                self._board.set_round(over)
        except ConductorError as error:
            self._tools.log.warning("task_not_cancelled", task=delegation.task_id, error=str(error))


ACCEPTED = "accepted by a person"
"""The reason of a step whose work is to be merged whatever was found at fault with it; the check has the last word."""


_CLOSED = (DelegationState.COMPLETED, DelegationState.BOUNCED, DelegationState.FAILED)
_GIVEN_UP = (StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.CANCELLED)


def _failed_of(rounds: Sequence[Delegation]) -> list[Delegation]:
    return [one for one in rounds if one.state is DelegationState.FAILED]


def _nobody(choice: Choice) -> str:
    reasons = "; ".join(f"{one.who}: {one.why}" for one in choice.passed_over)
    return f"nobody can do it: {reasons or 'no agent is set up'}: `conductor route --explain` shows why"


def _with_costs(delegation: Delegation, record: dict[str, Any]) -> tuple[Delegation, dict[str, Any]]:
    """With what the task's last attempt really used."""
    usage = record.get("usage")
    tokens = Usage(**usage).total if isinstance(usage, dict) else 0
    usd, agent = float(record.get("usd") or 0.0), str(record.get("agent") or delegation.agent)
    return replace(delegation, agent=agent, usd=usd, tokens=tokens), {"usd": usd, "tokens": tokens}
