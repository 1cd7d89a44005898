"""The doorkeeper: who may start, as what, beside whom."""

from __future__ import annotations

import os
from dataclasses import replace
from unittest.mock import patch

import pytest

from conductor.domain.agent_events import Limit
from conductor.domain.budget import Budget
from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.domain.usage import Usage
from conductor.limits.doorkeeper import Doors
from conductor.limits.ledger import DayLedger
from conductor.limits.running import Entry, still_to_take
from conductor.ports import Charge, Doorkeeper
from tests.limits.rooms import MIB, NOON, Room, agents, task

GIB = 1 << 30


def as_port(doors: Doors) -> Doorkeeper:
    return doors


# -- lanes


def test_a_lane_names_the_agent_and_its_fallbacks_in_their_order(room: Room) -> None:
    assert room.doors().lane(task("claude")) == "claude"
    assert room.doors().lane(task("claude", fallback=("codex:gpt-5", "gemini"))) == "claude+codex+gemini"


def test_a_task_whose_agent_needs_nothing_has_no_lane(room: Room) -> None:
    assert room.doors().lane(task("command", fallback=("claude",))) == ""
    assert room.doors().lane(task("unheard-of")) == ""
    assert as_port(room.doors()).is_open("")


def test_a_project_with_a_budget_has_lanes_of_its_own(room: Room) -> None:
    room.budgets = BudgetRules(projects={"p": Budget(usd=1.0)})

    assert room.doors().lane(task("claude", project="p")) == "claude,p"
    assert room.doors().lane(task("claude", project="q")) == "claude"


def test_a_lane_is_fit_for_a_folders_name_however_many_fallbacks_there_are(room: Room) -> None:
    room.budgets = BudgetRules(project=Budget(usd=1.0))
    names = tuple(f"agent-{number}" for number in range(200))

    lane = room.doors().lane(task("claude", fallback=("claude:opus", *names), project="p" * 64))

    assert lane.startswith("claude+agent-0+agent-1+")
    assert len(f"{'x' * 64}@{lane}") <= 255
    assert room.doors().is_open(lane)


def test_a_lane_of_agents_that_are_not_set_up_any_more_is_open(room: Room) -> None:
    assert room.doors().is_open("gone")


def test_an_agent_that_needs_nothing_touches_no_file(room: Room) -> None:
    doors = room.doors()
    with (
        patch("os.open", side_effect=AssertionError),
        patch("builtins.open", side_effect=AssertionError),
        patch("os.unlink", side_effect=AssertionError),
        patch("os.listdir", side_effect=AssertionError),
    ):
        spec = task("command", project="p", fallback=("claude",))

        assert doors.is_open(doors.lane(spec))
        assert doors.admit(spec, "w1") is spec
        doors.release("w1")
        doors.learn("command", succeeded=True, peak_bytes=5)
        assert doors.why(spec) == ""

    assert os.listdir(room.home) == []


# -- fallbacks


def test_a_fallback_takes_over_while_the_agents_provider_is_parked(room: Room) -> None:
    room.doors().park("claude", Limit(NOON + 60))
    spec = task("claude", model="opus", fallback=("crab", "codex:gpt-5", "gemini"))

    assert room.doors().admit(spec, "w1") == replace(spec, agent="codex", model="gpt-5")
    assert room.files("limits/running") == ["w1.json"]
    assert [entry.provider for entry in room.doors().running()] == ["openai"]


def test_a_fallback_without_a_model_gets_none_of_another_agents(room: Room) -> None:
    room.doors().park("claude", Limit(NOON + 60))

    taken = room.doors().admit(task("claude", model="opus", fallback=("codex",)), "w1")

    assert taken is not None
    assert (taken.agent, taken.model) == ("codex", "")


def test_a_fallback_does_not_stand_in_for_an_agent_that_is_only_busy(room: Room) -> None:
    room.setups = agents(anthropic=1)
    doors, spec = room.doors(), task("claude", fallback=("codex",))
    assert doors.admit(spec, "w1") == spec

    assert doors.admit(spec, "w2") is None
    assert not doors.is_open(doors.lane(spec))
    assert doors.why(spec) == "1 of 1 agents of anthropic run"


def test_with_all_parked_a_task_waits_and_every_reason_is_told(room: Room) -> None:
    doors, spec = room.doors(), task("claude", fallback=("crab", "codex"))
    doors.park("claude", Limit(NOON + 3600))
    doors.park("codex", Limit(NOON + 60, "requests"))

    assert doors.admit(spec, "w1") is None
    assert doors.why(spec) == (
        "provider anthropic is parked until 13:00 UTC, in 1h00m; "
        "provider openai is parked until 12:01 UTC, in 1m00s (requests)"
    )


def test_a_fallback_that_needs_nothing_is_always_let_in(room: Room) -> None:
    doors, spec = room.doors(), task("claude", fallback=("command",))
    doors.park("claude", Limit(NOON + 60))

    assert doors.is_open(doors.lane(spec))
    assert doors.admit(spec, "w1") == replace(spec, agent="command")
    doors.release("w1")
    assert doors.running() == []


# -- concurrency


def test_a_release_makes_room_for_the_next(room: Room) -> None:
    room.setups = agents(anthropic=2)
    doors = room.doors()
    assert [doors.admit(task(agent), f"w{number}") is not None for number, agent in enumerate(("claude", "crab"))]
    assert doors.admit(task("claude"), "w2") is None

    room.doors().release("w0")

    assert doors.admit(task("claude"), "w2") == task("claude")


def test_what_a_killed_worker_left_does_not_count_and_is_swept(room: Room) -> None:
    room.setups = agents(anthropic=1)
    doors = room.doors()
    doors.admit(task("claude"), "w1")
    (room.home / "limits/running/w1.json.4711.tmp").write_text("{")
    room.dead.add("w1")

    assert doors.is_open("claude")
    assert len(room.files("limits/running")) == 2  # to look is not to sweep
    assert doors.admit(task("claude"), "w2") == task("claude")
    assert room.files("limits/running") == ["w2.json"]


def test_a_torn_entry_of_a_living_worker_counts_as_none_with_a_word(room: Room) -> None:
    room.setups = agents(anthropic=1)
    (room.home / "limits/running").mkdir(parents=True)
    (room.home / "limits/running/w7.json").write_text('{"agent": "clau')

    assert room.doors().admit(task("claude"), "w1") == task("claude")
    assert room.log.told[0][0] == "limits_file_set_aside"
    assert [entry.agent for entry in room.doors().running()] == ["claude"]


def test_releasing_twice_or_what_never_ran_is_no_error(room: Room) -> None:
    room.doors().release("w1")
    room.doors().admit(task("claude"), "w1")
    room.doors().release("w1")
    room.doors().release("w1")

    assert room.files("limits/running") == []


# -- memory


@pytest.mark.parametrize(
    ("available", "running", "is_let_in"),
    [
        (None, 3, True),  # the system does not tell
        (0, 0, True),  # a small machine runs one at a time
        (1024 * MIB + 300 * MIB, 1, True),
        (1024 * MIB + 299 * MIB, 1, False),
        (0, 1, False),
    ],
)
def test_an_agent_starts_when_its_memory_is_free_above_the_floor(
    room: Room, available: int | None, running: int, is_let_in: bool
) -> None:
    room.declared = {"crab": 1024 * MIB}
    room.limits = LimitRules(memory_floor=300 * MIB)
    for number in range(running):
        assert room.doors().admit(task("crab"), f"w{number}")
    room.clock.advance(30)
    room.available = available

    assert room.doors().is_open("crab") is is_let_in
    assert (room.doors().admit(task("crab"), "w9") is not None) is is_let_in


def test_why_says_how_much_it_takes_and_how_much_is_free(room: Room) -> None:
    room.declared = {"crab": GIB}
    room.doors().admit(task("crab"), "w1")
    room.clock.advance(60)
    room.available = 256 * MIB + 614 * MIB

    assert room.doors().why(task("crab")) == "crab takes 1.0 GiB and 0.6 GiB is free above the floor"


def test_what_has_just_started_is_counted_with_what_it_will_still_take(room: Room) -> None:
    room.declared = {"crab": GIB}
    room.available = 256 * MIB + GIB + 512 * MIB
    doors = room.doors()
    assert doors.admit(task("crab"), "w1")

    assert doors.admit(task("crab"), "w2") is None
    room.clock.advance(15)
    assert doors.admit(task("crab"), "w2")


@pytest.mark.parametrize(
    ("ages", "expected"),
    [((0.0,), 300), ((15.0,), 150), ((30.0,), 0), ((-5.0,), 0), ((0.0, 15.0, 99.0), 450), ((), 0)],
)
def test_an_agent_is_expected_to_take_its_memory_within_half_a_minute(ages: tuple[float, ...], expected: int) -> None:
    entries = [Entry("crab", "anthropic", "default", 300, NOON - age) for age in ages]

    assert still_to_take(entries, NOON) == expected


def test_the_settings_memory_stands_above_the_adapters(room: Room) -> None:
    room.declared = {"claude": 100 * MIB}
    room.setups["claude"] = replace(room.setups["claude"], memory_bytes=700 * MIB)

    assert room.doors().need("claude") == 700 * MIB


# -- budgets


def charge(project: str = "p", usd: float | None = 1.0, tokens: int = 10, runs: int = 1) -> Charge:
    return Charge(project, "claude", "opus", Usage(input=tokens), usd, runs)


def test_a_project_over_its_budget_waits_until_midnight_and_others_go_on(room: Room) -> None:
    room.budgets = BudgetRules(project=Budget(usd=2.0))
    ledger = DayLedger(str(room.home), room.budgets, room.clock)
    ledger.charge(charge(usd=1.5))
    doors, spec = room.doors(), task("claude", project="p")
    assert doors.is_open(doors.lane(spec))

    ledger.charge(charge(usd=0.75))

    assert doors.admit(spec, "w1") is None
    assert not doors.is_open(doors.lane(spec))
    assert doors.why(spec) == "budget of project p is used up: 2.25 of 2 usd; it goes on at 00:00 UTC"
    assert doors.admit(task("claude", project="q"), "w1")
    room.clock.now = NOON + 12 * 3600
    assert doors.admit(spec, "w2") == spec


def test_a_days_budget_holds_up_everybody_with_a_need(room: Room) -> None:
    room.budgets = BudgetRules(day=Budget(tokens=100))
    DayLedger(str(room.home), room.budgets, room.clock).charge(charge(project="", tokens=100))
    doors = room.doors()

    assert not doors.is_open("claude")
    assert doors.admit(task("codex", project="q"), "w1") is None
    assert doors.admit(task("command"), "w1")


def test_runs_of_an_hour_go_on_at_the_full_hour(room: Room) -> None:
    room.budgets = BudgetRules(projects={"p": Budget(runs=2)})
    ledger = DayLedger(str(room.home), room.budgets, room.clock)
    doors, spec = room.doors(), task("claude", project="p")
    room.clock.advance(1800)
    ledger.charge(charge(usd=None))
    assert doors.admit(spec, "w1")
    ledger.charge(charge(usd=None))

    assert doors.admit(spec, "w2") is None
    assert doors.why(spec) == "budget of project p is used up: 2 of 2 runs an hour; it goes on at the full hour"
    room.clock.advance(1800)
    assert doors.admit(spec, "w2")


def test_a_budget_of_nothing_lets_nobody_in(room: Room) -> None:
    room.budgets = BudgetRules(project=Budget(usd=0.0))

    assert room.doors().admit(task("claude", project="p"), "w1") is None
    assert room.doors().admit(task("claude"), "w1")
