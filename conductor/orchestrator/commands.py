"""Commands that a model wrote, and which of them a project lets run unseen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from conductor.domain.plan import COMMAND_AGENT, Plan, Step

_SHELL_CONTROL = frozenset(";&|`$()<>")
_STARS = re.compile(r"\*+")
_MOST_MATCHED = 4096
"""Characters; a longer command is nothing that a wildcard was meant for."""


class CommandKind(StrEnum):
    CHECK = "check"
    """Of the whole plan: what must pass before each merge."""
    VERIFY = "verify"
    STEP = "step"
    """What a step of the agent `command` runs."""


@dataclass(frozen=True, slots=True)
class UnseenCommand:
    """One that a person has to see before it runs. `step_id` is empty for the plan's own check."""

    step_id: str
    kind: CommandKind
    command: str


def unseen_commands(plan: Plan, allow: Sequence[str]) -> tuple[UnseenCommand, ...]:
    """Of a plan that a model wrote, the commands that no glob of `allow` matches, in the order of the plan."""
    if not plan.from_model:
        return ()
    whole = [UnseenCommand("", CommandKind.CHECK, plan.check)]
    found = whole + [one for step in plan.steps for one in _commands_of(step)]
    return tuple(one for one in found if one.command.strip() and not is_allowed(one.command, allow))


def _commands_of(step: Step) -> list[UnseenCommand]:
    found = [UnseenCommand(step.id, CommandKind.VERIFY, step.verify)]
    if step.agent == COMMAND_AGENT:
        found.append(UnseenCommand(step.id, CommandKind.STEP, step.description))
    return found


def is_allowed(command: str, allow: Sequence[str]) -> bool:
    """Whether one glob of `allow` matches the whole of `command`."""
    return any(matches(pattern.strip(), command.strip(" \t")) for pattern in allow)


def matches(pattern: str, command: str) -> bool:
    """Whether `pattern` is `command`, where `*` stands for any characters and `?` for one.

    Neither stands for a character with which a shell begins another command, opens a file or puts something in
    place of what is written, nor for one that can't be seen: those have to be in the pattern itself, at that place.
    """
    if "*" not in pattern and "?" not in pattern:
        return bool(pattern) and pattern == command
    return len(command) <= _MOST_MATCHED and _reaches_the_end(_STARS.sub("*", pattern), command)


def _reaches_the_end(pattern: str, command: str) -> bool:
    """Follows every way through the pattern at once: no command makes it slow."""
    places = _past_stars({0}, pattern)
    for character in command:
        harmless = character.isprintable() and character not in _SHELL_CONTROL
        stepped = {
            place if pattern[place] == "*" else place + 1
            for place in places
            if place < len(pattern) and _fits(pattern[place], character, harmless=harmless)
        }
        places = _past_stars(stepped, pattern)
        if not places:
            return False
    return len(pattern) in places


def _fits(wanted: str, character: str, *, harmless: bool) -> bool:
    return harmless if wanted in "*?" else wanted == character


def _past_stars(places: set[int], pattern: str) -> set[int]:
    """`places`, and those behind a `*` that stands for nothing."""
    return places | {place + 1 for place in places if place < len(pattern) and pattern[place] == "*"}
