"""Log lines of nursery and worker: the form that structlog writes in the daemon, without importing it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class JsonLog:
    """One JSON object a line on standard error: time, level, action, then the facts in `bound` and of the call."""

    def __init__(self, mask: Callable[[str], str], **bound: Any) -> None:
        self._mask = mask
        self._bound = bound

    def bind(self, **more: Any) -> JsonLog:
        return JsonLog(self._mask, **{**self._bound, **more})

    def info(self, action: str, **facts: Any) -> None:
        self._write("info", action, facts)

    def warning(self, action: str, **facts: Any) -> None:
        self._write("warning", action, facts)

    def error(self, action: str, **facts: Any) -> None:
        self._write("error", action, facts)

    def _write(self, level: str, action: str, facts: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        shown = {name: self._mask(value) if isinstance(value, str) else value for name, value in facts.items()}
        line = json.dumps({"time": now, "level": level, "action": action, **self._bound, **shown}, default=str)
        try:
            os.write(2, line.encode() + b"\n")
        except OSError:
            pass  # a log that can't be written must not stop the work
