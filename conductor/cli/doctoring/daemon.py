"""conductord: whether it runs, answers, is of the same version, and has all of its slots and orchestrators."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from conductor import __version__
from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.sign import Sign, ok, warning, wrong
from conductor.kit.lock import lock_holder


def look_at_daemon(case: Case) -> Iterator[Sign]:
    if not case.status:
        yield judge_silence(case.home.path, _holder(case.home.daemon_lock))
        return
    yield judge_version(str(case.status["version"]), __version__, case.daemon_pid)
    yield from judge_status(case.status)


def judge_silence(home: str, holder: int | None) -> Sign:
    """`holder`: the process that has the home's daemon lock."""
    if holder:
        what = f"process {holder} holds {home} as its conductord and does not answer"
        return wrong("daemon", what, f"look at its log; `kill -CONT {holder}` if it is stopped, else end it")
    return warning("daemon", f"no conductord runs on {home}: nothing is claimed", "start one with `conductord`")


def judge_version(theirs: str, ours: str, pid: int) -> Sign:
    if theirs == ours:
        return ok("daemon", f"conductord {theirs}, pid {pid}, the version of this command")
    what = f"conductord (pid {pid}) is version {theirs}, this command {ours}"
    return warning("daemon", what, "restart conductord, or call the conductor beside it: `conductord --check` first")


def judge_status(status: Mapping[str, Any]) -> Iterator[Sign]:
    upgrade = status.get("upgrade", {}).get("told", "")
    if upgrade:
        yield warning("daemon", upgrade, "restart conductord when `conductord --check` says that it is safe")
    if status["mode"] == "paused":
        yield warning("daemon", "the queue is paused: nothing is claimed", "conductor resume")
    elif status["mode"] != "running":
        yield warning(
            "daemon", f"conductord is {status['mode']}: nothing is claimed", "wait for its end, or start anew"
        )
    for line in status.get("limits", []):
        yield warning("daemon", f"a provider is parked: {line}", "`conductor limits` shows until when, and ends it")
    yield from _judge_slots(status["slots"])
    for one in status.get("orchestrators", []):
        if one["state"] in ("given up", "backing off"):
            what = f"the orchestrator of project {one['project']} is {one['state']}: {one['why']}"
            remedy = f"read projects/{one['project']}/orchestrator.log in the home, mend it, then `conductor reload`"
            yield (wrong if one["state"] == "given up" else warning)("orchestrators", what, remedy)


def _judge_slots(slots: list[dict[str, Any]]) -> Iterator[Sign]:
    bad = [slot for slot in slots if slot["state"] in ("given up", "backing off")]
    for slot in bad:
        what = f"slot {slot['slot']} of pool {slot['pool']} is {slot['state']}: {slot['why']}"
        remedy = "read conductord's log, mend it, then `conductor reload` gives it another chance"
        yield (wrong if slot["state"] == "given up" else warning)("slots", what, remedy)
    if not bad:
        yield ok("slots", f"{len(slots)} slots, {sum(slot['state'] == 'busy' for slot in slots)} busy")


def _holder(path: str) -> int | None:
    try:
        return lock_holder(path) if os.path.exists(path) else None
    except OSError:
        return None
