"""Doors and queue together: what may not start waits, the others go on, nothing goes round in circles."""

from __future__ import annotations

import pytest

from conductor.domain.agent_events import Limit
from conductor.domain.budget import Budget
from conductor.domain.home import Home
from conductor.domain.limit_rules import BudgetRules
from conductor.domain.usage import Usage
from conductor.domain.worker_id import worker_id
from conductor.kit.lock import QuickLock
from conductor.kit.process import own_identity
from conductor.limits.doorkeeper import Doors
from conductor.limits.ledger import DayLedger
from conductor.ports import Charge
from conductor.queue.directory import DirectoryQueue
from conductor.queue.files import Surroundings
from conductor.queue.layout import open_home
from tests.limits.rooms import MIB, NOON, Room, agents, task


class Claims:
    """A queue of that room; each claim is a new worker's, with doors of its own."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._workers = 0
        self._running: dict[str, tuple[Doors, str]] = {}

    def queue(self, doors: Doors) -> DirectoryQueue:
        layout = open_home(Home(str(self.room.home)))
        world = Surroundings(QuickLock(layout.lock), self.room.clock, lambda: 0.0, doorkeeper=doors)
        return DirectoryQueue(layout, world)

    def submit(self, number: int, agent: str, **options: object) -> None:
        self.queue(self.room.doors()).submit(task(agent, number, **options))

    def next(self) -> str:
        """`id agent` of the task that a new worker gets, or nothing."""
        self._workers += 1
        doors, worker = self.room.doors(), worker_id(f"w{self._workers}", own_identity())
        claim = self.queue(doors).claim("default", worker)
        if claim is None:
            return ""
        self._running[claim.spec.id] = (doors, worker)
        return f"{claim.spec.id} {claim.spec.agent}"

    def end(self, task_id: str) -> None:
        doors, worker = self._running.pop(task_id)
        doors.release(worker)


@pytest.fixture
def claims(room: Room) -> Claims:
    return Claims(room)


def test_at_the_concurrency_tasks_wait_in_their_order_and_those_of_others_pass(claims: Claims) -> None:
    claims.room.setups = agents(anthropic=1)
    for number, agent in enumerate(("claude", "claude", "crab", "command", "codex"), 1):
        claims.submit(number, agent)

    assert [claims.next() for _ in range(4)] == ["t-1 claude", "t-4 command", "t-5 codex", ""]
    claims.end("t-1")
    assert [claims.next() for _ in range(2)] == ["t-2 claude", ""]
    claims.end("t-2")
    assert [claims.next() for _ in range(2)] == ["t-3 crab", ""]


def test_a_parked_providers_tasks_wait_or_move_on_to_a_fallback(claims: Claims) -> None:
    claims.submit(1, "claude")
    claims.submit(2, "claude", fallback=("codex",))
    claims.room.doors().park("claude", Limit(NOON + 60))

    assert [claims.next() for _ in range(2)] == ["t-2 codex", ""]
    claims.room.clock.advance(60)
    assert claims.next() == "t-1 claude"


def test_a_project_over_budget_waits_until_midnight_while_others_pass(claims: Claims) -> None:
    claims.room.budgets = BudgetRules(project=Budget(usd=1.0))
    DayLedger(str(claims.room.home), clock=claims.room.clock).charge(Charge("p", "claude", "opus", Usage(), 1.0, 1))
    for number, project in enumerate(("p", "q", "p", ""), 1):
        claims.submit(number, "claude", project=project)

    assert [claims.next() for _ in range(3)] == ["t-2 claude", "t-4 claude", ""]
    claims.room.clock.now = NOON + 12 * 3600
    assert [claims.next() for _ in range(3)] == ["t-1 claude", "t-3 claude", ""]


def test_tasks_held_under_older_settings_find_their_way(claims: Claims) -> None:
    claims.submit(1, "claude", project="p")
    claims.room.doors().park("claude", Limit(NOON + 60))
    assert claims.next() == ""

    claims.room.budgets = BudgetRules(projects={"p": Budget(usd=0.0)})
    claims.room.clock.advance(60)
    assert claims.next() == ""
    claims.room.budgets, claims.room.setups = BudgetRules(), {}

    assert claims.next() == "t-1 claude"


def test_an_agent_that_finds_no_memory_holds_up_no_smaller_one(claims: Claims) -> None:
    claims.room.declared = {"crab": 1000 * MIB, "codex": 150 * MIB}
    claims.room.available = 256 * MIB + 1000 * MIB
    for number, agent in enumerate(("crab", "crab", "codex"), 1):
        claims.submit(number, agent)

    assert claims.next() == "t-1 crab"
    claims.room.clock.advance(60)
    claims.room.available = 256 * MIB + 150 * MIB
    assert [claims.next() for _ in range(2)] == ["t-3 codex", ""]
    claims.room.available = 256 * MIB + 3000 * MIB
    assert claims.next() == "t-2 crab"
