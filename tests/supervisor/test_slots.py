"""The table of slots: targets, surplus, adoption, and signals that reach the very process or none."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from conductor.supervisor.policy import (
    Busy,
    GivenUp,
    Idle,
    RestartPolicy,
    Start,
    Starting,
    TimePassed,
    Vacant,
    WorkerBorn,
    WorkerBusy,
    WorkerExited,
    WorkerReady,
)
from conductor.supervisor.slots import SlotTable

Spawn = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def table() -> SlotTable:
    return SlotTable(RestartPolicy(budget=1))


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts processes that sleep; ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def one() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.wait()


def bring_up(table: SlotTable, number: int, pid: int, *, busy: bool = False) -> None:
    worker = f"w{number}"
    table.apply(number, TimePassed(), 0.0)
    table.apply(number, WorkerBorn(pid), 0.0)
    table.apply(number, WorkerReady(worker), 0.0)
    if busy:
        table.apply(number, WorkerBusy(worker, f"t{number}", 1, 0.0), 0.0)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


# -- targets


def test_a_target_makes_that_many_slots_with_the_lowest_free_numbers(table: SlotTable) -> None:
    table.set_target("default", 2)
    table.set_target("gpu", 1)
    table.set_target("default", 3)

    assert [(slot.number, slot.pool) for slot in table] == [(1, "default"), (2, "default"), (3, "gpu"), (4, "default")]
    assert all(isinstance(slot.state, Vacant) for slot in table)
    assert table.targets == {"default": 3, "gpu": 1}


def test_a_smaller_target_leaves_the_slots_until_their_workers_have_gone(table: SlotTable) -> None:
    table.set_target("default", 3)

    table.set_target("default", 1)

    assert len(table.in_pool("default")) == 3
    assert [slot.number for slot in table.surplus()] == [3, 2]


def test_the_number_of_a_dropped_slot_is_used_again(table: SlotTable) -> None:
    table.set_target("default", 3)
    table.set_target("default", 2)
    (beyond,) = table.surplus()
    table.drop(beyond)
    assert table.surplus() == []

    table.set_target("default", 4)

    assert [slot.number for slot in table] == [1, 2, 3, 4]


def test_slots_without_work_are_the_first_to_go(table: SlotTable, spawn: Spawn) -> None:
    table.set_target("default", 4)
    bring_up(table, 4, spawn().pid, busy=True)
    bring_up(table, 2, spawn().pid)
    bring_up(table, 1, spawn().pid, busy=True)

    table.set_target("default", 2)
    assert [slot.number for slot in table.surplus()] == [3, 2]

    table.set_target("default", 1)
    assert [slot.number for slot in table.surplus()] == [3, 2, 4]

    table.set_target("default", 0)
    assert [slot.number for slot in table.surplus()] == [3, 2, 4, 1]


def test_one_pool_s_surplus_is_not_another_s(table: SlotTable) -> None:
    table.set_target("default", 2)
    table.set_target("gpu", 2)

    table.set_target("gpu", 0)

    assert {slot.pool for slot in table.surplus()} == {"gpu"}


def test_a_given_up_slot_gets_another_chance_when_the_target_is_set(table: SlotTable) -> None:
    table.set_target("default", 1)
    table.apply(1, TimePassed(), 0.0)
    table.apply(1, WorkerExited(1), 0.0)
    (slot,) = table
    assert isinstance(slot.state, GivenUp)

    table.set_target("default", 1)

    (slot,) = table
    assert slot.state == Vacant()
    assert slot.failures == 0
    assert table.apply(1, TimePassed(), 0.0) == (Start(),)


# -- events


def test_an_event_for_a_slot_that_is_no_more_changes_nothing(table: SlotTable) -> None:
    table.set_target("default", 1)
    (slot,) = table
    table.drop(slot)

    assert table.apply(1, TimePassed(), 0.0) == ()
    assert list(table) == []


def test_a_slot_is_found_by_its_process(table: SlotTable, spawn: Spawn) -> None:
    table.set_target("default", 2)
    pid = spawn().pid
    bring_up(table, 2, pid)

    slot = table.by_pid(pid)

    assert slot is not None
    assert slot.number == 2
    assert isinstance(slot.state, Idle)
    assert table.by_pid(pid + 1) is None


def test_the_table_knows_when_time_changes_a_slot(table: SlotTable, spawn: Spawn) -> None:
    table.set_target("default", 1)
    table.apply(1, TimePassed(), 5.0)
    assert [table.wakes_at(slot) for slot in table] == [None]

    table.apply(1, WorkerBorn(spawn().pid), 6.0)

    assert [table.wakes_at(slot) for slot in table] == [35.0]


# -- adoption


def test_a_worker_of_an_earlier_supervisor_takes_a_vacant_slot_of_its_pool(table: SlotTable, spawn: Spawn) -> None:
    table.set_target("default", 1)
    table.set_target("gpu", 2)
    busy = Busy(0.0, spawn().pid, "w9", "t", 2, 100.0)

    slot = table.adopt("gpu", busy)

    assert (slot.number, slot.state) == (2, busy)
    assert len(list(table)) == 3
    assert table.surplus() == []


def test_a_worker_that_finds_no_vacant_slot_is_one_too_many_but_its_task_goes_on(
    table: SlotTable, spawn: Spawn
) -> None:
    table.set_target("default", 1)
    table.apply(1, TimePassed(), 0.0)

    slot = table.adopt("default", Busy(0.0, spawn().pid, "w1", "t", 1, None))

    assert slot.number == 2
    assert [(beyond.number, type(beyond.state)) for beyond in table.surplus()] == [(1, Starting)]


# -- processes


def test_a_signal_reaches_the_slot_s_process(table: SlotTable, spawn: Spawn) -> None:
    table.set_target("default", 1)
    process = spawn()
    bring_up(table, 1, process.pid)
    (slot,) = table

    table.send(slot, signal.SIGTERM)

    assert process.wait(30) == -signal.SIGTERM


def test_a_signal_for_a_process_that_has_gone_is_no_error(table: SlotTable, spawn: Spawn) -> None:
    table.set_target("default", 2)
    process, gone = spawn(), spawn()
    gone.kill()
    gone.wait()
    bring_up(table, 1, process.pid)
    bring_up(table, 2, gone.pid)
    process.kill()
    process.wait()

    for slot in table:
        table.send(slot, signal.SIGTERM)


def test_no_descriptor_is_left_when_a_worker_has_gone(table: SlotTable, spawn: Spawn) -> None:
    table.set_target("default", 2)
    before = descriptors()

    for _ in range(3):
        for number in (1, 2):
            bring_up(table, number, spawn().pid, busy=number == 1)
        assert len(descriptors()) == len(before) + 2
        for number in (1, 2):
            table.apply(number, WorkerExited(0), 1.0)

    assert descriptors() == before
