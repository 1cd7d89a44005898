"""How far tasks of other programs are, and which of them are left to be done.

A state is "" (to be done), `done`, or why it is left out: `deferred`, `waiting for 3`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

DONE = "done"
CANCELLED = frozenset({"cancelled", "canceled"})
_DONE_WORDS = frozenset({"done", "completed", "complete"})
_HELD_WORDS = frozenset({"deferred", "review", "blocked"}) | CANCELLED
"""Not done, and not to be done now: a person has it."""


def state_of(status: object) -> str:
    word = str(status or "").strip().lower()
    return DONE if word in _DONE_WORDS else word if word in _HELD_WORDS else ""


def with_those_that_wait(states: Mapping[str, str], waits_for: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """The states, where whatever waits for something that is left out is left out too."""
    spread = dict(states)
    waiting: dict[str, list[str]] = {}
    for task_id, others in waits_for.items():
        for other in others:
            waiting.setdefault(other, []).append(task_id)
    held = [task_id for task_id, state in states.items() if state not in ("", DONE)]
    for task_id in held:
        for other in waiting.get(task_id, ()):
            if not spread[other]:
                spread[other] = f"waiting for {task_id}"
                held.append(other)
    return spread


def notes_of(states: Mapping[str, str], what: str) -> tuple[str, ...]:
    """For people: how many of `what` are done, and what is left out, and why."""
    done = sum(state == DONE for state in states.values())
    counted = (f"{done} of {len(states)} {what} are done",) if done else ()
    left_out = (f"{task_id} is {state}: it is left out" for task_id, state in states.items() if state not in ("", DONE))
    return (*counted, *left_out)
