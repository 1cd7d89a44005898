"""Tasks that an orchestrator gives to a model for a run itself: to plan it, to review it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace

from conductor.domain.agent_setup import Autonomy
from conductor.domain.errors import DuplicateTask
from conductor.domain.outcome import Status
from conductor.domain.run import Delegation, DelegationState, task_id_of
from conductor.domain.task import TaskSpec, parse_fallback
from conductor.domain.view import Ended
from conductor.kit.durable import replace_file
from conductor.orchestrator.board import Board
from conductor.orchestrator.rules import Tools

SIDE_TIMEOUT_SECONDS = 1800.0


class SideTask:
    """Rounds of one such thing, `what` in its task ids: `-plan`, `-review` (no step's id begins with a dash)."""

    def __init__(self, tools: Tools, board: Board, what: str) -> None:
        self._tools = tools
        self._board = board
        self._what = what

    def rounds(self) -> tuple[Delegation, ...]:
        return self._board.rounds_of(self._what)

    def under_way(self) -> Delegation | None:
        return next((one for one in self._board.open.values() if one.step_id == self._what), None)

    def ask(self, who: str, prompt: str) -> None:
        """Another round, by AGENT[:MODEL]. The prompt is kept as a file; the task only looks, it changes nothing."""
        number = len(self.rounds()) + 1
        agent, model = parse_fallback(who)
        task_id = task_id_of(self._board.run.id, self._what, number)
        folder = f"{self._tools.folder}/context"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = f"{folder}/{task_id}.md"
        replace_file(path, prompt.encode("utf-8", "replace"))
        now = self._tools.clock()
        delegation = Delegation(
            task_id, self._board.run.id, self._what, number, DelegationState.SPAWNING, now, agent, model, context=path
        )
        self._board.note(f"{self._what.removeprefix('-')}_asked", agent=agent, model=model, round=number)
        self._board.set_round(delegation)
        self.submit(delegation)

    def submit(self, delegation: Delegation) -> None:
        """Puts the task into the queue, where it may be already."""
        with open(delegation.context, encoding="utf-8") as file:
            prompt = file.read()
        spec = TaskSpec(
            delegation.task_id,
            prompt,
            model=delegation.model,
            agent=delegation.agent,
            pool=self._tools.pool_of(delegation.agent),
            timeout_seconds=SIDE_TIMEOUT_SECONDS,
            retries=1,
            workspace=self._board.run.workspace or self._tools.folder,
            submitted_ms=int(self._tools.clock() * 1000),
            project=self._board.run.project if self._board.run.isolated else "",
            autonomy=Autonomy.READ_ONLY.value,
        )
        with suppress(DuplicateTask):
            self._tools.queue.submit(spec)
        self._board.specs[spec.id] = spec
        self._board.set_round(replace(delegation, state=DelegationState.WORKING))
        self._tools.ring(spec.id)

    def resume(self) -> None:
        """After a restart: the round under way goes on."""
        delegation = self.under_way()
        if delegation is None:
            return
        if delegation.state is DelegationState.SPAWNING or self._tools.queue.find(delegation.task_id) is None:
            self.submit(delegation)

    def answered(self, view: Ended) -> tuple[Delegation, str]:
        """The round that ended and its answer, empty where it failed: the caller judges and records it."""
        delegation = self._board.open[view.task_id]
        if view.status is not Status.SUCCESS:
            return replace(delegation, reason=str(view.record.get("reason", "")) or view.status.value), ""
        return delegation, self._tools.answer(view.task_id)

    def over(self, delegation: Delegation, state: DelegationState, reason: str = "") -> None:
        self._board.set_round(replace(delegation, state=state, reason=reason, ended=self._tools.clock()))
