"""`conductor limits` and `conductor usage` as a person calls them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conductor.cli.main import cli, exit_code_of
from conductor.domain.agent_events import Limit
from conductor.domain.errors import ConductorError
from conductor.domain.exits import CliExit
from conductor.domain.home import Home
from conductor.domain.usage import Usage
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity
from conductor.limits.ledger import DayLedger
from conductor.limits.parking import parked_lines
from conductor.ports import Charge
from conductor.queue.layout import open_home
from conductor.testing.clock import ManualClock
from tests.limits.rooms import NOON, Room, agents, task


@pytest.fixture
def home(home: Home) -> Home:
    open_home(home)
    return home


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CONDUCTOR")]:
        monkeypatch.delenv(name)


def call(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--home", home.path, *arguments])


def ok(home: Home, *arguments: str) -> Result:
    result = call(home, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def settle(home: Home, **settings: Any) -> None:
    Path(home.settings_file).write_text(json.dumps(settings))


def room_of(home: Home) -> Room:
    return Room(Path(home.path), ManualClock(time.time()), setups=agents(anthropic=2))


# -- limits


def test_with_nothing_to_tell_limits_says_so_and_how_much_memory_is_free(home: Home) -> None:
    lines = ok(home, "limits").stdout.splitlines()

    assert lines[0] == "no provider is parked"
    assert lines[-1].startswith("memory: ")
    assert lines[-1].endswith("MiB free above a floor of 256 MiB")


def test_a_parked_provider_is_shown_with_what_it_said_and_can_be_lifted(home: Home) -> None:
    room = room_of(home)
    room.doors().park("claude", Limit(room.clock.now + 7200, "five_hour", "You've hit\x1b[31m your limit"))

    shown = ok(home, "limits", "list").stdout.splitlines()[0]
    lifted = ok(home, "limits", "lift", "anthropic")

    assert shown.startswith("provider anthropic is parked until ")
    assert shown.endswith("(five_hour): You've hit [31m your limit")
    assert "anthropic: lifted" in lifted.stderr
    assert room.doors().is_open("claude")
    assert "was neither parked" in ok(home, "limits", "lift", "anthropic").stderr


def test_parking_by_hand_holds_for_the_time_said(home: Home) -> None:
    answer = ok(home, "limits", "park", "anthropic", "--for", "2h")

    room = room_of(home)
    assert "is parked until" in answer.stderr
    assert "in 2h00m (by hand)" in answer.stderr
    assert not room.doors().is_open("claude")
    room.clock.advance(7201)
    assert room.doors().is_open("claude")


def test_forbidding_and_allowing_are_shown_and_end_with_lift(home: Home) -> None:
    ok(home, "limits", "forbid", "anthropic")
    ok(home, "limits", "allow", "openai")

    assert parked_lines(home.path, time.time()) == [
        "provider anthropic is forbidden: `conductor limits lift anthropic` ends that",
        "provider openai is never parked: `conductor limits lift openai` ends that",
    ]
    found = json.loads(ok(home, "limits", "list", "--json").stdout)
    assert [(one["provider"], one["mode"], one["until"]) for one in found["parked"]] == [
        ("anthropic", "forbidden", None),
        ("openai", "never", None),
    ]
    ok(home, "limits", "lift", "anthropic")
    ok(home, "limits", "lift", "openai")
    assert parked_lines(home.path, time.time()) == []


def test_running_agents_are_counted_by_provider(home: Home) -> None:
    settle(home, providers={"anthropic": {"concurrency": 2}, "openai": {"concurrency": 1}})
    assert room_of(home).doors().admit(task("claude"), worker_id("w1", own_identity()))

    out = ok(home, "limits").stdout
    found = json.loads(ok(home, "limits", "list", "--json").stdout)["running"]

    assert "provider anthropic: 1 of 2 agents run\n  claude  t-1  0 MiB  for " in out
    assert "provider openai: 0 of 1 agents run" in out
    assert [(group["provider"], group["most"], len(group["agents"])) for group in found] == [
        ("anthropic", 2, 1),
        ("openai", 1, 0),
    ]


def test_an_account_is_named_after_a_colon(home: Home) -> None:
    settle(home, providers={"anthropic": {"account": "work"}})

    ok(home, "limits", "forbid", "anthropic:work")
    ok(home, "limits", "forbid", "anthropic")  # the account that there is

    assert os.listdir(f"{home.path}/limits/parked") == ["anthropic~work.json"]


@pytest.mark.parametrize("name", ["antropic", "anthropic:other", "../x", ""])
def test_a_provider_that_no_agent_uses_is_a_usage_error(home: Home, name: str) -> None:
    error = call(home, "limits", "forbid", name).exception

    assert isinstance(error, ConductorError)
    assert exit_code_of(error) == CliExit.USAGE
    assert "there is" in str(error)
    assert "anthropic" in str(error)


# -- usage


def spend(home: Home, when: float, model: str, usd: float | None, *, project: str = "", unpriced: int = 0) -> None:
    usage = Usage(input=1000, cached=200, output=30)
    charge = Charge(project, "claude", model, usage, usd, 1, unpriced)
    DayLedger(home.path, clock=ManualClock(when)).charge(charge)


def test_usage_sums_by_the_columns_asked_for(home: Home) -> None:
    spend(home, NOON, "opus", 1.25, project="p")
    spend(home, NOON + 86400, "opus", 0.25)
    spend(home, NOON, "haiku", 0.01)

    assert ok(home, "usage", "--by", "model,day").stdout.splitlines() == [
        "MODEL  DAY         RUNS  INPUT  CACHED  WRITTEN  OUTPUT     USD",
        "haiku  2027-01-15     1  1,000     200        0      30  0.0100",
        "opus   2027-01-15     1  1,000     200        0      30    1.25",
        "opus   2027-01-16     1  1,000     200        0      30    0.25",
        "total                 3  3,000     600        0      90    1.51",
    ]
    rows = json.loads(ok(home, "usage", "--by", "project", "--json").stdout)
    assert [(row["project"], row["runs"], row["usd"]) for row in rows] == [("", 2, 0.26), ("p", 1, 1.25)]


def test_costs_that_nobody_knows_are_shown_as_not_known(home: Home) -> None:
    spend(home, NOON, "opus", 1.5)
    spend(home, NOON, "opus", None, unpriced=1)
    spend(home, NOON, "plan", None, unpriced=1)

    answer = ok(home, "usage", "--by", "model")

    assert [line.split()[-1] for line in answer.stdout.splitlines()[1:]] == ["1.50+?", "?", "1.50+?"]
    assert answer.stderr == "? the cost of 2 of 3 runs is not known (2460 tokens without a price)\n"
    rows = json.loads(ok(home, "usage", "--by", "model", "--json").stdout)
    assert [(row["usd"], row["runs_of_unknown_cost"]) for row in rows] == [(1.5, 1), (None, 1)]


def test_usage_since_leaves_out_earlier_days(home: Home) -> None:
    now = time.time()
    spend(home, now, "opus", 1.0)
    spend(home, now - 10 * 86400, "opus", 2.0)

    rows = json.loads(ok(home, "usage", "--by", "agent", "--since", "7d", "--json").stdout)

    assert [row["usd"] for row in rows] == [1.0]


def test_nothing_used_is_said(home: Home) -> None:
    answer = ok(home, "usage")

    assert (answer.stdout, answer.stderr) == ("", "nothing was used\n")


def test_a_column_that_is_none_is_a_usage_error(home: Home) -> None:
    answer = call(home, "usage", "--by", "agent,colour")

    assert answer.exit_code == CliExit.USAGE
    assert "no column 'colour': there is project, agent, model, day" in answer.stderr


def test_names_from_outside_do_not_reach_the_terminal_as_they_are(home: Home) -> None:
    spend(home, NOON, "evil\x1b]0;x\x07", 1.0)

    assert "\x1b" not in ok(home, "usage").stdout
