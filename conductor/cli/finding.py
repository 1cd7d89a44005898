"""The run that a person means: by its id or the beginning of one, and the desk that commands about runs sit at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from conductor.domain.errors import NoSuchRun, UsageError
from conductor.domain.task import ID_PATTERN

if TYPE_CHECKING:
    from conductor.cli.watching import Desk
    from conductor.domain.run import Run, StepState
    from conductor.ports.orchestration import Store

_PREFIX = "r-"


def open_desk(home_flag: str | None) -> Desk:
    """Raises HomeRefused, SettingsInvalid, StoreRefused."""
    from conductor.app import open_layout
    from conductor.app.stores import open_store
    from conductor.cli.watching import Desk
    from conductor.settings.model import load_settings

    layout = open_layout(home_flag, os.environ)
    settings = load_settings(layout.home, os.environ)
    return Desk(layout, settings, open_store(layout.home, settings))


def find_run(store: Store, text: str) -> Run:
    """The run of that id, or the only one whose id begins so, `r-` left out or not. Raises NoSuchRun, UsageError."""
    if not ID_PATTERN.fullmatch(text):
        raise NoSuchRun(text[:80])
    exact = store.run(text)
    if exact is not None:
        return exact
    found = [run for run in store.runs() if run.id.startswith((text, _PREFIX + text))]
    if len(found) > 1:
        some = ", ".join(run.id for run in found[:5])
        raise UsageError(f"{len(found)} runs begin with {text!r} ({some}): write more of the id")
    if not found:
        raise NoSuchRun(text)
    return found[0]


def find_step(store: Store, run: Run, text: str) -> StepState:
    """The step of that id. Raises UsageError naming what there is."""
    states = store.steps(run.id)
    for state in states:
        if state.step.id == text:
            return state
    from difflib import get_close_matches

    near = get_close_matches(text, [state.step.id for state in states], n=3, cutoff=0.0)
    hint = f": did you mean {', '.join(near)}?" if near else f": `conductor runs show {run.id}` shows them"
    raise UsageError(f"no step {text[:80]!r} in {run.id}{hint}")
