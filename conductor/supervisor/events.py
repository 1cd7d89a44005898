"""events.jsonl: one JSON object an event with a sequence number. conductord is its only writer.

Each line carries `results`, the position (`kit.segments`) up to which results.txt has been told: after a restart the
lines that were appended meanwhile are read from there, so every finished attempt has its event exactly once, or twice
when the daemon was killed between two writes of the same moment. It is rotated like results.txt: where events.jsonl is
empty, the last event is the last of the newest segment.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from conductor.domain.errors import BadTask
from conductor.domain.lines import format_timestamp, parse_result
from conductor.domain.outcome import Status
from conductor.kit.durable import write_all
from conductor.kit.segments import Follower, older_segments, open_to_append, prune, rotate

_LAST_LINE_WITHIN = 65536


class EventLog:
    """Appends events; `follow_results` turns new lines of results.txt into events."""

    def __init__(self, path: str, results_path: str, clock: Callable[[], float], mask: Callable[[str], str]) -> None:
        self._clock = clock
        self._mask = mask
        self._path = path
        self._results_path = results_path
        self._descriptor = open_to_append(path)
        last = _last_event(self._descriptor) or self._last_before()
        self._sequence = int(last.get("seq", 0))
        self._results = Follower(results_path, int(last.get("results", 0)))
        self.told = self._results.position
        """The position up to which results.txt has been told."""
        self.finished: dict[str, int] = {}
        self._lost = 0

    def emit(self, action: str, **facts: object) -> None:
        """Appends one event. Where the disk refuses it is lost, and the next one that is written says how many were."""
        if self._lost and self._write([self._line("events_lost", {"events": self._lost})]):
            self._lost = 0
        if self._lost or not self._write([self._line(action, facts)]):
            self._lost += 1

    def follow_results(self) -> bool:
        """Emits one event for each new whole line of results.txt; tells whether any attempt is to be retried."""
        has_retry = False
        while lines := self._results.read():
            before = (self.told, dict(self.finished))
            events = []
            for line in lines.splitlines(keepends=True):
                self.told += len(line)
                events.append(self._finished(line))
            self.told = self._results.position
            has_retry = has_retry or b"|RETRY|" in lines
            if not self._write(events):
                self.told, self.finished = before  # they are told the next time
                self._results.close()
                self._results = Follower(self._results_path, self.told)
                break
        return has_retry

    def rotate(self, largest: int, keep: int) -> bool:
        """Begins the file anew when it has more than `largest` bytes; the last `keep` older segments stay."""
        if self._descriptor < 0 or os.fstat(self._descriptor).st_size <= largest or not rotate(self._path):
            return False
        os.close(self._descriptor)
        self._descriptor = -1  # the next event opens the new one, or is lost on a disk that refuses even that
        prune(self._path, keep, sys.maxsize)
        return True

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
        shown = {name: self._mask(value) if isinstance(value, str) else value for name, value in facts.items()}
        event = {"seq": self._sequence, "time": now, "action": action, **shown, "results": self.told}
        return self._mask(json.dumps(event, default=str)) + "\n"

    def _write(self, lines: list[str]) -> bool:
        """Whether the disk took all of `lines`; else it holds none: a full one costs events, never the daemon."""
        end = -1
        try:
            if self._descriptor < 0:
                self._descriptor = open_to_append(self._path)
            end = os.fstat(self._descriptor).st_size
            write_all(self._descriptor, "".join(lines).encode())
        except OSError:
            self._sequence -= len(lines)
            if end >= 0:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, end)
            return False
        return True

    def _last_before(self) -> dict[str, Any]:
        """The last event of the newest segment, where the file itself has none yet."""
        for segment in reversed(older_segments(self._path)):
            descriptor = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if event := _last_event(descriptor):
                    return event
            finally:
                os.close(descriptor)
        return {}

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._results.close()


def _last_event(descriptor: int) -> dict[str, Any]:
    """The last whole event; a torn line behind it is cut off."""
    size, within = os.fstat(descriptor).st_size, _LAST_LINE_WITHIN
    while True:
        start = max(0, size - within)
        whole, newline, torn = os.pread(descriptor, size - start, start).rpartition(b"\n")
        if torn and (newline or start == 0):
            os.ftruncate(descriptor, size - len(torn))
        event = _last_of(whole.split(b"\n") if start == 0 else whole.split(b"\n")[1:])
        if event or start == 0:
            return event
        within *= 8


def _last_of(lines: list[bytes]) -> dict[str, Any]:
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "seq" in event:
            return event
    return {}
