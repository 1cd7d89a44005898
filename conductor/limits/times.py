"""Times as the messages of this room say them: UTC, like all times in files."""

from __future__ import annotations

import time


def clock_time(moment: float, now: float) -> str:
    """`14:00 UTC`, with the date before it when that is not today's."""
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    text = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
    return text.removeprefix(f"{today} ")


def day_of(now: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def hour_of(now: float) -> str:
    return time.strftime("%H", time.gmtime(now))
