"""What happened: written in the same transaction as what it changed, then told."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from conductor.domain.run import Activity, Changes, Delegation, Run, StepState
from conductor.ports.orchestration import Store, Teller

_MOST_UNTOLD = 1000
_TELL_AGAIN_SECONDS = 2.0


class Journal:
    """One project's. `tell` hands on what was written since it was last heard, in order, each at least once."""

    def __init__(
        self,
        project: str,
        store: Store,
        teller: Teller,
        show: Callable[[Sequence[Activity]], None],
        clock: Callable[[], float],
    ) -> None:
        self._show = show
        self._project = project
        self._store = store
        self._teller = teller
        self._clock = clock
        self._noted: list[Activity] = []
        self._key = f"told:{project}"
        self._told = int(store.remembered(self._key).get("sequence", 0))
        self._has_untold = True
        self._tell_at = 0.0

    def note(self, action: str, run_id: str, step_id: str = "", **facts: Any) -> None:
        """Written with the next `save`."""
        self._noted.append(Activity(self._clock(), action, self._project, run_id, step_id, facts))

    def save(
        self, run: Run | None = None, steps: tuple[StepState, ...] = (), delegations: tuple[Delegation, ...] = ()
    ) -> None:
        activity, self._noted = tuple(self._noted), []
        self._has_untold = self._has_untold or bool(activity)
        self._store.save(Changes(run, steps, delegations, activity))
        if activity:
            self._show(activity)

    def replace_steps(self, run: Run, steps: tuple[StepState, ...]) -> None:
        """The plan of the run."""
        self._store.replace_steps(run, steps)
        self.save(run)

    def tell(self, now: float = math.inf) -> None:
        """What nobody heard stays for a later time, which is not the next one: who does not listen takes long to say
        so. Without `now` it is tried in any case."""
        if not self._has_untold or now < self._tell_at:
            return
        fresh = self._store.activity(self._told, project=self._project, limit=_MOST_UNTOLD)
        if fresh and not self._teller(fresh):
            self._tell_at = now + _TELL_AGAIN_SECONDS
            return
        self._has_untold = len(fresh) == _MOST_UNTOLD
        if fresh:
            self._told = fresh[-1].sequence
            self._store.remember(self._key, {"sequence": self._told})
