"""What a reload came to, told in the log, in events.jsonl and in the answer of `conductor reload`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from conductor.domain.errors import SettingsInvalid
from conductor.ports import EventSink, Log
from conductor.supervisor.plan import Reloaded

_MOST_TOLD = 100
_LONGEST = 300


def tell_refusal(error: SettingsInvalid, log: Log, events: EventSink) -> dict[str, Any]:
    log.error("reload_refused", error=str(error), kept="the settings in force stay")
    events.emit("reload_refused", error=str(error))
    return {"refused": str(error)}


def tell_renewal(fresh: Reloaded, log: Log, events: EventSink) -> dict[str, Any]:
    """`changed`: key, old and new of each setting that did; `held`: key, says and by of each that a restart will."""
    changed = [_cut(asdict(one)) for one in fresh.changed[:_MOST_TOLD]]
    facts = {"changed": changed, "held": [_cut(asdict(one)) for one in fresh.held[:_MOST_TOLD]]}
    events.emit("settings_reloaded", **facts)
    pools = {name: pool.workers for name, pool in fresh.plan.pools.items()}
    log.info("settings_reloaded", pools=pools, **facts)
    for warning in fresh.plan.warnings:
        log.warning("key_at_fault", why=warning)
    return {"refused": "", **facts, "more": max(0, len(fresh.changed) - _MOST_TOLD)}


def _cut(facts: dict[str, str]) -> dict[str, str]:
    return {name: text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for name, text in facts.items()}
