"""agent.jsonl as a person reads it: what the agent said and did, one line or paragraph an event."""

from __future__ import annotations

import json
from typing import Any

_LONGEST = 300


def told(line: bytes) -> str:
    """What one line of agent.jsonl says, with its line end; empty for what only machines want to know."""
    try:
        event: Any = json.loads(line)
        return _TELLERS[event["event"]](event)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _short(text: object) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def _text(event: dict[str, Any]) -> str:
    """The final answer repeats what was said: RESULT.txt has it."""
    return "" if event.get("final") else str(event["text"]).rstrip("\n") + "\n"


def _tool_result(event: dict[str, Any]) -> str:
    how = "denied" if event.get("denied") else "ok" if event.get("ok", True) else "failed"
    return f"  < {how}: {_short(event.get('text', ''))}\n"


def _retry(event: dict[str, Any]) -> str:
    wait = f", again in {event['wait_seconds']:g} s" if event.get("wait_seconds") else ""
    return f"! retry: {_short(event.get('reason') or event.get('status') or 'the model call failed')}{wait}\n"


def _limit(event: dict[str, Any]) -> str:
    limit = event.get("limit") or {}
    return f"! limit: {_short(limit.get('said') or limit.get('kind') or 'reached')}\n"


def _call(event: dict[str, Any]) -> str:
    """Only calls that went wrong."""
    status = event.get("status")
    if status is not None and status < 400 and event.get("complete", True):
        return ""
    return f"! model call: {status or 'no answer'} {_short(event.get('error') or '')}".rstrip() + "\n"


def _end(event: dict[str, Any]) -> str:
    return "" if event.get("succeeded") else f"! ended: {_short(event.get('reason') or 'without success')}\n"


_TELLERS = {
    "text": _text,
    "tool_call": lambda event: f"> {event['name']} {_short(event.get('input', ''))}\n",
    "tool_result": _tool_result,
    "retry": _retry,
    "limit": _limit,
    "call": _call,
    "error": lambda event: f"! {_short(event['message'])}\n",
    "denied": lambda event: f"! denied: {_short(event['what'])}\n",
    "budget_warning": lambda event: f"! budget: {event['used']} used\n",
    "end": _end,
}
