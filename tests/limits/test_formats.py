"""What stands in the files: an old home is read for ever, so these texts never change, only new ones are added."""

from __future__ import annotations

from pathlib import Path

from conductor.domain.agent_events import Limit
from conductor.domain.usage import Usage
from conductor.limits.experience import Experience, Experiences
from conductor.limits.ledger import DayLedger
from conductor.limits.parking import Mode, Parking
from conductor.limits.running import Entry
from conductor.ports import Charge
from tests.limits.rooms import NOON, Room, task

PARKED = (
    '{"since":1800014400.0,"until":1800021600.0,"mode":"parked","told":1800021600.0,"kind":"five_hour",'
    '"said":"You\'ve hit your limit","by":"claude","strikes":1}\n'
)
FORBIDDEN = '{"since": 1800014400, "mode": "forbidden"}'
RUNNING = (
    '{"agent":"claude","provider":"anthropic","account":"default","memory":1000,"since":1800014400.0,"task":"t-1"}\n'
)
AGENT = '{"runs":2,"successes":1,"version":"2.1","peaks":[300,400]}\n'
DAY = (
    '{"rows":[{"project":"p","agent":"claude","model":"opus","runs":1,"unpriced_runs":0,"input":1,"cached":2,'
    '"cache_written":3,"output":4,"reasoning":0,"unpriced":0,"usd":0.5}],"hours":{"12":{"p":1}}}\n'
)


def place(room: Room, name: str, text: str) -> Path:
    path = room.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_parked_provider(room: Room) -> None:
    room.doors().park("claude", Limit(NOON + 7200, "five_hour", "You've hit your limit"))
    assert (room.home / "limits/parked/anthropic~default.json").read_text() == PARKED

    place(room, "limits/parked/openai~work.json", FORBIDDEN)

    one, other = Parking(str(room.home), room.limits, room.clock).all()
    assert (one.key, one.until, one.kind, one.by) == (("anthropic", "default"), NOON + 7200, "five_hour", "claude")
    assert (other.key, other.mode) == (("openai", "work"), Mode.FORBIDDEN)


def test_a_running_agent(room: Room) -> None:
    room.declared = {"claude": 1000}
    room.doors().admit(task("claude"), "w1")
    assert (room.home / "limits/running/w1.json").read_text() == RUNNING

    place(room, "limits/running/w2.json", RUNNING)

    assert room.doors().running() == [Entry("claude", "anthropic", "default", 1000, NOON, "t-1")] * 2


def test_what_was_learned_of_an_agent(room: Room) -> None:
    room.doors().learn("claude", succeeded=False, peak_bytes=300, version="2.1")
    room.doors().learn("claude", succeeded=True, peak_bytes=400, version="2.1")
    assert (room.home / "limits/agents/claude.json").read_text() == AGENT

    place(room, "limits/agents/codex.json", AGENT)

    assert Experiences(str(room.home)).of("codex") == Experience(2, 1, "2.1", (300, 400))


def test_a_days_spending(room: Room) -> None:
    DayLedger(str(room.home), clock=room.clock).charge(Charge("p", "claude", "opus", Usage(1, 2, 3, 4), 0.5, 1))
    assert (room.home / "spend/2027-01-15.json").read_text() == DAY

    place(room, "spend/2027-01-16.json", DAY)

    (_, one), (_, other) = DayLedger(str(room.home)).days()
    assert one == other
    assert one.spent("p").usage == Usage(1, 2, 3, 4)
    assert one.runs_in("12") == 1
