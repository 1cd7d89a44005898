"""A home that a service shares with the members of a group: who may do what, and whose a task is.

Whose it is stands in the task's id: `u1000.` in front. So nothing has to be kept beside the queue that could be lost or
forged, and `ls`, results.txt and events.jsonl tell it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from conductor.domain.errors import UsageError


class Standing(Enum):
    NOBODY = "nobody"
    MEMBER = "member"
    OPERATOR = "operator"


OF_MEMBERS = frozenset("submit list show logs results ended cancel retry".split())
OF_OPERATORS = frozenset("status scale drain stop reload pause resume".split())
"""What only operators may do, beside all that members may with their own tasks, and operators with every task."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user at the door of a shared home."""

    uid: int
    standing: Standing

    @property
    def prefix(self) -> str:
        return f"u{self.uid}."

    def own_id(self, task_id: str) -> str:
        """`task_id` as one of this person's, whoever seems to be named in it."""
        return task_id if task_id.startswith(self.prefix) else self.prefix + task_id

    def meant_id(self, task_id: str) -> str:
        """The task that is meant by `task_id`: a member can only mean his own, an operator any by its whole id."""
        return task_id if self.standing is Standing.OPERATOR else self.own_id(task_id)

    def may_see(self, task_id: str) -> bool:
        return self.standing is Standing.OPERATOR or (
            self.standing is Standing.MEMBER and task_id.startswith(self.prefix)
        )

    def check_may(self, verb: str) -> None:
        """Raises UsageError where this person may not do that."""
        if self.standing is Standing.OPERATOR and verb in OF_MEMBERS | OF_OPERATORS:
            return
        if self.standing is Standing.MEMBER and verb in OF_MEMBERS:
            return
        if verb in OF_OPERATORS:
            raise UsageError(f"{verb} is for operators of this home: its settings name their group in `shared`")
        raise UsageError(f"unknown verb {verb[:40]!r}")
