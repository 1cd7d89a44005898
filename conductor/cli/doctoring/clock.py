"""The clock: one that jumps makes waits, limits and the order of tasks wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.sign import Sign, ok, warning, wrong
from conductor.domain.durations import format_duration
from conductor.kit.installation import PACKAGE

_TOLERATED_SECONDS = 60.0
_PATIENCE_SECONDS = 0.5


def look_at_clock(case: Case) -> Iterator[Sign]:
    home = case.home
    files = (home.results, home.events, home.status_page, f"{home.queue}/VERSION", f"{PACKAGE}/__init__.py")
    yield judge_clock(time.time(), max(map(_modified, files)))
    synchronised = _synchronised()
    if synchronised:
        yield judge_ntp(synchronised)


def judge_clock(now: float, latest: float) -> Sign:
    """`latest`: when the newest file was written that a sane clock has behind it."""
    if latest - now > _TOLERATED_SECONDS:
        what = f"the clock is {format_duration(latest - now)} behind files that were written before: it jumped back"
        return wrong("clock", what, "set it, and let it be kept: `timedatectl set-ntp true`")
    return ok("clock", f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now))}")


def judge_ntp(synchronised: str) -> Sign:
    """`synchronised`: what timedatectl says, yes or no."""
    if synchronised == "yes":
        return ok("clock", "kept by NTP")
    return warning("clock", "it is not kept by NTP and will drift", "timedatectl set-ntp true")


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _synchronised() -> str:
    """Empty where nobody knows."""
    if not os.path.isdir("/run/systemd/system") or not shutil.which("timedatectl"):
        return ""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("ascii", "replace").strip()
