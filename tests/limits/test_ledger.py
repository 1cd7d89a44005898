"""The ledger: deltas by day, what is not known, budgets that end with the day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.budget import Budget
from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.domain.usage import Usage
from conductor.limits.ledger import Day, DayLedger, Spent
from conductor.ports import Charge, Ledger
from tests.limits.rooms import NOON, Room, task

DAY_FILE = "spend/2027-01-15.json"


def ledger(room: Room) -> Ledger:
    return DayLedger(str(room.home), room.budgets, room.clock, room.log)


def days(room: Room) -> dict[str, Day]:
    return dict(DayLedger(str(room.home)).days())


def charge(usd: float | None = 1.0, tokens: int = 10, runs: int = 0, project: str = "p", **more: int) -> Charge:
    return Charge(project, "claude", "opus", Usage(input=tokens), usd, runs, **more)


def test_deltas_of_one_attempt_add_up_to_one_run(room: Room) -> None:
    ledger(room).charge(charge(0.25, 5, runs=1))
    ledger(room).charge(charge(0.5, 7))

    spent = days(room)["2027-01-15"].spent("p")
    assert (spent.runs, spent.usage.input, spent.usd) == (1, 12, 0.75)


def test_a_run_over_midnight_is_charged_to_each_day_what_was_used_in_it(room: Room) -> None:
    room.budgets = BudgetRules(day=Budget(usd=1.0))
    room.clock.now = NOON + 12 * 3600 - 1
    assert ledger(room).charge(charge(1.0, runs=1)) == (
        "budget of the day is used up: 1 of 1 usd; it goes on at 00:00 UTC"
    )

    room.clock.advance(2)

    assert ledger(room).charge(charge(0.75)) == ""
    assert {name: day.spent().usd for name, day in days(room).items()} == {"2027-01-15": 1.0, "2027-01-16": 0.75}
    assert days(room)["2027-01-16"].spent().runs == 0


def test_a_charge_says_which_budget_it_used_up(room: Room) -> None:
    room.budgets = BudgetRules(project=Budget(tokens=100), day=Budget(usd=10))

    assert ledger(room).charge(charge(1.0, 99)) == ""
    assert ledger(room).charge(charge(1.0, 1)) == (
        "budget of project p is used up: 100 of 100 tokens; it goes on at 00:00 UTC"
    )
    assert ledger(room).charge(charge(1.0, 500, project="")) == ""
    assert "budget of the day is used up: 10 of 10 usd" in ledger(room).charge(charge(7.0, 1, project="q"))


def test_the_last_run_of_an_hour_is_let_run_and_no_other_is_let_in(room: Room) -> None:
    room.budgets = BudgetRules(project=Budget(runs=2))

    assert ledger(room).charge(charge(1.0, runs=1)) == ""
    assert ledger(room).used_up("p") == ""
    assert ledger(room).charge(charge(1.0, runs=1)) == ""
    assert "2 of 2 runs an hour" in ledger(room).used_up("p")


def test_the_charge_that_brings_a_budget_over_80_percent_warns_and_no_other(room: Room) -> None:
    room.budgets = BudgetRules(project=Budget(usd=1.0), day=Budget(tokens=1000))
    warnings = []
    for usd, tokens in ((0.79, 10), (0.01, 10), (0.1, 10), (0.05, 780), (0.01, 10)):
        one = ledger(room)
        one.charge(charge(usd, tokens))
        warnings.append(one.warning())

    assert warnings == ["", "budget of project p: 0.8 of 1 usd", "", "budget of the day: 810 of 1000 tokens", ""]


def test_money_that_is_not_known_is_counted_as_not_known_and_its_tokens_all_the_same(room: Room) -> None:
    room.budgets = BudgetRules(project=Budget(usd=1.0, tokens=50))
    ledger(room).charge(charge(None, 40, runs=1))
    ledger(room).charge(charge(None, 0, unpriced_runs=1))

    spent = days(room)["2027-01-15"].spent("p")

    assert (spent.usd, spent.unpriced, spent.unpriced_runs, spent.runs) == (0.0, 40, 1, 1)
    assert "50 of 50 tokens" in ledger(room).charge(charge(None, 10))


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), -1.0])
def test_an_amount_that_is_none_is_not_known_and_spoils_nothing(room: Room, usd: float) -> None:
    ledger(room).charge(charge(2.0))
    ledger(room).charge(charge(usd, 40))

    spent = days(room)["2027-01-15"].spent()

    assert (spent.usd, spent.unpriced) == (2.0, 40)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"rows": 5}', b'{"rows": [{}]}', b"\x00" * 40, b'{"hours": {}}'])
def test_a_day_that_cannot_be_read_is_set_aside_with_a_word_and_begun_anew(room: Room, content: bytes) -> None:
    path = Path(room.home, DAY_FILE)
    path.parent.mkdir()
    path.write_bytes(content)

    ledger(room).charge(charge(1.0, runs=1))

    assert days(room)["2027-01-15"].spent().usd == 1.0
    assert room.files("spend") == ["2027-01-15.json", "2027-01-15.json.bad", "lock"]
    assert [action for action, _ in room.log.told] == ["limits_file_set_aside"]


def test_foreign_files_among_the_days_are_left_alone(room: Room) -> None:
    ledger(room).charge(charge(1.0))
    Path(room.home, "spend/notes.txt").write_text("mine")
    Path(room.home, "spend/2027-01-15.json.12.tmp").write_text("{")

    assert list(days(room)) == ["2027-01-15"]
    assert Path(room.home, "spend/notes.txt").read_text() == "mine"


def test_days_are_told_from_a_day_on_the_oldest_first(room: Room) -> None:
    for _ in range(3):
        ledger(room).charge(charge(1.0))
        room.clock.advance(86400)

    found = [name for name, _ in DayLedger(str(room.home)).days("2027-01-16")]

    assert found == ["2027-01-16", "2027-01-17"]


AMOUNTS = st.integers(0, 10**9)
CHARGES = st.builds(
    Charge,
    st.sampled_from(["", "p", "q"]),
    st.sampled_from(["claude", "codex"]),
    st.sampled_from(["", "opus"]),
    st.builds(Usage, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS),
    st.one_of(st.none(), st.floats(0, 1e6)),
    st.integers(0, 1),
    st.integers(0, 1),
)


@given(st.lists(CHARGES, max_size=10))
def test_a_day_read_back_is_the_day_written(charges: list[Charge]) -> None:
    day = Day()
    for number, one in enumerate(charges):
        day = day.add(one, f"{number % 24:02d}")

    again = Day.from_fields(json.loads(json.dumps(day.to_fields())))

    assert again.hours == day.hours
    assert again.spent().usage == sum((one.usage for one in charges), Usage())
    assert again.spent().usd == pytest.approx(sum(one.usd or 0.0 for one in charges), abs=1e-8)
    assert sum((again.spent(project) for project in ("", "p", "q")), Spent()).runs == sum(one.runs for one in charges)


# -- whose budget is it


def test_a_tasks_budget_is_its_own_else_its_projects_else_the_settings() -> None:
    rules = BudgetRules(task=Budget(usd=5), project_tasks={"p": Budget(tokens=7)})

    assert rules.of_task(task(budget="2usd,1ktok", project="p")) == Budget(2.0, 1000)
    assert rules.of_task(task(project="p")) == Budget(tokens=7)
    assert rules.of_task(task(project="q")) == Budget(usd=5)


def test_tasks_without_a_project_share_no_projects_budget() -> None:
    assert BudgetRules(project=Budget(usd=1)).of_project("") == Budget()


def test_rules_survive_their_way_to_the_nursery() -> None:
    budgets = BudgetRules(Budget(1, 2), Budget(runs=3), Budget(tokens=4), {"p": Budget(5)}, {"p": Budget(6)})
    limits = LimitRules(park=False, longest_park=5.0)

    assert BudgetRules.from_dict(json.loads(json.dumps(budgets.to_dict()))) == budgets
    assert LimitRules.from_dict(json.loads(json.dumps(limits.to_dict()))) == limits
