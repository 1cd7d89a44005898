"""`conductor list` in a home that is years old: a million tasks have ended, ten thousand wait."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterator

from benchmarks.conductors import filled_queue
from benchmarks.ground import Ground
from benchmarks.report import Figure, NotMeasured, listed, median
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, format_result, format_timestamp
from conductor.domain.outcome import Status
from conductor.kit.segments import rotate

_WAITING = 10_000
_MOST_SECONDS = 0.5
_CALLS = 7
_WITH_OWN_RECORD = 5_000
"""The last so many that ended; the others' result.json is one file under many names: nobody may read it anyway."""
_NAMES_A_FILE = 60_000
_LINES_A_SEGMENT = 400_000
_COMMANDS = {
    "list": ["list"],
    "list --json": ["list", "--json"],
    "list --state ended": ["list", "--state", "ended"],
    "list --state waiting": ["list", "--state", "waiting"],
    "status": ["status"],
    "clean of nothing": ["clean", "--older-than", "1d", "--dry-run"],
    "--version": ["--version"],
}


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    began = time.monotonic()
    path = ground.folder("old")
    filled_queue(path, _WAITING, "true")
    _end_many(Home(path), options.finished)
    set_up = time.monotonic() - began
    calls = {name: [_call(ground, path, command) for _ in range(_CALLS)] for name, command in _COMMANDS.items()}
    taken = {name: [wall for wall, _ in found] for name, found in calls.items()}
    cpu = {name: median([one for _, one in found]) for name, found in calls.items()}
    _check(ground, path)
    least = median(taken["list"])
    yield Figure(
        f"`conductor list` with {options.finished:,} finished and {_WAITING:,} waiting tasks",
        f"≤ {_MOST_SECONDS:g} s",
        f"{least:.2f} s",
        least <= _MOST_SECONDS,
        tuple(
            f"{name}: median {median(times):.3f} s ({cpu[name]:.3f} s of CPU), {listed(times, '{:.2f}')}"
            for name, times in taken.items()
        ),
        f"whole processes, the median of {_CALLS}, no daemon; the home was made in {set_up:.0f} s",
        taken,
    )


def _end_many(home: Home, count: int) -> None:
    """Folders and lines as their workers would have left them."""
    now, shared = time.time(), ""
    lines: list[str] = []
    for number in range(count):
        task_id = f"old-{number}"
        line = format_result(ResultLine(task_id, "w1-1-1-00000000", Status.SUCCESS, format_timestamp(now), "fine"))
        lines.append(line)
        folder = home.attempt(task_id, 1)
        os.makedirs(folder, 0o700)
        if number >= count - _WITH_OWN_RECORD or number % _NAMES_A_FILE == 0:
            shared = f"{folder}/result.json"
            _write_record(shared, task_id, line, now)
        else:
            os.link(shared, f"{folder}/result.json")
        if len(lines) >= _LINES_A_SEGMENT:
            _append(home, lines)
            rotate(home.results)
    _append(home, lines)


def _append(home: Home, lines: list[str]) -> None:
    with open(home.results, "a", encoding="utf-8") as file:
        file.writelines(lines)
    lines.clear()


def _write_record(path: str, task_id: str, line: str, now: float) -> None:
    record = {
        "version": 1, "task": task_id, "attempt": 1, "worker": "w1-1-1-00000000", "status": "SUCCESS",
        "outcome": "success", "reason": "", "started": format_timestamp(now), "ended": format_timestamp(now),
        "seconds": 0.1, "exit_code": 0, "signal": None, "agent": "command", "model": "", "thinking": "",
        "pool": "default", "next": {"state": "ended", "due_ms": 0, "tries": "a1r0l0"}, "line": line, "results_size": 0,
    }  # fmt: skip
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)


def _call(ground: Ground, home: str, command: list[str]) -> tuple[float, float]:
    """(seconds, seconds of CPU) of one whole process."""
    began, before = time.monotonic(), os.times()
    ended = subprocess.run(
        [f"{ground.bin}/conductor", *command],
        env=ground.environment(CONDUCTOR_HOME=home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode not in (0, 4):  # 4: `status` without a daemon
        raise NotMeasured(f"conductor {' '.join(command)} ended with {ended.returncode}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, used


def _check(ground: Ground, home: str) -> None:
    """That there is something in the lists that were measured."""
    env = ground.environment(CONDUCTOR_HOME=home)
    for state in ("ready", "ended"):
        rows = json.loads(ground.run([f"{ground.bin}/conductor", "list", "--json", "--state", state], env))
        if len(rows) != 50 or {row["state"] for row in rows} != {state}:
            raise NotMeasured(f"the list of what is {state} has {len(rows)} rows")
