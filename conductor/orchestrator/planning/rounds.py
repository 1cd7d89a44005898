"""Who is asked for a plan next: the faults go back to whoever made them, then the next one is asked, then it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conductor.domain.errors import UsageError

MOST_TIMES_AGAIN = 2
"""How often faults are sent back to one planner."""

_FAULTS_TOLD = 5
_NO_PLANNER = """\
can't take the request apart: no planner is configured, nor a default agent that asks a model. Name one in
conductor.yaml

  orchestrator:
    planner: [claude:opus]        # agent or agent:model, the best one first

(`conductor agents` shows which are here; `conductor init` makes one the default), or write the plan by hand and run it
with `conductor run plan.yaml --project NAME`:

  name: dark-mode
  steps:
    - id: theme
      title: A dark theme
      description: Add the colours of a dark theme to src/theme.css, chosen by a class on the body.
      files: [src/theme.css]
    - id: switch
      title: The switch in the settings
      description: A switch on the settings page that turns the dark theme on and remembers it.
      depends_on: [theme]
      files: ["src/settings/*"]"""


@dataclass(frozen=True, slots=True)
class Tried:
    """One asking of one planner, and what was wrong with it."""

    planner: str
    """`agent` or `agent:model`."""
    faults: tuple[str, ...] = ()
    """Of the answer, fit to be sent back; none: there was no answer, `reason` says why."""
    reason: str = ""
    """Why its task ended without an answer."""
    kept: str = ""
    """Path of what was received."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this planner. `again`: the faults of its last answer, none where it is asked for the first time."""

    planner: str
    again: tuple[str, ...] = ()
    times: int = 1
    """The how manieth asking of this planner it is."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody is left to ask; a line or more for each planner, with the paths of what was received."""

    reasons: tuple[str, ...]

    @property
    def told(self) -> str:
        lines = "\n".join(f"  {reason}" for reason in self.reasons)
        return (
            f"no planner gave a plan that can be run:\n{lines}\n"
            "Write the plan by hand (`conductor run plan.yaml`) or say the request in other words."
        )


def next_asking(planners: Sequence[str], history: Sequence[Tried]) -> Ask | GiveUp:
    """What follows after `history`. Raises UsageError where no planner is configured."""
    order = tuple(dict.fromkeys(planners))
    if not order:
        raise UsageError(_NO_PLANNER)
    for planner in order:
        tries = [tried for tried in history if tried.planner == planner]
        if not tries:
            return Ask(planner)
        last = tries[-1]
        if last.faults and len(tries) <= MOST_TIMES_AGAIN:
            return Ask(planner, last.faults, len(tries) + 1)
    return GiveUp(tuple(_told(tried) for tried in history))


def _told(tried: Tried) -> str:
    said = "; ".join(tried.faults[:_FAULTS_TOLD]) or tried.reason or "it gave no answer"
    more = f"; and {len(tried.faults) - _FAULTS_TOLD} more" if len(tried.faults) > _FAULTS_TOLD else ""
    kept = f" (kept: {tried.kept})" if tried.kept else ""
    return f"{tried.planner}: {' '.join(said.split())}{more}{kept}"
