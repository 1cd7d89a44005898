"""The last thing that an agent said, and the end of its log, read from the end of what it left."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from conductor.cli.agent_story import told
from conductor.domain.home import Home

_LAST_WITHIN = 8192
_LOG_WITHIN = 262144
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The end of one attempt's log. `lines`: no control characters in them."""

    path: str
    size: int
    lines: tuple[str, ...]


def plain_lines(text: str) -> list[str]:
    """Lines fit for a terminal: no escape sequence of a stranger reaches it; of what was written over itself with
    carriage returns the last stays."""
    return [_plain(line) for line in _ESCAPES.sub("", text).split("\n")]


def _plain(line: str) -> str:
    shown = line.rstrip("\r").rpartition("\r")[2].expandtabs(4)
    return shown if shown.isprintable() else "".join(char if char.isprintable() else "·" for char in shown)


def log_end(home: Home, task_id: str, attempt: int, within: int = _LOG_WITHIN) -> LogEnd:
    """The last `within` bytes of what the agent said; no lines where it said nothing yet."""
    path, size = _log_of(home.attempt(task_id, attempt))
    if not path:
        return LogEnd("", 0, ())
    raw = _end_of(path, size, within)
    text = (
        "".join(map(told, raw.splitlines(keepends=True))) if path.endswith(".jsonl") else raw.decode("utf-8", "replace")
    )
    lines = plain_lines(text)
    return LogEnd(path, size, tuple(lines if lines[-1] else lines[:-1]))


def latest_attempt(home: Home, task_id: str) -> int:
    """0: it has not run."""
    try:
        return int(os.readlink(f"{home.task(task_id)}/latest"))
    except (OSError, ValueError):
        return 0


class LastLines:
    """The last line of each of some logs, read again only where a log has grown."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: dict[tuple[str, int], tuple[str, int, str]] = {}

    def of(self, task_id: str, attempt: int) -> str:
        """Empty where it said nothing yet."""
        path, size = _log_of(self._home.attempt(task_id, attempt))
        known = self._known.get((task_id, attempt))
        if known is not None and known[:2] == (path, size):
            return known[2]
        lines = log_end(self._home, task_id, attempt, _LAST_WITHIN).lines
        line = next((line for line in reversed(lines) if line.strip()), known[2] if known else "")
        self._known[task_id, attempt] = (path, size, line)
        return line

    def keep(self, wanted: set[tuple[str, int]]) -> None:
        """Forgets all others."""
        self._known = {key: value for key, value in self._known.items() if key in wanted}


def _log_of(folder: str) -> tuple[str, int]:
    """The file that was written last of those which hold what an agent says, and its size; ("", 0): there is none."""
    found = []
    for rank, name in enumerate(("agent.log", "agent.log.tail-a", "agent.log.tail-b", "agent.jsonl")):
        try:
            there = os.lstat(f"{folder}/{name}")
        except OSError:
            continue
        if there.st_size:
            found.append((name == "agent.jsonl", there.st_mtime_ns, rank, name, there.st_size))
    if not found:
        return "", 0
    *_, name, size = max(found)
    return f"{folder}/{name}", size


def _end_of(path: str, size: int, within: int) -> bytes:
    """Whole lines, unless one is longer than that."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        start = max(0, size - within)
        raw = os.pread(descriptor, within, start)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return raw[raw.find(b"\n") + 1 :] if start and b"\n" in raw[:-1] else raw
