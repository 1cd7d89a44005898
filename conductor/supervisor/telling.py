"""What orchestrators tell, checked before it becomes part of events.jsonl, whose only writer is conductord."""

from __future__ import annotations

import json
import re
from typing import Any

_ACTION = re.compile(r"[a-z_]{1,64}")
_FACT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OURS = frozenset({"seq", "time", "action", "results", "self"})
"""What each event has of its own, and what the log's own call has."""
_MOST_EVENTS = 1000
_LONGEST_EVENT = 8192


def told_events(request: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(action, facts) of `{"events": [{"action": ..., facts...}, ...]}`, all of them good. Raises ValueError."""
    events = request.get("events")
    if not isinstance(events, list) or len(events) > _MOST_EVENTS:
        raise ValueError(f"events: a list of at most {_MOST_EVENTS} objects")
    return [_checked(event) for event in events]


def _checked(event: object) -> tuple[str, dict[str, Any]]:
    if not isinstance(event, dict):
        raise ValueError("an event is a JSON object")
    action = event.get("action")
    if not isinstance(action, str) or not _ACTION.fullmatch(action):
        raise ValueError(f"action {str(action)[:80]!r} is not one to 64 of a-z and _")
    facts = {name: value for name, value in event.items() if name != "action"}
    for name in facts:
        if name in _OURS or not _FACT.fullmatch(name):
            raise ValueError(f"{action}: {name[:80]!r} is no name for a fact")
    if len(json.dumps(facts)) > _LONGEST_EVENT:
        raise ValueError(f"{action}: its facts are longer than {_LONGEST_EVENT} bytes")
    return action, facts
