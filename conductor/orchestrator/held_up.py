"""Whether a run stands still because of a limit: then its clock does too."""

from __future__ import annotations

from conductor.domain.view import Queued, Running
from conductor.orchestrator.board import Board
from conductor.orchestrator.merge_queue import MergeQueue
from conductor.orchestrator.rules import Tools

_LOOK_SECONDS = 2.0


class HeldUp:
    """Looks at a run's tasks every two seconds at most."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._known: dict[str, tuple[float, bool]] = {}

    def hold_up(self, board: Board, queue: MergeQueue, now: float) -> bool:
        """Whether nothing of the run moves, and limits are why."""
        if not board.specs or queue.holds(board.run.id):
            return False
        looked, known = self._known.get(board.run.id, (0.0, False))
        if now - looked >= _LOOK_SECONDS:
            known = self._look(board)
            self._known[board.run.id] = (now, known)
        return known

    def _look(self, board: Board) -> bool:
        views = [self._tools.queue.find(task_id) for task_id in board.specs]
        if any(isinstance(view, Running) for view in views) or not any(isinstance(view, Queued) for view in views):
            return False
        return all(self._tools.held_up(spec) for spec in board.specs.values())
