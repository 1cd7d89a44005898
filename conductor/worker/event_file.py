"""agent.jsonl: what happened while the agent ran, one event a line, masked and capped."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from conductor.domain.agent_events import AgentEvent, End, Progress, Text, ToolCall, ToolResult, event_fields
from conductor.domain.lines import format_timestamp
from conductor.domain.masking import Masker
from conductor.kit.durable import create_file, write_all

_BULK = (Text, Progress, ToolCall, ToolResult)
_PENDING_BYTES = 65536


class EventFile:
    """Lines appear at once, in one write for all that came together. Beyond `cap_bytes` only what an end is judged
    by is still written: usage, limits, errors, calls; beyond as much again the end alone. Made with its first line; a
    disk that refuses costs lines, never the task."""

    def __init__(self, path: str, cap_bytes: int, masker: Masker) -> None:
        self._path = path
        self._left = cap_bytes
        self._beyond = -cap_bytes
        self._masker = masker
        self._descriptor = -1
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._last_progress = ""

    def add(self, event: AgentEvent) -> None:
        """Takes an event; repeated signs of life of one kind are written once."""
        if isinstance(event, Progress):
            if event.what == self._last_progress:
                return
            self._last_progress = event.what
        else:
            self._last_progress = ""
        if not isinstance(event, End) and self._left <= (0 if isinstance(event, _BULK) else self._beyond):
            return
        self.add_fields(event_fields(event))

    def add_fields(self, fields: dict[str, Any]) -> None:
        line = json.dumps({"at": format_timestamp(time.time()), **fields}, ensure_ascii=False)
        raw = self._masker.mask_bytes(line.encode("utf-8", "replace")) + b"\n"
        self._left -= len(raw)
        self._pending.append(raw)
        self._pending_bytes += len(raw)
        if self._pending_bytes > _PENDING_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        raw, self._pending, self._pending_bytes = b"".join(self._pending), [], 0
        try:
            if self._descriptor < 0:
                self._descriptor = create_file(self._path)
            write_all(self._descriptor, raw)
        except OSError:
            return

    def close(self) -> None:
        self.flush()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
