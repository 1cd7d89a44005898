"""The first phase of a run that came as a request: a model writes its plan, which is checked like any other."""

from __future__ import annotations

from dataclasses import replace

from conductor.domain.errors import PlanInvalid, SettingsInvalid, UsageError
from conductor.domain.graph import Graph
from conductor.domain.plan import Plan
from conductor.domain.run import Delegation, DelegationState, Run, RunStatus, StepState
from conductor.domain.view import Ended
from conductor.kit.durable import replace_file
from conductor.orchestrator.board import Board
from conductor.orchestrator.planning.answer import read_answer
from conductor.orchestrator.planning.rounds import Ask, GiveUp, Tried, next_asking
from conductor.orchestrator.rules import Rules, Tools
from conductor.orchestrator.side_tasks import SideTask

PLANNING = "-plan"
_BETWEEN_FAULTS = "\n"


class PlanningPhase:
    """Asks the planners one after the other until one gives a plan that can be run."""

    def __init__(self, tools: Tools, rules: Rules, board: Board) -> None:
        self._tools = tools
        self._rules = rules
        self._board = board
        self._task = SideTask(tools, board, PLANNING)

    def resume(self) -> None:
        self._task.resume()

    def tick(self) -> None:
        """The next planner where none is at it."""
        if self._task.under_way() is not None:
            return
        rounds = self._task.rounds()
        planners = (self._board.run.planner,) if self._board.run.planner and not rounds else self._planners()
        try:
            following = next_asking(planners, [_tried(one) for one in rounds])
        except UsageError as error:
            self._fail(str(error))
            return
        if isinstance(following, GiveUp):
            self._fail(following.told)
            return
        try:
            self._ask(following, rounds)
        except SettingsInvalid as error:
            self._fail(str(error))

    def _planners(self) -> tuple[str, ...]:
        named = self._board.run.planner
        return tuple(dict.fromkeys((*([named] if named else ()), *self._rules.planner)))

    def _ask(self, ask: Ask, rounds: tuple[Delegation, ...]) -> None:
        last = ""
        if ask.again and rounds:
            with open(rounds[-1].worktree, encoding="utf-8") as file:
                last = file.read()
        self._task.ask(ask.planner, self._tools.texts.planning(self._board.run, last, ask.again, ask.times))

    def task_ended(self, view: Ended) -> None:
        """Its answer is kept as a file whatever it is; the round's `worktree` says where."""
        delegation, answer = self._task.answered(view)
        path = f"{self._tools.folder}/context/{view.task_id}.answer.txt"
        replace_file(path, answer.encode("utf-8", "replace"))
        delegation = replace(delegation, worktree=path)
        if self._board.run.status is not RunStatus.PLANNING:
            # Killed after the plan was written: what was asked and done since then stands.
            self._task.over(delegation, DelegationState.COMPLETED)
            return
        if not answer:
            self._task.over(delegation, DelegationState.FAILED, delegation.reason or "it gave no answer")
            return
        run = self._board.run
        try:
            project, agents = run.project if run.isolated else "", self._tools.planned_agents
            plan = read_answer(answer, project=project, request=run.request, agents=agents)
        except PlanInvalid as error:
            self._board.note("plan_refused", round=delegation.round, faults=list(error.faults[:20]))
            self._task.over(delegation, DelegationState.BOUNCED, _BETWEEN_FAULTS.join(error.faults))
            return
        self._board.note("plan_made", steps=len(plan.steps), planner=delegation.who)
        planned = replace(run, planner=delegation.who)
        self._board.set_plan(*planned_run(planned, plan))
        self._task.over(delegation, DelegationState.COMPLETED)

    def _fail(self, reason: str) -> None:
        self._board.note("run_ended", status=RunStatus.FAILED.value, reason=reason[:500])
        self._board.set_run(status=RunStatus.FAILED, reason=reason, ended=self._tools.clock())


def planned_run(run: Run, plan: Plan) -> tuple[Run, tuple[StepState, ...]]:
    """The run with its plan, about to start, and its steps."""
    graph = Graph.of(plan.steps)
    done_by = (replace(step, agent=step.agent or run.agent) for step in plan.steps)
    steps = tuple(
        StepState(run.id, step, position, wave=graph.wave_of(step.id) + 1) for position, step in enumerate(done_by)
    )
    ready = replace(
        run,
        status=RunStatus.RUNNING,
        title=run.title or plan.name,
        check=plan.check,
        from_model=plan.from_model,
    )
    return ready, steps


def _tried(one: Delegation) -> Tried:
    if one.state is DelegationState.BOUNCED:
        return Tried(one.who, tuple(one.reason.split(_BETWEEN_FAULTS)), kept=one.worktree)
    return Tried(one.who, reason=one.reason, kept=one.worktree)
