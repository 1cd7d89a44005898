"""Times as people write them: `90`, `10m`, `1h30m`, `2d`."""

from __future__ import annotations

import re

from conductor.domain.errors import UsageError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
MOST_SECONDS = 10 * 365 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds meant by `text`; a bare number is seconds. Raises UsageError."""
    plain = text.strip().lower().replace(" ", "")
    seconds = _bare_number(plain)
    if seconds is None:
        parts = _PART.findall(plain)
        if not parts or "".join(number + unit for number, unit in parts) != plain:
            raise UsageError(f"can't read {text[:80]!r} as a time: write 30s, 10m, 2h or 1h30m")
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > MOST_SECONDS:
        raise UsageError(f"{text[:80]!r} is more than ten years")
    return seconds


def _bare_number(plain: str) -> float | None:
    return float(plain) if re.fullmatch(r"\d+(\.\d+)?(e[+-]?\d+)?", plain) else None


def format_duration(seconds: float) -> str:
    """`seconds` in at most two units, for people: `850ms`, `12.3s`, `4m05s`, `2h10m`, `3d04h`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
