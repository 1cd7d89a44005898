"""Follows one running agent: its events on file and added up, and whether it must stop because of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from conductor.domain.agent_events import AgentEvent, Call, Error, Limit
from conductor.domain.failure import Failure, status_failure
from conductor.domain.tally import Tally
from conductor.ports import EventReader, Gate
from conductor.worker.cut import Cut
from conductor.worker.event_file import EventFile
from conductor.worker.spending import Meter

_HOPELESS = (Failure.BAD_KEY, Failure.BAD_MODEL, Failure.BUDGET)
_OWN_END_SECONDS = 5.0
"""An agent whose model calls are hopeless may first tell so itself."""
_FAILED_CALLS = 6
"""In a row: then its own retries are not waited for any longer."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a limit may be for the agent to wait it out by itself, in seconds."""

    wait_in_run: float = 60.0


class Watch:
    """One attempt's. `notice` tells the daemon what is worth an event there."""

    def __init__(
        self,
        reader: EventReader | None,
        gate: Gate | None,
        events: EventFile,
        meter: Meter | None,
        patience: Patience,
        notice: Callable[[str, dict[str, object]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.tally = Tally()
        self.cut_by: Limit | Call | None = None
        """What decided that the agent must end: what it says as it dies may tell otherwise."""
        self.gate = gate
        self._reader = reader
        self._events = events
        self._meter = meter
        self._patience = patience
        self._notice = notice
        self._clock = clock
        self._hopeless_since: float | None = None
        self._warned = ""
        self._is_closed = False

    @property
    def is_structured(self) -> bool:
        return self._reader is not None

    def begin(self) -> None:
        """The agent is starting: what can be done meanwhile does not hold it up."""
        if self._meter is not None:
            self._meter.begin(time.monotonic())

    def hear(self, chunk: bytes) -> None:
        """What the agent wrote to its standard output."""
        if self._reader is not None:
            self._take(self._read(self._reader.feed, chunk))

    def _read(self, read: Callable[..., Sequence[AgentEvent]], *chunk: bytes) -> Sequence[AgentEvent]:
        """A reader may be anybody's code: what it raises is an event, and the agent goes on."""
        try:
            return read(*chunk)
        except Exception as error:
            return (Error(f"the agent's reader broke: {type(error).__name__}: {error}"[:300]),)

    def look_at_calls(self) -> None:
        """What the gate saw."""
        if self.gate is not None:
            self._take(self.gate.take())

    def end_of_output(self) -> None:
        if self._reader is not None:
            self._take(self._read(self._reader.close))

    def close(self) -> None:
        """After the last process is gone; again, it changes nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.gate is not None:
            self.gate.close()
            self.look_at_calls()
        if self._meter is not None:
            self._meter.settle(self.tally)
            self._warn(self._meter.warning)
        self._events.close()

    def _take(self, events: Iterable[AgentEvent]) -> None:
        for event in events:
            self.tally.take(event)
            self._events.add(event)
        self._events.flush()

    def why_cut(self, now: float) -> Cut | None:
        """Whether the agent must end now; `now` in monotonic seconds."""
        if self._meter is not None:
            self._meter.update(self.tally, now)
            self._warn(self._meter.warning)
            if self._meter.spent:
                if self.gate is not None:
                    self.gate.refuse(self._meter.spent)
                return Cut.BUDGET
        if self.tally.limit is not None and self._is_long(self.tally.limit):
            self.cut_by = self.tally.limit
            return Cut.LIMITED
        if self._is_hopeless(now):
            self.cut_by = self.tally.last_call
            return Cut.HOPELESS
        return None

    @property
    def spent(self) -> str:
        return self._meter.spent if self._meter is not None else ""

    def _warn(self, warning: str) -> None:
        if warning and warning != self._warned:
            self._warned = warning
            self._events.add_fields({"event": "budget_warning", "used": warning})
            self._events.flush()
            self._notice("budget_warning", {"used": warning})

    def _is_long(self, limit: Limit) -> bool:
        """Whether waiting it out in the run is not worth it. Of one without a time the agent's own retries decide."""
        return limit.resets_at is not None and limit.resets_at - self._clock() > self._patience.wait_in_run

    def _is_hopeless(self, now: float) -> bool:
        call = self.tally.last_call
        if call is None or not self.tally.failed_calls:
            self._hopeless_since = None
            return False
        if self.tally.failed_calls >= _FAILED_CALLS:
            return True
        if status_failure(call.status, call.error) not in _HOPELESS:
            return False
        if self._hopeless_since is None:
            self._hopeless_since = now
        return now - self._hopeless_since >= _OWN_END_SECONDS
