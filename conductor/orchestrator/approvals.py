"""When a run asks a person, and what for: pure decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conductor.domain.run import Asks, Run, RunAutonomy, RunStatus, StepState, StepStatus, Wish


def is_called_for(run: Run, wish: Wish) -> bool:
    """Whether there is anything to do for it: it does not wait for a person, or one has said something."""
    waits = run.status is RunStatus.WAITING and wish.approved < run.asked
    return not waits or wish.stop or bool(wish.accept or wish.again)


@dataclass(frozen=True, slots=True)
class Ask:
    what: Asks
    about: tuple[str, ...] = ()
    """Commands, or the ids of the wave's steps."""


def before_start(run: Run, unseen_commands: tuple[str, ...]) -> Ask | None:
    """What is asked when the plan is there. Commands that a model wrote are asked for whatever the autonomy."""
    if run.asked:
        return None
    if run.plan_only or run.autonomy is not RunAutonomy.FULL:
        return Ask(Asks.PLAN, unseen_commands)
    return Ask(Asks.COMMANDS, unseen_commands) if unseen_commands else None


def before_wave(run: Run, states: Iterable[StepState]) -> Ask | None:
    """In manual runs: the next wave, once nothing of the released ones is left to do."""
    if run.autonomy is not RunAutonomy.MANUAL:
        return None
    open_waves = [state for state in states if not state.is_over]
    if not open_waves or min(state.wave for state in open_waves) <= run.wave:
        return None
    wave = min(state.wave for state in open_waves)
    return Ask(
        Asks.WAVE,
        tuple(state.step.id for state in open_waves if state.wave == wave and state.status is StepStatus.PENDING),
    )
