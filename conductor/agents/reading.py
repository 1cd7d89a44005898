"""Reading a stream of JSON lines that somebody else's program writes: whatever comes, nothing is raised."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from conductor.domain.agent_events import AgentEvent, Error

_DECODER = json.JSONDecoder()
_LARGEST_NUMBER = 1e15
"""Of tokens or of dollars; what is more, infinite or not a number is a fault of who tells it."""

LONGEST_LINE = 8 * 1_048_576
"""Bytes; what is longer is left out and said so."""


class JsonLineReader:
    """Cuts bytes into lines and hands each JSON object to `on_object`, each other line to `on_other`."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0
        self._overlong = False

    def on_object(self, told: dict[str, Any]) -> Iterable[AgentEvent]:
        """The events in one object; what it raises on a strange form becomes an Error event."""
        raise NotImplementedError

    def on_other(self, line: str) -> Iterable[AgentEvent]:
        """A line that is no JSON object."""
        return ()

    def on_end(self) -> Iterable[AgentEvent]:
        """After the last line."""
        return ()

    def telling(self, block: bytes) -> Iterable[bytes]:
        """The lines of `block` that are worth parsing: an agent that streams fast must not wait for the others."""
        return block.split(b"\n")

    def feed(self, chunk: bytes) -> Sequence[AgentEvent]:
        whole_lines, newline, rest = chunk.rpartition(b"\n")
        if not newline:
            self._keep(chunk)
            return []
        events: list[AgentEvent] = []
        if self._pieces or self._overlong:
            first, newline, whole_lines = whole_lines.partition(b"\n")
            events.extend(self._ended(first))
        if newline:
            for line in self.telling(whole_lines):
                events.extend(self._ended(line))
        self._keep(rest)
        return events

    def close(self) -> Sequence[AgentEvent]:
        events = list(self._ended(b""))
        events.extend(self._guarded(self.on_end))
        return events

    def _keep(self, piece: bytes) -> None:
        if not piece or self._overlong:
            return
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > LONGEST_LINE:
            self._overlong = True
            self._pieces.clear()

    def _ended(self, last_piece: bytes) -> Iterable[AgentEvent]:
        self._keep(last_piece)
        line, overlong = b"".join(self._pieces), self._overlong
        self._pieces, self._length, self._overlong = [], 0, False
        if overlong:
            return (Error(f"a line of more than {LONGEST_LINE} bytes left out"),)
        return self._line_events(line.strip()) if any(self.telling(line)) else ()

    def _line_events(self, line: bytes) -> Iterable[AgentEvent]:
        if not line:
            return ()
        if line.startswith(b"{"):
            try:
                told = _DECODER.decode(line.decode())
            except (ValueError, RecursionError):
                told = None
            if isinstance(told, dict):
                return self._guarded(lambda: self.on_object(told))
        return self._guarded(lambda: self.on_other(line.decode("utf-8", "replace")))

    def _guarded(self, read: Any) -> list[AgentEvent]:
        try:
            return list(read())
        except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            return [Error(f"an event in an unknown form: {type(error).__name__}: {error}"[:300])]


def whole(value: object) -> int:
    """A count as somebody else's program told it: anything that is no number of at least nothing is nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LARGEST_NUMBER:
        return 0
    return int(value)


def dollars(value: object) -> float | None:
    """Money as somebody else's program told it; None where that is no amount: unknown is not 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST_NUMBER:
        return None
    return float(value)


def words(value: object) -> str:
    """Text as somebody else's program told it: text as it is, nothing for none, else its JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
