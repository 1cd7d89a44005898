"""What the loop tells while it runs: one JSON line for each event."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from conductor.agents.reading import JsonLineReader
from conductor.domain.agent_events import AgentEvent, Progress, Text, UsageTold, event_fields, event_from_fields
from conductor.domain.usage import Usage

_TEXT_EVERY_SECONDS = 0.25
_SIGN_EVERY_SECONDS = 1.0


class Voice:
    """Writes events to `descriptor`. Words are gathered for a quarter of a second: a line for each would cost more
    than the words; signs of life are told at most once a second."""

    def __init__(self, descriptor: int, now: Callable[[], float]) -> None:
        self._descriptor = descriptor
        self._now = now
        self._words: list[str] = []
        self._told_words = self._told_sign = float("-inf")
        self.used = Usage()
        """All that was told."""

    def tell(self, event: AgentEvent) -> None:
        self.flush()
        if isinstance(event, UsageTold):
            self.used += event.usage
        self._write(event)

    def say(self, text: str) -> None:
        """Words of the answer as they come."""
        if not text:
            return
        self._words.append(text)
        if self._now() - self._told_words >= _TEXT_EVERY_SECONDS:
            self.flush()

    def live(self, what: str) -> None:
        """A sign of life that is nothing else."""
        if self._now() - self._told_sign >= _SIGN_EVERY_SECONDS:
            self._told_sign = self._now()
            self.tell(Progress(what))

    def flush(self) -> None:
        if self._words:
            text = "".join(self._words)
            self._words.clear()
            self._told_words = self._now()
            self._write(Text(text))

    def interrupt(self) -> None:
        """Ends a line that a signal may have cut in half."""
        self._words.clear()
        os.write(self._descriptor, b"\n")

    def _write(self, event: AgentEvent) -> None:
        line = json.dumps(event_fields(event)).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]


class EventLines(JsonLineReader):
    """Reads what a Voice wrote; any other line (a warning of a library) is no event."""

    def on_object(self, told: dict[str, object]) -> list[AgentEvent]:
        return [event_from_fields(told)]
