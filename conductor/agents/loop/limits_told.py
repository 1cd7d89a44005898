"""Limits as providers tell them in the headers of a refused call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from conductor.domain.agent_events import Limit

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")


def limit_told(headers: Mapping[str, str], message: str, now: float) -> Limit:
    """`headers` have lower-case names. The latest of the limits that are used up; else what `retry-after` says."""
    unified = _moment(headers.get("anthropic-ratelimit-unified-reset", ""), now)
    if unified is not None and headers.get("anthropic-ratelimit-unified-status") == "rejected":
        return Limit(unified, headers.get("anthropic-ratelimit-unified-representative-claim", ""), message)
    used_up = [
        (moment, kind)
        for kind in _KINDS
        for remaining, reset in _windows(headers, kind)
        if remaining.strip() == "0" and (moment := _moment(reset, now)) is not None
    ]
    after = _moment(headers.get("retry-after", ""), now)
    if after is not None:
        return Limit(after, max(used_up)[1] if used_up else "", message)
    moment, kind = max(used_up) if used_up else (None, "")
    return Limit(moment, kind, message)


def _windows(headers: Mapping[str, str], kind: str) -> list[tuple[str, str]]:
    """(remaining, reset) in Anthropic's and in OpenAI's spelling."""
    return [
        (
            headers.get(f"anthropic-ratelimit-{kind}-remaining", ""),
            headers.get(f"anthropic-ratelimit-{kind}-reset", ""),
        ),
        (headers.get(f"x-ratelimit-remaining-{kind}", ""), headers.get(f"x-ratelimit-reset-{kind}", "")),
    ]


def _moment(text: str, now: float) -> float | None:
    """Seconds since 1970 of `30`, `6m0.5s`, `1790000000`, an HTTP date or RFC 3339; None where it is none."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        return _spelled(text, now)
    if not 0 <= number < 1e11:
        return None
    return number if number > 1e9 else now + number


def _spelled(text: str, now: float) -> float | None:
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now + sum(float(number) * _SECONDS[unit] for number, unit in parts)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
