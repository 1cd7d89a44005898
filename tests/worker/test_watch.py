"""When a running agent is stopped because of what it or its gate told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.agent_events import Call, CostTold, End, Error, Limit, Text, UsageTold, event_fields
from conductor.domain.budget import Budget
from conductor.domain.masking import Masker
from conductor.domain.usage import Price, Usage
from conductor.ports import Charge
from conductor.testing.gate import ToldGate
from conductor.worker.cut import Cut
from conductor.worker.earlier import NOTHING, Used
from conductor.worker.event_file import EventFile
from conductor.worker.spending import Account, Meter
from conductor.worker.watch import Patience, Watch
from tests.worker.player import OwnSchema

NOW = 1_800_000_000.0
GOOD = Call("/v1/messages", 200, "m", usage=Usage(input=100, output=100))


class Book:
    """A ledger that only keeps what it was told."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.used_up = ""

    def warning(self) -> str:
        return ""

    def charge(self, charge: Charge) -> str:
        self.charges.append(charge)
        return self.used_up


class Scene:
    """A watch over a gate and an output that the test speaks into."""

    def __init__(self, folder: Path, budget: Budget, earlier: Used = NOTHING) -> None:
        self.path = folder / "agent.jsonl"
        self.gate = ToldGate()
        self.book = Book()
        self.notices: list[tuple[str, dict[str, object]]] = []
        meter = Meter(Account("p", "player", "asked"), budget, self.book, lambda model: Price(10_000, 10_000), earlier)
        self.watch = Watch(
            OwnSchema(),
            self.gate,
            EventFile(str(self.path), 10_000, Masker(["hunter2hunter2"])),
            meter,
            Patience(wait_in_run=60.0),
            lambda action, facts: self.notices.append((action, facts)),
            lambda: NOW,
        )

    def hear(self, *events: Text | UsageTold | CostTold) -> None:
        self.watch.hear(b"".join(json.dumps(event_fields(event)).encode() + b"\n" for event in events))

    def call(self, *calls: Call) -> None:
        for call in calls:
            self.gate.tell(call)
        self.watch.look_at_calls()

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, Budget(tokens=1000))
    yield made
    made.watch.close()


def test_an_agent_that_works_is_let_work(scene: Scene) -> None:
    scene.call(GOOD)
    scene.hear(Text("hello"))

    assert scene.watch.why_cut(0.0) is None
    assert [line["event"] for line in scene.lines()] == ["call", "text"]


def test_at_its_budget_it_is_stopped_its_gate_refuses_and_before_that_it_is_warned_of(scene: Scene) -> None:
    scene.call(*[GOOD] * 4)
    assert scene.watch.why_cut(0.0) is None
    assert scene.notices == [("budget_warning", {"used": "800 of 1000 tokens"})]

    scene.call(GOOD)
    assert scene.watch.why_cut(0.1) is Cut.BUDGET
    assert "1000 of 1000 tokens" in scene.watch.spent
    assert "1000 of 1000 tokens" in scene.gate.refused
    assert len(scene.notices) == 1


def test_money_that_nobody_reports_is_computed_from_prices(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Budget(usd=2.0))

    scene.call(GOOD)

    assert scene.watch.why_cut(0.0) is Cut.BUDGET
    assert scene.watch.spent == "its budget is used up: 2 of 2 usd"
    scene.watch.close()


def test_an_agent_that_tells_its_cost_alone_is_stopped_by_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Budget(usd=2.0))

    scene.hear(CostTold(2.5))

    assert scene.watch.why_cut(0.0) is Cut.BUDGET
    assert scene.watch.spent == "its budget is used up: 2.5 of 2 usd"
    scene.watch.close()
    assert [charge.usd for charge in scene.book.charges] == [2.5]


def test_what_earlier_attempts_used_counts_and_is_not_charged_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Budget(tokens=1000), Used(Usage(input=700)))
    assert scene.watch.why_cut(0.0) is None

    scene.call(GOOD, GOOD)

    assert scene.watch.why_cut(0.0) is Cut.BUDGET
    assert "1100 of 1000 tokens, with its earlier attempts" in scene.watch.spent
    scene.watch.close()
    assert sum(charge.usage.total for charge in scene.book.charges) == 400


def test_the_budget_of_its_project_stops_it_too(scene: Scene) -> None:
    scene.book.used_up = "budget of project p is used up"
    scene.call(GOOD)

    assert scene.watch.why_cut(0.0) is Cut.BUDGET
    assert scene.watch.spent == "budget of project p is used up"


def test_charges_are_what_is_new_each_time_and_at_most_one_a_second(scene: Scene) -> None:
    for moment in (0.0, 0.1, 0.5, 1.5):
        scene.call(GOOD)
        scene.watch.why_cut(moment)
    scene.watch.close()

    assert [charge.usage.total for charge in scene.book.charges] == [200, 600, 0]
    assert [charge.runs for charge in scene.book.charges] == [1, 0, 0]


def test_a_limit_that_lasts_stops_it_and_a_short_one_does_not(scene: Scene) -> None:
    scene.call(Call("/v1/messages", 429, limit=Limit(NOW + 59)))
    assert scene.watch.why_cut(0.0) is None

    scene.call(Call("/v1/messages", 429, limit=Limit(NOW + 61)))
    assert scene.watch.why_cut(0.0) is Cut.LIMITED


def test_after_a_bad_key_it_may_tell_so_itself_for_five_seconds(scene: Scene) -> None:
    scene.call(Call("/v1/messages", 401))

    assert scene.watch.why_cut(100.0) is None
    assert scene.watch.why_cut(104.9) is None
    assert scene.watch.why_cut(105.0) is Cut.HOPELESS


def test_a_call_that_succeeds_gives_hope_again(scene: Scene) -> None:
    scene.call(Call("/v1/messages", 401))
    assert scene.watch.why_cut(100.0) is None
    scene.call(GOOD)
    assert scene.watch.why_cut(106.0) is None

    scene.call(Call("/v1/messages", 401))
    assert scene.watch.why_cut(107.0) is None


def test_six_calls_in_a_row_that_fail_are_enough(scene: Scene) -> None:
    scene.call(*[Call("/v1/messages", 529)] * 5)
    assert scene.watch.why_cut(0.0) is None

    scene.call(Call("/v1/messages", None, error="connection refused"))
    assert scene.watch.why_cut(0.0) is Cut.HOPELESS


def test_errors_beyond_as_much_again_are_not_written_and_the_end_is(tmp_path: Path) -> None:
    path = tmp_path / "agent.jsonl"
    events = EventFile(str(path), 1000, Masker())
    for event in (Text("x" * 1000), *[Error("y" * 100)] * 50, End(True)):
        events.add(event)
    events.close()

    told = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert (told[0], told[1], told[-1]) == ("text", "error", "end")
    assert path.stat().st_size < 2500


def test_what_is_written_is_masked_and_capped_and_the_end_still_told(scene: Scene) -> None:
    scene.hear(Text("the key is hunter2hunter2"))
    for _ in range(200):
        scene.hear(Text("x" * 200))
    scene.hear(UsageTold(Usage(7)))

    assert "hunter2" not in scene.path.read_text()
    assert scene.path.stat().st_size < 11_000
    assert scene.lines()[-1]["event"] == "usage"


def test_closing_again_changes_nothing_and_the_last_calls_are_told(scene: Scene) -> None:
    scene.gate.tell(GOOD)

    scene.watch.close()
    scene.watch.close()

    assert scene.gate.closed
    assert scene.watch.tally.calls == 1
    assert [charge.usage.total for charge in scene.book.charges] == [200]
