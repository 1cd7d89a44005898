"""events.jsonl: one JSON object an event with a sequence number. conductord is its only writer.

Each line carries `results`, how many bytes of results.txt have been told: after a restart the lines that were
appended meanwhile are read from there, so every finished attempt has its event exactly once, or twice when the
daemon was killed between two writes of the same moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from conductor.domain.errors import BadTask
from conductor.domain.lines import format_timestamp, parse_result
from conductor.domain.outcome import Status
from conductor.kit.durable import write_all

_LAST_LINE_WITHIN = 65536


class EventLog:
    """Appends events; `follow_results` turns new lines of results.txt into events."""

    def __init__(self, path: str, results_path: str, clock: Callable[[], float], mask: Callable[[str], str]) -> None:
        self._clock = clock
        self._mask = mask
        self._results_path = results_path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        last = self._last_event()
        self._sequence = int(last.get("seq", 0))
        self._told = int(last.get("results", 0))
        self.finished: dict[str, int] = {}

    def emit(self, action: str, **facts: object) -> None:
        self._write([self._line(action, facts)])

    def follow_results(self) -> bool:
        """Emits one event for each new whole line of results.txt; tells whether any attempt is to be retried."""
        try:
            with open(self._results_path, "rb") as file:
                file.seek(self._told)
                fresh = file.read()
        except FileNotFoundError:
            return False
        whole = fresh[: fresh.rfind(b"\n") + 1]
        lines = whole.splitlines(keepends=True)
        events = []
        for line in lines:
            self._told += len(line)
            events.append(self._finished(line))
        self._write(events)
        return any("|RETRY|" in line.decode("utf-8", "replace") for line in lines)

    def _finished(self, line: bytes) -> str:
        try:
            result = parse_result(line.decode())
        except (BadTask, UnicodeDecodeError) as error:
            return self._line("result_unreadable", {"error": str(error)})
        self.finished[result.status.value] = self.finished.get(result.status.value, 0) + 1
        action = "task_retrying" if result.status is Status.RETRY else "task_finished"
        facts = {"task": result.task_id, "worker": result.worker_id, "status": result.status.value}
        return self._line(action, {**facts, "at": result.timestamp, "preview": result.preview})

    def _line(self, action: str, facts: dict[str, Any]) -> str:
        self._sequence += 1
        now = format_timestamp(self._clock())
        event = {"seq": self._sequence, "time": now, "action": action, **facts, "results": self._told}
        return self._mask(json.dumps(event, default=str)) + "\n"

    def _write(self, lines: list[str]) -> None:
        if lines:
            write_all(self._descriptor, "".join(lines).encode())

    def _last_event(self) -> dict[str, Any]:
        """The last whole event; a torn line behind it is cut off."""
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - _LAST_LINE_WITHIN)
        text = os.pread(self._descriptor, size - start, start)
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            os.ftruncate(self._descriptor, start + len(whole))
        for line in reversed(whole.splitlines()):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "seq" in event:
                return event
        return {}

    def close(self) -> None:
        os.close(self._descriptor)
