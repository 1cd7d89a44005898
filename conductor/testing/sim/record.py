"""What the simulated provider was asked, kept for tests and written down for people."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from conductor.domain.masking import MASK, Masker, is_secret_name
from conductor.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `at` in seconds since 1970; `status` of the answer, 0 where none was sent; `headers` by name in
    lower case; `form`: anthropic, responses, chat or gemini; `path` without the fault in front of it."""

    at: float
    form: str
    path: str
    fault: str
    status: int
    model: str
    headers: Mapping[str, str]
    body: Any
    usage: Usage

    def masked_line(self) -> str:
        """One line of JSON without any key that came in."""
        headers = {name: MASK if _is_key(name) else value for name, value in self.headers.items()}
        fields = {
            "at": round(self.at, 3),
            "form": self.form,
            "path": self.path,
            "fault": self.fault,
            "status": self.status,
            "model": self.model,
            "usage": self.usage.as_dict(),
            "headers": headers,
            "body": self.body,
        }
        keys = {value.removeprefix("Bearer ") for name, value in self.headers.items() if _is_key(name)}
        return Masker(keys).mask(json.dumps(fields, ensure_ascii=False))


def _is_key(header: str) -> bool:
    return is_secret_name(header) or header in ("authorization", "x-api-key", "x-goog-api-key", "cookie")


class Recorder:
    """Keeps the last `keep` requests and, given a file, appends every one to it. Safe for threads."""

    def __init__(self, file: str | Path | None, keep: int) -> None:
        self._lock = Lock()
        self._kept: deque[Record] = deque(maxlen=keep)
        self._file = open(file, "a", encoding="utf-8", errors="backslashreplace") if file else None  # noqa: SIM115

    @property
    def kept(self) -> list[Record]:
        with self._lock:
            return list(self._kept)

    def add(self, record: Record) -> None:
        line = record.masked_line() if self._file else ""
        with self._lock:
            self._kept.append(record)
            if self._file and not self._file.closed:
                self._file.write(line + "\n")
                self._file.flush()

    def close(self) -> None:
        with self._lock:
            if self._file:
                self._file.close()
