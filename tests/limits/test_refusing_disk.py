"""A disk that refuses: an agent's work is not lost over its accounts, and nothing starts that can't be counted."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from conductor.domain.agent_events import Limit
from conductor.domain.usage import Usage
from conductor.limits.ledger import DayLedger
from conductor.ports import Charge
from tests.limits.rooms import NOON, Room, task


@contextmanager
def full_disk() -> Iterator[None]:
    with patch("conductor.kit.durable.write_all", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        yield


def test_what_could_not_be_charged_is_charged_with_the_next(room: Room) -> None:
    ledger = DayLedger(str(room.home), clock=room.clock, log=room.log)
    with full_disk():
        assert ledger.charge(Charge("p", "claude", "opus", Usage(input=1), 1.0, 1)) == ""
        assert ledger.charge(Charge("p", "claude", "opus", Usage(input=2), 2.0)) == ""

    ledger.charge(Charge("p", "claude", "opus", Usage(input=4), 4.0))
    ledger.charge(Charge("p", "claude", "opus", Usage(input=8), 8.0))

    ((_, day),) = ledger.days()
    assert (day.spent().runs, day.spent().usage.input, day.spent().usd) == (1, 15, 15.0)
    assert [action for action, _ in room.log.told] == ["charge_owed", "charge_owed"]
    assert room.files("spend") == ["2027-01-15.json", "lock"]


def test_a_day_that_cannot_be_read_for_a_moment_is_not_begun_anew(room: Room) -> None:
    ledger = DayLedger(str(room.home), clock=room.clock, log=room.log)
    ledger.charge(Charge("p", "claude", "opus", Usage(input=1), 1.0, 1))
    with patch("conductor.limits.files.read_bytes", side_effect=OSError(errno.EMFILE, "Too many open files")):
        ledger.charge(Charge("p", "claude", "opus", Usage(input=2), 2.0))

    ledger.charge(Charge("p", "claude", "opus", Usage(input=4), 4.0))

    ((_, day),) = ledger.days()
    assert day.spent().usd == 7.0


def test_a_limit_that_could_not_be_written_still_holds_up_its_task(room: Room) -> None:
    with full_disk():
        assert room.doors().park("claude", Limit(NOON + 60)) == NOON + 60
        assert room.doors().park("claude", Limit()) == NOON + 30

    assert room.doors().is_open("claude")
    assert {action for action, _ in room.log.told} == {"parking_not_written"}


def test_what_could_not_be_learned_is_no_error(room: Room) -> None:
    with full_disk():
        room.doors().learn("claude", succeeded=True, peak_bytes=5)

    assert room.log.told[0][0] == "nothing_learned"


def test_no_agent_starts_that_cannot_be_counted(room: Room) -> None:
    with full_disk(), pytest.raises(OSError, match="No space left"):
        room.doors().admit(task("claude"), "w1")

    assert room.doors().running() == []
    assert room.files("limits/running") == []
