"""How a task ended, as a program sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from conductor.domain.home import Home
from conductor.domain.lines import parse_result
from conductor.domain.outcome import Status
from conductor.domain.usage import Usage
from conductor.domain.view import Ended
from conductor.kit.durable import read_bytes

_MOST_TEXT = 64 << 20


@dataclass(frozen=True, slots=True)
class Result:
    """How the last attempt of a task ended: no other follows unless somebody asks for it."""

    task_id: str
    status: Status
    preview: str
    """What it said, in at most 200 characters."""
    reason: str
    """Why it did not end well, in one line; empty where it did."""
    attempt: int
    folder: str
    """The attempt's own: RESULT.txt, SUMMARY.txt, agent.log, result.json."""
    agent: str = ""
    model: str = ""
    """The one really used, as far as it was told."""
    failure: str = ""
    """The class of what went wrong: `network`, `limit`, `verify`, ...; empty: none, or of the agent `command`."""
    exit_code: int | None = None
    signal: int | None = None
    started: str = ""
    """RFC 3339, as `ended`."""
    ended: str = ""
    seconds: float = 0.0
    usage: Usage | None = None
    """Tokens; None: no model was asked, or nobody told."""
    usd: float | None = None

    @property
    def ok(self) -> bool:
        return self.status is Status.SUCCESS

    @property
    def text(self) -> str:
        """RESULT.txt, whole: what the agent answered. Empty where there is none (any more)."""
        try:
            return read_bytes(f"{self.folder}/RESULT.txt", _MOST_TEXT).decode("utf-8", "replace")
        except OSError:
            return ""


def result_of(home: Home, ended: Ended) -> Result:
    record = ended.record
    attempt = int(record["attempt"])
    return Result(
        task_id=ended.task_id,
        status=ended.status,
        preview=parse_result(record["line"]).preview,
        reason=str(record.get("reason") or ""),
        attempt=attempt,
        folder=home.attempt(ended.task_id, attempt),
        agent=str(record.get("agent") or ""),
        model=str(record.get("model_used") or record.get("model") or ""),
        failure=str(record.get("failure") or ""),
        exit_code=record.get("exit_code"),
        signal=record.get("signal"),
        started=str(record.get("started") or ""),
        ended=str(record.get("ended") or ""),
        seconds=float(record.get("seconds") or 0.0),
        usage=_usage(record.get("usage")),
        usd=record.get("usd"),
    )


def _usage(told: Any) -> Usage | None:
    """What a later version adds is passed over."""
    if not isinstance(told, Mapping):
        return None
    return Usage(**{field.name: int(told.get(field.name) or 0) for field in fields(Usage)})
