"""A step becomes a task: worktree, brief, then the queue. Each is written down before it is done, so that a restart
goes on where this was killed and emits nothing twice."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace

from conductor.domain.errors import DuplicateTask
from conductor.domain.plan import Step
from conductor.domain.quoting import fenced
from conductor.domain.run import Delegation, DelegationState, StepState, StepStatus, task_id_of
from conductor.domain.task import TaskSpec
from conductor.kit.durable import replace_file
from conductor.orchestrator.board import Board
from conductor.orchestrator.earlier import earlier_rounds
from conductor.orchestrator.rules import Briefing, Tools
from conductor.ports.orchestration import Candidate, Worktree

MERGED_TOLD = 50
"""Of the steps that came before, a brief names the latest."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a round has beside its step."""

    thinking: str = ""
    onto: str = ""
    """A commit whose files are laid over the worktree."""
    others: tuple[str, ...] = ()
    """Who takes over while the agent is parked: AGENT[:MODEL]."""
    for_resolver: bool = False


class Emitter:
    """Puts rounds of one run's steps into the queue. Raises RepositoryBroken where no worktree can be made."""

    def __init__(self, tools: Tools, board: Board) -> None:
        self._tools = tools
        self._board = board

    def begin_round(self, step: Step, who: Candidate) -> Delegation:
        """Written down: from here on this round will be emitted, by us or by who comes after us."""
        state, now = self._board.states[step.id], self._tools.clock()
        number = state.round + 1
        delegation = Delegation(
            task_id_of(self._board.run.id, step.id, number),
            self._board.run.id,
            step.id,
            number,
            DelegationState.SPAWNING,
            now,
            agent=who.agent,
            model=who.model,
        )
        self._board.note("step_emitted", step.id, round=number, agent=who.agent, model=who.model)
        self._board.set_round(
            delegation,
            status=StepStatus.IN_PROGRESS,
            round=number,
            agent=who.agent,
            model=who.model,
            started=state.started or now,
            reason="",
        )
        return delegation

    def emit(self, delegation: Delegation, extras: Extras) -> None:
        """Makes the worktree and submits the task, both of which may be there already."""
        tools, run, state = self._tools, self._board.run, self._board.states[delegation.step_id]
        tree = Worktree(run.workspace, "", "")
        if tools.repository is not None:
            tree = tools.repository.cut(run, state.step, delegation.round, extras.onto)
        delegation = replace(delegation, worktree=tree.path, branch=tree.branch, base=tree.base)
        if tools.is_prompted(delegation.agent):
            delegation = replace(delegation, context=self._write_brief(state, delegation, extras, tree.notes))
        spec = self._spec(state.step, delegation, tree)
        spec = replace(spec, thinking=state.step.thinking or extras.thinking, fallback=extras.others)
        with suppress(DuplicateTask):
            tools.queue.submit(spec)
        self._board.specs[spec.id] = spec
        self._board.set_round(replace(delegation, state=DelegationState.WORKING))
        tools.ring(spec.id)

    def _spec(self, step: Step, delegation: Delegation, tree: Worktree) -> TaskSpec:
        run, prompted = self._board.run, self._tools.is_prompted(delegation.agent)
        about = (("CONDUCTOR_RUN", run.id), ("CONDUCTOR_STEP", step.id), ("CONDUCTOR_ROUND", str(delegation.round)))
        return TaskSpec(
            delegation.task_id,
            _asked(step) if prompted else step.description,
            model=delegation.model,
            agent=delegation.agent,
            pool=self._tools.pool_of(delegation.agent),
            priority=step.priority,
            timeout_seconds=step.timeout_seconds,
            retries=step.retries,
            workspace=tree.path,
            env=(*tree.environment, *about),
            submitted_ms=int(self._tools.clock() * 1000),
            project=run.project if run.isolated else "",
            verify=step.verify,
            criteria=step.criteria,
            spec_file=delegation.context,
        )

    def _write_brief(self, state: StepState, delegation: Delegation, extras: Extras, notes: tuple[str, ...]) -> str:
        """`notes`: what the worktree lacks, for the agent."""
        rounds = self._board.rounds_of(state.step.id) if delegation.round > 1 else ()
        before = [one for one in rounds if one.round < delegation.round]
        briefing = Briefing(
            self._board.run,
            state.step,
            tuple(one.step for one in self._board.states.values()),
            self._board.merged(MERGED_TOLD),
            earlier_rounds(before, overlaid=bool(extras.onto)),
            extras.for_resolver,
        )
        text = self._tools.texts.brief(briefing)
        if notes:
            text += f"\nWhat is missing in the worktree:\n{fenced(chr(10).join(notes), 'notes')}\n"
        folder = f"{self._tools.folder}/context"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = f"{folder}/{delegation.task_id}.md"
        replace_file(path, text.encode("utf-8", "replace"))
        return path


def _asked(step: Step) -> str:
    """The task in words: the title says it short, the description whole."""
    return step.description if step.description.startswith(step.title) else f"{step.title}\n\n{step.description}"
