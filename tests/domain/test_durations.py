"""Times as people write and read them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.durations import MOST_SECONDS, format_duration, parse_duration
from conductor.domain.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        ("1.5", 1.5),
        ("250ms", 0.25),
        ("30s", 30.0),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("2d", 172_800.0),
        ("1w", 604_800.0),
        ("1m500ms", 60.5),
        (" 10 M ", 600.0),
        ("2H 5m", 7500.0),
        ("1e-05", 0.00001),
        ("3e+06", 3_000_000.0),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "m10", "10x", "10 minutes", "1:30", "-5", "-5s", "+5", "5s-", "1..5s", "nan", "inf", "0x10", "10m!"],
)
def test_what_is_no_time_is_refused_with_examples_of_what_is(text: str) -> None:
    with pytest.raises(UsageError, match="write 30s, 10m, 2h or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "1e9", "1e999", "9" * 400, "1000w"])
def test_more_than_ten_years_is_a_slip(text: str) -> None:
    with pytest.raises(UsageError, match="more than ten years"):
        parse_duration(text)


@given(st.floats(min_value=0, max_value=MOST_SECONDS))
def test_any_number_of_seconds_that_python_prints_is_read_back(seconds: float) -> None:
    assert parse_duration(repr(seconds)) == seconds


@given(st.text())
def test_arbitrary_text_is_a_time_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert 0 <= parse_duration(text) <= MOST_SECONDS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.85, "850ms"),
        (1, "1.0s"),
        (12.34, "12.3s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (245, "4m05s"),
        (3599.4, "59m59s"),
        (3599.6, "1h00m"),
        (7800, "2h10m"),
        (86399, "23h59m"),
        (273_600, "3d04h"),
        (-245, "-4m05s"),
    ],
)
def test_a_time_is_shown_in_at_most_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
