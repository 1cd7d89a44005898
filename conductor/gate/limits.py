"""When a provider that refuses to serve will serve again: from its headers and its words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from conductor.domain.agent_events import Limit
from conductor.gate.heads import Headers, value
from conductor.gate.usages import mapping

_REFUSALS = ("rate_limit_error", "rate_limit_exceeded", "usage_limit_reached", "insufficient_quota")
_BUCKETS = ("requests", "tokens", "input-tokens", "output-tokens")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST_WORDS = 300


def is_limit(status: int, error: Mapping[str, Any]) -> bool:
    """Whether this refusal is for a time and for one account, not of a provider that is overloaded."""
    names = (error.get("type"), error.get("code"), error.get("status"))
    return status == 429 or any(name in (*_REFUSALS, "RESOURCE_EXHAUSTED") for name in names if isinstance(name, str))


def limit_from(headers: Headers, error: Mapping[str, Any], now: float) -> Limit:
    """What a refusal tells of its limit. `error` is the error object of its body; `now` in seconds since 1970."""
    unified = value(headers, "anthropic-ratelimit-unified-status").lower() == "rejected"
    bucket = _exhausted(headers)
    quota, delay = _google_details(error)
    candidates = (
        _epoch(value(headers, "anthropic-ratelimit-unified-reset")) if unified else None,
        _epoch(error.get("resets_at")),
        _later(now, _number(error.get("resets_in_seconds"))),
        _retry_after(headers, now),
        _later(now, delay),
        _bucket_reset(headers, bucket, now),
    )
    claim = value(headers, "anthropic-ratelimit-unified-representative-claim") if unified else ""
    own = next((text for text in (error.get("type"), error.get("code")) if isinstance(text, str)), "")
    message = error.get("message")
    return Limit(
        resets_at=next((at for at in candidates if at is not None), None),
        kind=(claim or bucket or quota or own)[:100],
        said=" ".join(message.split())[:_LONGEST_WORDS] if isinstance(message, str) else "",
    )


def span_seconds(text: object) -> float | None:
    """`34s`, `6m0s`, `120ms`, `1.5s` in seconds; None: it is no span."""
    if not isinstance(text, str) or not text or _SPAN.sub("", text[:100]):
        return None
    return _finite(sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _SPAN.findall(text[:100])))


def _retry_after(headers: Headers, now: float) -> float | None:
    """Seconds or an HTTP date."""
    milliseconds = _number(value(headers, "retry-after-ms"))
    if milliseconds is not None:
        return _later(now, milliseconds / 1000)
    text = value(headers, "retry-after")
    seconds = _number(text)
    if seconds is not None:
        return _later(now, seconds)
    return _http_date(text) if text else None


def _http_date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # large, and hardly ever needed

    try:
        moment = parsedate_to_datetime(text)
        return _finite((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _exhausted(headers: Headers) -> str:
    """Which of the buckets has nothing left; empty: none says so."""
    for bucket in _BUCKETS:
        for prefix in (f"anthropic-ratelimit-{bucket}-remaining", f"x-ratelimit-remaining-{bucket}"):
            if _number(value(headers, prefix)) == 0:
                return bucket.replace("-", "_")
    return ""


def _bucket_reset(headers: Headers, bucket: str, now: float) -> float | None:
    """When the exhausted bucket is filled again; when none is said to be, the last of those that are told."""
    buckets = (bucket.replace("_", "-"),) if bucket else _BUCKETS
    told = [_moment(value(headers, f"anthropic-ratelimit-{one}-reset"), now) for one in buckets]
    told += [_moment(value(headers, f"x-ratelimit-reset-{one}"), now) for one in buckets]
    told.append(_moment(value(headers, "x-ratelimit-reset"), now))
    return max((at for at in told if at is not None), default=None)


def _moment(text: str, now: float) -> float | None:
    """A moment in RFC 3339, seconds or milliseconds since 1970, or a span from now."""
    span = span_seconds(text)
    if span is not None:
        return _later(now, span)
    number = _number(text)
    if number is not None:
        return _epoch(number) if number > 1e8 else _later(now, number)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()
    except (OverflowError, OSError, ValueError):
        return None


def _google_details(error: Mapping[str, Any]) -> tuple[str, float | None]:
    """(the quota's id, seconds to wait) of Google's error details."""
    quota, delay = "", None
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        name = str(mapping(detail).get("@type", ""))
        if name.endswith("RetryInfo"):
            delay = span_seconds(detail.get("retryDelay"))
        elif name.endswith("QuotaFailure"):
            violations = detail.get("violations")
            first = mapping(violations[0]) if isinstance(violations, list) and violations else {}
            quota = str(first.get("quotaId") or first.get("quotaMetric") or "")
    return quota, delay


def _epoch(told: object) -> float | None:
    """Seconds since 1970, or milliseconds, which are a thousand times as many."""
    number = _number(told)
    if number is None or number <= 0:
        return None
    return number / 1000 if number > 1e11 else number


def _later(now: float, seconds: float | None) -> float | None:
    return None if seconds is None or seconds < 0 else _finite(now + seconds)


def _number(told: object) -> float | None:
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        return _finite(float(told))
    except (ValueError, OverflowError):
        return None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) and abs(number) < 1e15 else None
