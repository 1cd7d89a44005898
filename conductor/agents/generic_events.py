"""Reading what a generic agent writes as JSON: one document, or one object a line, with dotted paths into it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from conductor.agents.reading import LONGEST_LINE, JsonLineReader, dollars, whole, words
from conductor.domain.agent_events import AgentEvent, CostTold, End, Error, Progress, Started, Text, UsageTold
from conductor.domain.failure import words_failure
from conductor.domain.usage import Usage


class LinesReader(JsonLineReader):
    """One object a line. Totals are told whenever they are in one, the answer and the end after the last."""

    def __init__(self, paths: Mapping[str, str], *, input_includes_cached: bool) -> None:
        super().__init__()
        self._paths = paths
        self._includes_cached = input_includes_cached
        self._counts: dict[str, int] = {}
        self._answer = self._error = ""
        self._seen = False
        self._keys = tuple({part.encode() for path in paths.values() for part in path.split(".")[-1:] if part})

    def telling(self, block: bytes) -> Iterable[bytes]:
        """Those in which one of the paths can end."""
        if not any(key in block for key in self._keys):
            return ()
        return [line for line in block.split(b"\n") if any(key in line for key in self._keys)]

    def on_object(self, told: dict[str, Any]) -> Iterator[AgentEvent]:
        self._seen = True
        session, model = words(self._found(told, "session")), words(self._found(told, "model"))
        if session or model:
            yield Started(session, model)
        text = words(self._found(told, "text"))
        if text:
            self._answer = text
            yield Text(text + "\n")
        yield from self._numbers(told)
        error = self._found(told, "error")
        if error:
            self._error = words(error)
            yield Error(self._error, words_failure(self._error), final=True)
        elif not text:
            yield Progress(words(told.get("type"))[:80])

    def on_end(self) -> Iterator[AgentEvent]:
        if not self._seen:
            return
        yield Text(self._answer, final=True)
        yield End(not self._error, self._error, words_failure(self._error))

    def _numbers(self, told: Mapping[str, Any]) -> Iterator[AgentEvent]:
        counts = {name: self._found(told, name) for name in ("input", "output", "cached")}
        new = {name: whole(count) for name, count in counts.items() if count is not None}
        if new:
            self._counts.update(new)
            cached, read = self._counts.get("cached", 0), self._counts.get("input", 0)
            read = max(0, read - cached) if self._includes_cached else read
            yield UsageTold(Usage(input=read, cached=cached, output=self._counts.get("output", 0)), total=True)
        cost = dollars(self._found(told, "cost"))
        if cost is not None:
            yield CostTold(cost, total=True)

    def _found(self, told: object, name: str) -> object:
        return found_at(told, self._paths.get(name, ""))


class DocumentReader(LinesReader):
    """One JSON object is all of the output, on as many lines as it likes."""

    def __init__(self, paths: Mapping[str, str], *, input_includes_cached: bool) -> None:
        super().__init__(paths, input_includes_cached=input_includes_cached)
        self._document: list[bytes] = []
        self._read = 0

    def feed(self, chunk: bytes) -> Sequence[AgentEvent]:
        self._read += len(chunk)
        if self._read <= LONGEST_LINE:
            self._document.append(chunk)
        return ()

    def close(self) -> Sequence[AgentEvent]:
        if self._read > LONGEST_LINE:
            return (Error(f"its output of more than {LONGEST_LINE} bytes is left out"),)
        try:
            document = json.loads(b"".join(self._document))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return (Error("its output is no JSON object"),) if self._read else ()
        return (*self._guarded(lambda: self.on_object(document)), *self._guarded(self.on_end))


def found_at(told: object, path: str) -> object:
    """What is at the dotted `path`, numbers for places in a list; None where there is nothing, or no path."""
    found = told if path else None
    for key in path.split(".") if path else ():
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and key.lstrip("-").isdigit() and -len(found) <= int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found
