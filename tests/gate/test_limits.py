"""When a limit resets, as each provider tells it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.agent_events import Limit
from conductor.gate.limits import is_limit, limit_from, span_seconds

NOW = 1_000_000.0
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]}


@pytest.mark.parametrize(
    ("headers", "error", "limit"),
    [
        ({}, {}, Limit()),
        ({"retry-after": "30"}, {}, Limit(NOW + 30)),
        ({"Retry-After": "Mon, 12 Jan 1970 13:46:50 GMT"}, {}, Limit(NOW + 10)),
        ({"retry-after-ms": "1500", "retry-after": "2"}, {}, Limit(NOW + 1.5)),
        ({"retry-after": "soon"}, {}, Limit()),
        ({"retry-after": "-1"}, {}, Limit()),
        ({"retry-after": "1e400"}, {}, Limit()),
        (
            {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": "1100000",
             "anthropic-ratelimit-unified-representative-claim": "seven_day", "retry-after": "5"},
            {"type": "rate_limit_error", "message": "used  up\n"},
            Limit(1_100_000.0, "seven_day", "used up"),
        ),
        (
            {"anthropic-ratelimit-unified-status": "allowed", "anthropic-ratelimit-unified-reset": "1100000",
             "retry-after": "5"},
            {"type": "rate_limit_error"},
            Limit(NOW + 5, "rate_limit_error"),
        ),
        (
            {"anthropic-ratelimit-requests-remaining": "3", "anthropic-ratelimit-requests-reset": "1970-01-13T00:00Z",
             "anthropic-ratelimit-input-tokens-remaining": "0",
             "anthropic-ratelimit-input-tokens-reset": "1970-01-12T13:47:40Z"},
            {},
            Limit(NOW + 60, "input_tokens"),
        ),
        (
            {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s",
             "x-ratelimit-reset-requests": "1h"},
            {},
            Limit(NOW + 360, "tokens"),
        ),
        ({"x-ratelimit-reset-requests": "120ms"}, {}, Limit(NOW + 0.12)),
        ({"x-ratelimit-reset": "1741305600000"}, {}, Limit(1_741_305_600.0)),
        ({}, {"type": "usage_limit_reached", "resets_at": 1_000_500}, Limit(1_000_500.0, "usage_limit_reached")),
        ({}, {"type": "usage_limit_reached", "resets_in_seconds": 60}, Limit(NOW + 60, "usage_limit_reached")),
        ({}, {"details": [QUOTA, RETRY_INFO], "message": "m"}, Limit(NOW + 1.5, "PerDay", "m")),
        ({}, {"details": [None, 5, {"@type": 5}], "message": 5, "code": 429}, Limit()),
    ],
)  # fmt: skip
def test_the_moment_and_kind_of_a_limit(headers: dict[str, str], error: dict[str, Any], limit: Limit) -> None:
    assert limit_from(tuple(headers.items()), error, NOW) == limit


@pytest.mark.parametrize(
    ("status", "error", "limit"),
    [
        (429, {}, True),
        (200, {"type": "rate_limit_error"}, True),
        (200, {"code": "rate_limit_exceeded"}, True),
        (200, {"status": "RESOURCE_EXHAUSTED"}, True),
        (529, {"type": "overloaded_error"}, False),
        (503, {}, False),
        (401, {"type": []}, False),
    ],
)
def test_what_is_a_limit(status: int, error: dict[str, Any], limit: bool) -> None:
    assert is_limit(status, error) == limit


@pytest.mark.parametrize(
    ("text", "seconds"), [("34s", 34), ("6m0s", 360), ("120ms", 0.12), ("1h", 3600), ("", None), ("x", None), (5, None)]
)
def test_spans(text: object, seconds: float | None) -> None:
    assert span_seconds(text) == seconds


_NAMES = st.sampled_from(
    "retry-after retry-after-ms x-ratelimit-reset-tokens x-ratelimit-reset anthropic-ratelimit-tokens-reset "
    "anthropic-ratelimit-tokens-remaining anthropic-ratelimit-unified-status anthropic-ratelimit-unified-reset".split()
)
_VALUES = st.text(max_size=20) | st.sampled_from(
    ["rejected", "0", "9" * 400, "0001-01-01T00:00:00+23:59", "nan", "inf"]
)


@given(
    headers=st.dictionaries(_NAMES, _VALUES),
    error=st.dictionaries(
        st.sampled_from(["resets_at", "resets_in_seconds", "details", "message", "type", "code"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.dictionaries(st.text(), st.integers())),
    ),
)  # fmt: skip
def test_no_refusal_is_too_strange(headers: dict[str, str], error: dict[str, Any]) -> None:
    is_limit(429, error)
    limit_from(tuple(headers.items()), error, NOW)
