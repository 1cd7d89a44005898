"""What the daemon says of itself: as a value for `status --json`, as a page for status.txt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conductor.domain.durations import format_duration
from conductor.domain.view import Counts
from conductor.supervisor.policy import BackingOff, Busy, GivenUp, Idle, Slot, Starting, Vacant

IS_SET = "\0set"
"""Stands for a value that is not told."""
_PLACES = ("PATH", "HOME", "_DIR", "_BIN")


def slot_status(slot: Slot, now: float) -> dict[str, Any]:
    """One slot as JSON-able values; `for_seconds` is how long it has been so."""
    facts: dict[str, Any] = {"slot": slot.number, "pool": slot.pool}
    match slot.state:
        case Vacant():
            return {**facts, "state": "vacant"}
        case Starting(since=since, pid=pid):
            return {**facts, "state": "starting", "pid": pid, "for_seconds": round(now - since, 1)}
        case Idle(since=since, pid=pid):
            return {**facts, "state": "idle", "pid": pid, "for_seconds": round(now - since, 1)}
        case Busy(since=since, pid=pid, task_id=task, attempt=attempt):
            seconds = round(now - since, 1)
            return {**facts, "state": "busy", "pid": pid, "task": task, "attempt": attempt, "for_seconds": seconds}
        case BackingOff(until=until, why=why):
            return {**facts, "state": "backing off", "why": why, "again_in_seconds": round(max(0.0, until - now), 1)}
        case GivenUp(since=since, why=why):
            return {**facts, "state": "given up", "why": why, "for_seconds": round(now - since, 1)}


def environment_status(environment: Mapping[str, str]) -> dict[str, str]:
    """Where programs and logins are looked for; of other variables only that they are set, for they may be keys."""
    return {name: value if name.endswith(_PLACES) else IS_SET for name, value in environment.items()}


def counts_status(counts: Counts) -> dict[str, int]:
    return {
        "batched": counts.batched,
        "ready": counts.ready,
        "waiting": counts.waiting,
        "running": counts.running,
        "dead": counts.dead,
        "corrupt": counts.corrupt,
    }


def render_page(status: dict[str, Any]) -> str:
    """status.txt: a screen that says how things are. What an older daemon does not tell yet is left out."""
    full, queue = status.get("full"), status["queue"]
    lines = [
        f"conductord {status['version']}  pid {status['pid']}  {status['mode']}  since {status['started']}",
        f"home {status['home']}  written {status['time']}",
        "queue  " + "  ".join(f"{name} {count}" for name, count in queue.items()),
        "ended  "
        + ("  ".join(f"{name} {count}" for name, count in sorted(status["finished"].items())) or "nothing yet"),
        *(f"limit  {line}" for line in status.get("limits", ())),
        *([f"full   nothing is claimed: {full}; `conductor clean` makes room"] if full else []),
        *(f"upgrade  {line}" for line in [status.get("upgrade", {}).get("told")] if line),
        "",
        *(_slot_line(slot) for slot in status["slots"]),
        *(_orchestrator_line(one) for one in status.get("orchestrators", ())),
    ]
    return "\n".join(lines) + "\n"


def _slot_line(slot: dict[str, Any]) -> str:
    what = slot["state"]
    if slot["state"] == "busy":
        what = f"busy  {slot['task']} (attempt {slot['attempt']})"
    if "why" in slot:
        what = f"{what}: {slot['why']}"
    how_long = slot.get("for_seconds", slot.get("again_in_seconds", 0.0))
    return (
        f"{slot['pool']:<12} slot {slot['slot']:<3} {slot.get('pid') or '-':>8}  {format_duration(how_long):>7}  {what}"
    )


def _orchestrator_line(one: dict[str, Any]) -> str:
    what = f"{one['state']}: {one['why']}" if "why" in one else one["state"]
    what += f" since {one['since']}" if "since" in one else ""
    how_long = format_duration(one.get("for_seconds", one.get("again_in_seconds", 0.0)))
    return f"orchestrator {one['project']:<8} {one.get('pid') or '-':>8}  {how_long:>7}  {what}"
