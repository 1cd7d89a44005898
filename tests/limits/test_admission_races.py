"""However many ask at once, and whoever of them dies: never more agents than allowed."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.domain.usage import Usage
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity
from conductor.limits.doorkeeper import Doors, World
from conductor.limits.ledger import DayLedger
from conductor.ports import Charge
from tests.limits.rooms import Room, agents, task
from tests.support import eventually

MOST = 2
PROCESSES = 6


def real_doors(home: Path) -> Doors:
    return Doors(str(home), agents(anthropic=MOST), {}, (LimitRules(), BudgetRules()), World(available=lambda: None))


def forked(work: Callable[[], bool]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return pid


def exit_codes(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_processes_that_ask_at_once_never_exceed_the_concurrency(room: Room) -> None:
    inside = room.home / "inside"
    inside.mkdir()
    doors = real_doors(room.home)  # made before the fork, as in a nursery

    def come_and_go() -> bool:
        me, entered, were_few = worker_id("w1", own_identity()), 0, True
        while entered < 15:
            if doors.admit(task("claude"), me) is None:
                continue
            mark = inside / me
            mark.touch()
            were_few = were_few and len(os.listdir(inside)) <= MOST
            mark.unlink()
            doors.release(me)
            entered += 1
        return were_few

    codes = exit_codes([forked(come_and_go) for _ in range(PROCESSES)])

    assert codes == [0] * PROCESSES
    assert doors.running() == []


def test_the_entry_of_a_killed_process_makes_room_at_once(room: Room) -> None:
    doors = real_doors(room.home)

    def stay() -> bool:
        doors.admit(task("claude"), worker_id("w1", own_identity()))
        signal.pause()
        return True

    pids = [forked(stay) for _ in range(MOST)]
    try:
        eventually(lambda: len(doors.running()) == MOST)
        me = worker_id("w9", own_identity())
        assert doors.admit(task("claude"), me) is None
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        exit_codes(pids)

    assert doors.admit(task("claude"), me) == task("claude")
    assert room.files("limits/running") == [f"{me}.json"]


def test_processes_that_charge_at_once_lose_nothing(room: Room) -> None:
    def spend() -> bool:
        ledger = DayLedger(str(room.home), clock=room.clock)
        for _ in range(25):
            ledger.charge(Charge("p", "claude", "opus", Usage(input=1, output=2), 0.5, 1))
        return True

    assert exit_codes([forked(spend) for _ in range(4)]) == [0] * 4

    ((_, day),) = DayLedger(str(room.home)).days()
    spent = day.spent("p")
    assert (spent.runs, spent.usage, spent.usd) == (100, Usage(input=100, output=200), 50.0)


WORKERS = [f"w{number}" for number in range(5)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "release", "die"]), st.sampled_from(WORKERS), st.sampled_from(["claude", "crab"])
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(STEPS, st.integers(1, 3))
def test_whatever_comes_goes_and_dies_the_house_is_never_too_full_and_never_empty_for_nothing(
    steps: list[tuple[str, str, str]], most: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder), setups=agents(anthropic=most))
        doors, inside = room.doors(), set[str]()
        for deed, worker, agent in steps:
            if deed == "release":
                doors.release(worker)
                inside.discard(worker)
            elif deed == "die":
                room.dead.add(worker)
                inside.discard(worker)
            elif worker not in inside and worker not in room.dead:
                admitted = doors.admit(task(agent), worker) is not None
                assert admitted == (len(inside) < most)
                inside |= {worker} if admitted else set()
            assert len(doors.running()) == len(inside) <= most
