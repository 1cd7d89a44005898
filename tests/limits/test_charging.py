"""What a worker's meter charges, as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from conductor.cli.using import money
from conductor.domain.agent_events import AgentEvent, CostTold, UsageTold
from conductor.domain.budget import Budget
from conductor.domain.limit_rules import BudgetRules
from conductor.domain.tally import Tally
from conductor.domain.usage import Usage
from conductor.limits.ledger import DayLedger, Spent
from conductor.limits.prices import PriceList
from conductor.worker.spending import Account, Meter
from tests.limits.rooms import Room

MILLION = UsageTold(Usage(input=1_000_000))
KNOWN, UNKNOWN = "claude-opus-4-5", "plan-7"


def spent_by(room: Room, model: str, events: Sequence[AgentEvent]) -> Spent:
    """One attempt that tells `events`, charged after each of them and at its end."""
    ledger, tally = DayLedger(str(room.home), clock=room.clock), Tally()
    meter = Meter(Account("p", "claude", model), Budget(), ledger, PriceList().price)
    for number, event in enumerate(events):
        tally.take(event)
        meter.update(tally, now=10.0 * number)
    meter.settle(tally)
    return next((day.spent("p") for _, day in ledger.days()), Spent())


@pytest.mark.parametrize(
    ("model", "events", "shown", "unpriced_runs", "unpriced"),
    [
        (KNOWN, [MILLION, MILLION], "10.00", 0, 0),
        (UNKNOWN, [MILLION, MILLION], "?", 1, 2_000_000),
        (UNKNOWN, [MILLION, MILLION, CostTold(1.5, total=True)], "1.50", 0, 0),
        (UNKNOWN, [MILLION, CostTold(0.5), MILLION, CostTold(0.5)], "1.00", 0, 0),
        (UNKNOWN, [], "?", 1, 0),
        (KNOWN, [], "?", 1, 0),
        (UNKNOWN, [CostTold(0.25)], "0.25", 0, 0),
        (UNKNOWN, [CostTold(0.25), CostTold(0.5)], "0.75", 0, 0),
        (UNKNOWN, [CostTold(0.0)], "?", 1, 0),
    ],
)
def test_a_cost_is_known_once_it_was_told_or_can_be_computed(
    room: Room, model: str, events: list[AgentEvent], shown: str, unpriced_runs: int, unpriced: int
) -> None:
    spent = spent_by(room, model, events)

    assert money(spent) == shown
    assert (spent.runs, spent.unpriced_runs, spent.unpriced) == (1, unpriced_runs, unpriced)
    assert spent.usage.input == 1_000_000 * sum(event is MILLION for event in events)


def test_a_run_that_brings_its_projects_budget_over_80_percent_is_told_of_it(room: Room) -> None:
    rules = BudgetRules(project=Budget(usd=12.0))
    ledger, tally = DayLedger(str(room.home), rules, room.clock), Tally()
    meter = Meter(Account("p", "claude", KNOWN), Budget(usd=16.0), ledger, PriceList().price)

    told = []
    for number in range(3):
        tally.take(MILLION)
        meter.update(tally, now=10.0 * number)
        told.append((meter.warning, meter.spent))

    assert told[0] == ("", "")
    assert told[1] == ("budget of project p: 10 of 12 usd", "")
    assert told[2] == (
        "15 of 16 usd",
        "budget of project p is used up: 15 of 12 usd; it goes on at 00:00 UTC",
    )


def test_a_run_is_counted_from_its_start_and_once(room: Room) -> None:
    ledger, tally = DayLedger(str(room.home), clock=room.clock), Tally()
    meter = Meter(Account("p", "claude", KNOWN), Budget(), ledger, PriceList().price)

    meter.begin(0.0)
    assert [day.spent("p").runs for _, day in ledger.days()] == [1]

    tally.take(MILLION)
    meter.update(tally, now=0.0)
    meter.settle(tally)
    assert [(day.spent("p").runs, money(day.spent("p"))) for _, day in ledger.days()] == [(1, "5.00")]
