"""What passes between supervisor, nursery and workers may come late or never: played by a nursery that can wait."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from conductor.domain.retry import RetryPolicy
from conductor.kit.process import reap_children, send_signal, stat_fields
from conductor.supervisor.fleet import Fleet
from conductor.supervisor.nurseries import NurseryCommand
from conductor.supervisor.orphans import Leftovers
from conductor.supervisor.plan import OrchestratorPlan, PoolPlan, SupervisorPlan
from conductor.supervisor.policy import BackingOff, Idle, RestartPolicy, Slot, Starting, pid_of
from conductor.testing.memory_queue import MemoryQueue
from tests.support import eventually

SLOW_NURSERY = """
import os, signal, sys, time
from conductor.domain.wire import Born, Died, NurseryUp, Ready
from conductor.domain.worker_id import worker_id
from conductor.kit.process import identity_of

mode, control, report = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.read(control, 65536)                      # the settings
os.write(control, NurseryUp().line())
os.read(control, 65536)                      # the order to fork
worker = os.fork()
if worker == 0:
    time.sleep(600)
ready = Ready(worker_id("w1", identity_of(worker))).line()
if mode == "birth is told late":
    os.write(report, ready)
    time.sleep(0.2)
    os.write(control, Born(1, worker).line())
if mode == "death is not told":
    os.write(control, Born(1, worker).line())
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
if mode == "death is its last word":
    os.write(control, Born(1, worker).line())
    os.kill(worker, signal.SIGKILL)
    os.write(control, Died(*os.waitpid(worker, 0)).line())
    os._exit(0)
signal.pause()
"""


class Nothing:
    """A log and a sink of events that are not looked at."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **facts: None


Make = Callable[[str], Fleet]


@pytest.fixture
def fleet() -> Iterator[Make]:
    """One slot, and a nursery that behaves as told."""
    made: list[Fleet] = []

    def make(mode: str) -> Fleet:
        plan = SupervisorPlan(
            pools={"default": PoolPlan(1, "{}")},
            default_agent="",
            poll_interval=1.0,
            stop_timeout=1.0,
            grace=1.0,
            timeout=60.0,
            restart=RestartPolicy(first_delay=600.0, longest_delay=600.0),
            orchestrators=OrchestratorPlan(lambda project: [], RestartPolicy(), 600.0),
        )
        queue = MemoryQueue(time.time, lambda: 0.0, RetryPolicy())
        nothing = Nothing()
        made.append(Fleet(plan, queue, slow_nursery(mode), Leftovers("NO_SUCH_VARIABLE", ""), nothing, nothing))
        return made[-1]

    yield make
    for one in made:
        one.starting_allowed = False
        for pid in one._known_pids() - {0}:
            send_signal(pid, signal.SIGKILL)
        eventually(lambda one=one: is_empty(one), what="a fleet that knows of nobody")
        one.close()


def is_empty(fleet: Fleet) -> bool:
    turn(fleet)
    fleet.notice_silent_exits(time.monotonic())
    return fleet._known_pids() <= {0}


def slow_nursery(mode: str) -> NurseryCommand:
    return lambda control, report: [sys.executable, "-c", SLOW_NURSERY, mode, str(control), str(report)]


def turn(fleet: Fleet) -> None:
    """What the daemon's loop does with its fleet, in its order."""
    now = time.monotonic()
    reap_children(lambda pid, wait_status: fleet.reaped(pid, wait_status, now))
    fleet.hear_nurseries(now)
    fleet.hear_reports(now)
    if fleet.starting_allowed:
        fleet.keep_alive(now)


def the_slot(fleet: Fleet) -> Slot:
    (slot,) = fleet.slots
    return slot


def test_a_worker_that_is_ready_before_its_birth_was_told_is_known_to_be_idle(fleet: Make) -> None:
    # given a nursery that was held up between its fork and telling of it
    one = fleet("birth is told late")

    # when, then
    eventually(lambda: turn(one) or isinstance(the_slot(one).state, Idle), what="an idle slot")


def test_a_worker_that_its_nursery_buried_in_silence_is_missed(fleet: Make) -> None:
    # given a worker that was born, never got ready, and whose end nobody told
    one = fleet("death is not told")
    eventually(lambda: turn(one) or pid_of(the_slot(one)), what="a worker born")
    eventually(lambda: stat_fields(pid_of(the_slot(one))) is None, what="its end")
    turn(one)
    assert isinstance(the_slot(one).state, Starting)

    # when everything is looked at
    one.notice_silent_exits(time.monotonic())

    # then another try follows later
    assert isinstance(the_slot(one).state, BackingOff)


def test_the_last_words_of_a_nursery_are_heard_after_its_end(fleet: Make) -> None:
    # given a nursery that was told to fork and has ended, and whose messages nobody has read
    one = fleet("death is its last word")
    eventually(lambda: turn(one) or isinstance(the_slot(one).state, Starting), what="the order to fork")
    (nursery,) = one._known_pids() - {0}
    eventually(lambda: (stat_fields(nursery) or "Z")[0] == "Z", what="its end")

    # when the next turn learns of its end first
    turn(one)

    # then the birth and the death of its worker are known: the start has failed and is counted
    assert isinstance(the_slot(one).state, BackingOff)
    assert the_slot(one).failures == 1
