"""How activity becomes events: named facts, in pieces that conductord takes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from conductor.domain.lines import format_timestamp
from conductor.domain.run import Activity

MOST_BYTES = 48_000
"""Of one request; conductord hears at most 64 KiB."""
_LONGEST_FACT = 2_000


def event_of(activity: Activity) -> dict[str, Any]:
    """As conductord writes it into events.jsonl; `at` is when it happened."""
    about = {"project": activity.project, "run": activity.run_id, "step": activity.step_id}
    facts = {name: _short(value) for name, value in activity.facts.items()}
    named = {name: value for name, value in about.items() if value}
    return {"action": activity.action, "at": format_timestamp(activity.at), **named, **facts}


def batches(activity: Collection[Activity]) -> Iterator[list[dict[str, Any]]]:
    """The events in order, in requests that are short enough."""
    batch: list[dict[str, Any]] = []
    size = 0
    for one in activity:
        event = event_of(one)
        length = len(json.dumps(event)) + 2
        if batch and size + length > MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch


def _short(value: object) -> object:
    if isinstance(value, str):
        return value[:_LONGEST_FACT]
    if isinstance(value, list | tuple):
        return [str(one)[:200] for one in value[:20]]
    return value
