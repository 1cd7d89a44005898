"""Parking: until when, over restarts, with clocks and resets that can't be believed."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.agent_events import Limit
from conductor.domain.limit_rules import LimitRules
from conductor.limits.parking import (
    BY_HAND,
    LONGEST_WAIT_SECONDS,
    Mode,
    Parked,
    Parking,
    after_limit,
    growing_wait,
    parked_lines,
)
from tests.limits.rooms import NOON, Room, task

DAY = 86400.0
KEY = ("anthropic", "default")


def parking(room: Room) -> Parking:
    return Parking(str(room.home), room.limits, room.clock, room.log)


def parked_file(room: Room) -> Path:
    return room.home / "limits/parked/anthropic~default.json"


# -- until when


def test_a_told_reset_parks_the_provider_until_then(room: Room) -> None:
    until = room.doors().park("claude", Limit(NOON + 7200, "five_hour", "You've hit your limit"))

    assert until == NOON + 7200
    assert not room.doors().is_open("claude")
    assert room.doors().why(task()) == "provider anthropic is parked until 14:00 UTC, in 2h00m (five_hour)"
    room.clock.advance(7200)
    assert room.doors().is_open("claude")


def test_every_agent_of_the_provider_is_parked_and_no_other(room: Room) -> None:
    room.doors().park("claude", Limit(NOON + 60))

    assert not room.doors().is_open("crab")
    assert room.doors().is_open("codex")
    assert room.doors().admit(task("codex"), "w1") == task("codex")


@pytest.mark.parametrize("reset", [None, NOON, NOON - 1, NOON - 400 * DAY, float("nan"), float("inf"), -5.0])
def test_without_a_believable_reset_waits_grow_with_each_limit_in_a_row(room: Room, reset: float | None) -> None:
    waits = []
    for _ in range(9):
        waits.append(room.doors().park("claude", Limit(reset)) - room.clock.now)
        room.clock.advance(waits[-1])

    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_a_success_forgives_the_strikes(room: Room) -> None:
    for _ in range(4):
        room.clock.now = room.doors().park("claude", Limit())

    room.doors().learn("crab", succeeded=True, peak_bytes=None)

    assert room.doors().park("claude", Limit()) == room.clock.now + 30
    assert room.files("limits/parked") == ["anthropic~default.json"]


def test_a_failure_forgives_nothing(room: Room) -> None:
    room.clock.now = room.doors().park("claude", Limit())

    room.doors().learn("claude", succeeded=False, peak_bytes=None)

    assert room.doors().park("claude", Limit()) == room.clock.now + 60


def test_a_provider_that_says_in_a_second_for_ever_is_asked_less_and_less(room: Room) -> None:
    waits = []
    for _ in range(4):
        waits.append(room.doors().park("claude", Limit(room.clock.now + 1)) - room.clock.now)
        room.clock.advance(waits[-1])

    assert waits == [1, 30, 60, 120]


def test_limits_met_together_by_agents_that_ran_already_are_one_strike(room: Room) -> None:
    for _ in range(5):
        room.doors().park("claude", Limit())

    assert parking(room).find(KEY).strikes == 1  # type: ignore[union-attr]
    assert not room.doors().is_open("claude")
    room.clock.advance(30)
    assert room.doors().is_open("claude")


def test_a_later_reset_told_while_it_is_parked_counts_an_earlier_one_does_not(room: Room) -> None:
    room.doors().park("claude", Limit(NOON + 100, "requests"))

    assert room.doors().park("claude", Limit(NOON + 5000, "five_hour")) == NOON + 5000
    assert room.doors().park("claude", Limit(NOON + 10, "requests")) == NOON + 5000


def test_a_reset_a_year_away_is_capped_and_the_page_says_so(room: Room) -> None:
    until = room.doors().park("claude", Limit(NOON + 365 * DAY))

    assert until == NOON + 7 * DAY
    (line,) = parked_lines(str(room.home), NOON)
    assert "until 2027-01-22 12:00 UTC" in line
    assert "it told 2028-01-15 12:00 UTC, which is further than longest_park" in line


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(NOON - 1e9, NOON + 1e9)), st.floats(0, 1e6)), min_size=1, max_size=12
    )
)
def test_no_row_of_limits_parks_for_longer_than_the_longest_or_for_no_time(
    row: list[tuple[float | None, float]],
) -> None:
    longest, now, parked = 7 * DAY, NOON, None
    for reset, later in row:
        now += later
        parked = after_limit(parked, Parked(*KEY, since=now, by="claude"), Limit(reset), longest)

        assert now < parked.until <= now + longest
        assert 1 <= parked.strikes <= len(row)


def test_waits_double_from_half_a_minute_to_half_an_hour() -> None:
    waits = [growing_wait(strikes) for strikes in range(1, 100)]

    assert waits[0] == 30
    assert waits[-1] == LONGEST_WAIT_SECONDS == 1800
    assert all(later == min(2 * wait, 1800) for wait, later in pairwise(waits))


# -- clocks


def test_a_clock_set_back_by_a_year_leaves_the_length_of_the_parking(room: Room) -> None:
    room.doors().park("claude", Limit(NOON + 600))

    room.clock.advance(-365 * DAY)

    assert not room.doors().is_open("claude")
    room.clock.advance(599)
    assert not room.doors().is_open("claude")
    room.clock.advance(1)
    assert room.doors().is_open("claude")


def test_a_time_far_off_in_a_file_counts_as_the_longest_park(room: Room) -> None:
    room.doors().park("claude", Limit(NOON + 600))
    fields = json.loads(parked_file(room).read_text())
    parked_file(room).write_text(json.dumps({**fields, "until": NOON + 900 * DAY}))

    room.clock.advance(7 * DAY - 1)
    assert not room.doors().is_open("claude")
    room.clock.advance(1)
    assert room.doors().is_open("claude")


# -- by hand


def test_parked_by_hand_is_parked_for_as_long_as_was_said(room: Room) -> None:
    parking(room).put(Parked(*KEY, since=NOON, until=NOON + 30 * DAY, by=BY_HAND))

    room.clock.advance(29 * DAY)
    assert not room.doors().is_open("claude")
    room.doors().park("claude", Limit(room.clock.now + 60))
    room.clock.advance(DAY - 1)
    assert not room.doors().is_open("claude")
    room.clock.advance(1)
    assert room.doors().is_open("claude")


def test_a_forbidden_provider_stays_closed_over_limits_and_successes_until_it_is_lifted(room: Room) -> None:
    parking(room).put(Parked(*KEY, since=NOON, mode=Mode.FORBIDDEN, by=BY_HAND))
    room.doors().park("claude", Limit(NOON + 60))
    room.doors().learn("claude", succeeded=True, peak_bytes=None)
    room.clock.advance(5000 * DAY)

    assert not room.doors().is_open("claude")
    assert room.doors().why(task()) == "provider anthropic is forbidden: `conductor limits lift anthropic` ends that"
    assert parking(room).lift(KEY)
    assert room.doors().is_open("claude")
    assert not parking(room).lift(KEY)


def test_a_provider_that_is_never_parked_holds_up_only_the_task_that_met_its_limit(room: Room) -> None:
    parking(room).put(Parked(*KEY, since=NOON, mode=Mode.NEVER, by=BY_HAND))

    assert room.doors().park("claude", Limit(NOON + 60)) == NOON + 60
    assert room.doors().is_open("claude")
    assert "never parked" in parked_lines(str(room.home), NOON)[0]


def test_parking_switched_off_leaves_what_was_parked_by_hand(room: Room) -> None:
    room.limits = LimitRules(park=False)

    assert room.doors().park("claude", Limit(NOON + 60)) == NOON + 60
    assert room.doors().is_open("claude")
    parking(room).put(Parked(*KEY, since=NOON, mode=Mode.FORBIDDEN, by=BY_HAND))
    assert not room.doors().is_open("claude")


# -- files


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"since": "soon"}',
        b'{"since": NaN, "until": 1}',
        b'{"since": 1, "mode": "sometimes"}',
        b'{"since": 1, "until": 1e999}',
        b'{"since": {}, "until": []}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside_with_a_word_and_parks_nobody(room: Room, content: bytes) -> None:
    parked_file(room).parent.mkdir(parents=True)
    parked_file(room).write_bytes(content)

    assert room.doors().is_open("claude")
    assert room.files("limits/parked") == ["anthropic~default.json.bad"]
    assert [action for action, _ in room.log.told] == ["limits_file_set_aside"]
    assert parked_lines(str(room.home), NOON) == []


def test_a_folder_in_a_files_place_is_moved_out_of_the_way(room: Room) -> None:
    parked_file(room).mkdir(parents=True)

    assert room.doors().park("claude", Limit(NOON + 60)) == NOON + 60
    assert not room.doors().is_open("claude")


def test_nothing_parked_says_nothing(room: Room) -> None:
    assert parked_lines(str(room.home), time.time()) == []
    assert room.files("limits") == []


def test_strikes_that_are_over_are_no_line(room: Room) -> None:
    room.doors().park("claude", Limit())

    assert parked_lines(str(room.home), NOON + 30) == []


def test_accounts_of_one_provider_are_parked_by_themselves(room: Room) -> None:
    parking(room).put(Parked("anthropic", "work", since=NOON, mode=Mode.FORBIDDEN, by=BY_HAND))

    assert room.doors().is_open("claude")
    assert parked_lines(str(room.home), NOON)[0].startswith("provider anthropic:work is forbidden")
