"""Supervision told as a table of stories and replayed, and what holds whatever happens."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.exits import WorkerExit
from conductor.supervisor.policy import (
    BackingOff,
    Busy,
    ClaimWithdrawn,
    GivenUp,
    Halt,
    Idle,
    Kill,
    Move,
    Recover,
    RestartPolicy,
    Slot,
    SlotEvent,
    Start,
    Starting,
    TimePassed,
    Vacant,
    WorkerBorn,
    WorkerBusy,
    WorkerExited,
    WorkerReady,
    next_move,
    pid_of,
    wakes_at,
)

POLICY = RestartPolicy(budget=3, first_delay=1.0, longest_delay=60.0, start_timeout=30.0)
TICK, BORN, READY = TimePassed(), WorkerBorn(7), WorkerReady("w1")
BUSY, BUSY_FOR_EVER = WorkerBusy("w1", "t1", 1, 100.0), WorkerBusy("w1", "t1", 1, 0.0)
KILLED = WorkerExited(None)


def exit_with(code: int) -> WorkerExited:
    return WorkerExited(code)


@dataclass(frozen=True)
class Step:
    """At `at`, `event` comes: the slot is then `state`, `failures` were counted, and `moves` are to be made."""

    at: float
    event: SlotEvent
    state: str
    moves: str = ""
    failures: int = 0


def said(slot: Slot) -> str:
    """A state in the stories' words."""
    match slot.state:
        case Vacant():
            return "vacant"
        case Starting(since, pid):
            return f"starting since {since:g}, pid {pid}" if pid else f"starting since {since:g}"
        case Idle(since, pid, worker):
            return f"idle since {since:g}: {worker} pid {pid}"
        case Busy(_, _, worker, task, attempt, kill_at):
            return f"busy: {worker} {task}/{attempt}" + ("" if kill_at is None else f" until {kill_at:g}")
        case BackingOff(_, until, _):
            return f"backing off until {until:g}"
        case GivenUp(since, _):
            return f"given up at {since:g}"


def told(moves: tuple[Move, ...]) -> str:
    """Moves in the stories' words."""
    words = []
    for move in moves:
        match move:
            case Start():
                words.append("start")
            case Kill(pid, _):
                words.append(f"kill {pid}")
            case Recover(worker):
                words.append(f"recover {worker}")
            case Halt():
                words.append("halt")
    return ", ".join(words)


def up_to_idle(at: float = 0.0, failures: int = 0) -> list[Step]:
    return [
        Step(at, TICK, f"starting since {at:g}", "start", failures=failures),
        Step(at, BORN, f"starting since {at:g}, pid 7", failures=failures),
        Step(at, READY, f"idle since {at:g}: w1 pid 7"),
    ]


def up_to_busy(at: float = 0.0) -> list[Step]:
    return [*up_to_idle(at), Step(at, BUSY, f"busy: w1 t1/1 until {at + 100:g}")]


def failed_start(at: float, nth: int, end: str) -> list[Step]:
    return [
        Step(at, TICK, f"starting since {at:g}", "start", failures=nth - 1),
        Step(at, BORN, f"starting since {at:g}, pid 7", failures=nth - 1),
        Step(at, exit_with(1), end, failures=nth),
    ]


STORIES: dict[str, list[Step]] = {
    "a worker runs its task and the next takes its place": [
        *up_to_busy(),
        Step(5, exit_with(0), "vacant"),
        Step(5, TICK, "starting since 5", "start"),
    ],
    "an idle worker is replaced": [*up_to_idle(), Step(300, exit_with(10), "vacant")],
    "a worker that was told to go is replaced": [*up_to_idle(), Step(1, exit_with(11), "vacant")],
    "a worker that gave its task back is replaced": [*up_to_busy(), Step(1, exit_with(12), "vacant")],
    "a fenced worker is replaced": [*up_to_busy(), Step(1, exit_with(13), "vacant")],
    "a killed busy worker is finished for and replaced at once": [
        *up_to_busy(),
        Step(3, KILLED, "vacant", "recover w1"),
        Step(3, TICK, "starting since 3", "start"),
    ],
    "a killed idle worker may have claimed: it is finished for": [
        *up_to_idle(),
        Step(3, KILLED, "vacant", "recover w1"),
    ],
    "busy may be heard before ready": [
        Step(0, TICK, "starting since 0", "start"),
        Step(0, BORN, "starting since 0, pid 7"),
        Step(1, BUSY, "busy: w1 t1/1 until 101"),
        Step(2, READY, "busy: w1 t1/1 until 101"),
    ],
    "a worker whose claim went back to its lane is idle": [
        *up_to_busy(),
        Step(1, ClaimWithdrawn("w2"), "busy: w1 t1/1 until 100"),
        Step(2, ClaimWithdrawn("w1"), "idle since 2: w1 pid 7"),
        Step(3, ClaimWithdrawn("w1"), "idle since 2: w1 pid 7"),
    ],
    "a worker that does not end its task in time is killed once": [
        *up_to_busy(),
        Step(99.9, TICK, "busy: w1 t1/1 until 100"),
        Step(100, TICK, "busy: w1 t1/1", "kill 7"),
        Step(200, TICK, "busy: w1 t1/1"),
        Step(201, KILLED, "vacant", "recover w1"),
    ],
    "a task without a limit is never too late": [
        *up_to_idle(),
        Step(0, BUSY_FOR_EVER, "busy: w1 t1/1"),
        Step(1e9, TICK, "busy: w1 t1/1"),
    ],
    "a worker that is not ready in time is killed and spends the budget": [
        Step(0, TICK, "starting since 0", "start"),
        Step(1, BORN, "starting since 0, pid 7"),
        Step(30, TICK, "starting since 0, pid 7"),
        Step(31, TICK, "starting since 31, pid 7", "kill 7"),
        Step(32, KILLED, "backing off until 33", failures=1),
    ],
    "an unborn worker is its nursery's trouble": [
        Step(0, TICK, "starting since 0", "start"),
        Step(1000, TICK, "starting since 0"),
        Step(1001, exit_with(11), "vacant"),
    ],
    "starts that fail back off longer each time until the slot is given up": [
        *failed_start(0, 1, "backing off until 1"),
        Step(0.9, TICK, "backing off until 1", failures=1),
        *failed_start(1, 2, "backing off until 3"),
        *failed_start(3, 3, "given up at 3"),
        Step(1e6, TICK, "given up at 3", failures=3),
    ],
    "a start that works forgets the failed ones": [
        *failed_start(0, 1, "backing off until 1"),
        *failed_start(1, 2, "backing off until 3"),
        *up_to_idle(3, failures=2),
        Step(4, KILLED, "vacant", "recover w1"),
        *failed_start(5, 1, "backing off until 6"),
    ],
    "a worker that breaks while idle is finished for and rests, no start failed": [
        *up_to_idle(),
        Step(5, exit_with(70), "backing off until 6", "recover w1"),
        *up_to_idle(6),
    ],
    "a worker that breaks with a task is finished for and rests, no start failed": [
        *up_to_busy(),
        Step(5, exit_with(70), "backing off until 6", "recover w1"),
    ],
    "a worker that could not record leaves it to us and rests": [
        *up_to_busy(),
        Step(5, exit_with(14), "backing off until 10", "recover w1"),
        Step(9.9, TICK, "backing off until 10"),
        Step(10, TICK, "starting since 10", "start"),
    ],
    "a worker that cannot start halts the daemon": [
        Step(0, TICK, "starting since 0", "start"),
        Step(0, BORN, "starting since 0, pid 7"),
        Step(1, exit_with(78), "vacant", "halt"),
    ],
    "a worker that cannot go on halts the daemon after its task was finished for": [
        *up_to_busy(),
        Step(1, exit_with(78), "vacant", "recover w1, halt"),
    ],
    "an exit that is told twice changes nothing": [
        *failed_start(0, 1, "backing off until 1"),
        Step(0, exit_with(1), "backing off until 1", failures=1),
        Step(0, exit_with(0), "backing off until 1", failures=1),
        *failed_start(1, 2, "backing off until 3"),
        *failed_start(3, 3, "given up at 3"),
        Step(4, KILLED, "given up at 3", failures=3),
        Step(5, exit_with(0), "given up at 3", failures=3),
    ],
    "news of a worker that was not born yet changes nothing": [
        Step(0, TICK, "starting since 0", "start"),
        Step(0, READY, "starting since 0"),
        Step(0, BUSY, "starting since 0"),
        Step(1, BORN, "starting since 0, pid 7"),
    ],
    "news of a worker that is gone changes nothing": [
        *up_to_busy(),
        Step(1, exit_with(0), "vacant"),
        Step(1, READY, "vacant"),
        Step(1, BUSY, "vacant"),
        Step(1, BORN, "vacant"),
    ],
}


@pytest.mark.parametrize("steps", STORIES.values(), ids=STORIES.keys())
def test_a_story_of_a_slot_goes_as_it_is_told(steps: list[Step]) -> None:
    slot = Slot(1, "default")
    for number, step in enumerate(steps):
        slot, moves = next_move(slot, step.event, step.at, POLICY)
        seen = Step(step.at, step.event, said(slot), told(moves), slot.failures)
        assert seen == step, f"step {number}"


def test_delays_double_up_to_the_longest() -> None:
    delays = [POLICY.delay(failures) for failures in (1, 2, 3, 6, 7, 8, 5000)]

    assert delays == [1, 2, 4, 32, 60, 60, 60]


def test_what_a_slot_waits_for_is_known() -> None:
    starting = Slot(1, "p", Starting(10.0))

    assert wakes_at(Slot(1, "p"), POLICY) == 0.0
    assert wakes_at(starting, POLICY) is None, "only its nursery can tell"
    assert wakes_at(Slot(1, "p", Starting(10.0, pid=7)), POLICY) == 40.0
    assert wakes_at(Slot(1, "p", Idle(10.0, 7, "w1")), POLICY) == 10.0 + POLICY.idle_timeout
    assert wakes_at(Slot(1, "p", Busy(10.0, 7, "w1", "t", 1, 50.0)), POLICY) == 50.0
    assert wakes_at(Slot(1, "p", BackingOff(10.0, 12.0, "why")), POLICY) == 12.0
    assert wakes_at(Slot(1, "p", GivenUp(10.0, "why")), POLICY) is None


def test_an_idle_worker_that_does_not_leave_by_itself_is_killed() -> None:
    slot = Slot(1, "p", Idle(10.0, 7, "w1"))

    assert next_move(slot, TICK, 10.0 + POLICY.idle_timeout, POLICY) == (slot, ())
    after, moves = next_move(slot, TICK, 10.5 + POLICY.idle_timeout, POLICY)

    assert [type(move) for move in moves] == [Kill]
    assert next_move(after, TICK, 11.0 + POLICY.idle_timeout, POLICY)[1] == (), "once is enough"


# -- whatever happens

EVENTS = st.one_of(
    st.just(TICK),
    st.builds(WorkerBorn, st.integers(1, 5)),
    st.builds(WorkerReady, st.sampled_from(["w1", "w2"])),
    st.builds(WorkerBusy, st.sampled_from(["w1", "w2"]), st.just("t"), st.just(1), st.sampled_from([0.0, 10.0])),
    st.builds(ClaimWithdrawn, st.sampled_from(["w1", "w2"])),
    st.builds(WorkerExited, st.sampled_from([None, 0, 1, 70, *map(int, WorkerExit)])),
)
LIVES = st.lists(st.tuples(EVENTS, st.sampled_from([0.0, 0.5, 5.0, 100.0])), max_size=60)
POLICIES = st.builds(RestartPolicy, budget=st.integers(1, 4))


@given(LIVES, POLICIES)
def test_only_failed_starts_in_a_row_spend_the_budget(
    life: list[tuple[SlotEvent, float]], policy: RestartPolicy
) -> None:
    slot, now, failed_in_a_row = Slot(1, "default"), 0.0, 0
    for event, pause in life:
        before, now = slot, now + pause
        slot, _ = next_move(before, event, now, policy)
        if isinstance(event, WorkerExited) and isinstance(before.state, Starting):
            failed_in_a_row += event.code in (None, 1, 70)
        if isinstance(slot.state, Idle | Busy):
            failed_in_a_row = 0

        assert slot.failures <= policy.budget
        assert slot.failures <= failed_in_a_row
        if isinstance(slot.state, GivenUp):
            assert failed_in_a_row >= policy.budget
        if isinstance(before.state, Busy) and event == KILLED:
            assert slot.failures == before.failures
            assert isinstance(slot.state, Vacant)
        if isinstance(before.state, GivenUp) and event != WorkerExited(78):
            assert slot == before, "only a change of the target wakes it"


@given(LIVES, POLICIES)
def test_whoever_may_have_claimed_is_finished_for_unless_it_said_that_all_is_well(
    life: list[tuple[SlotEvent, float]], policy: RestartPolicy
) -> None:
    slot, now = Slot(1, "default"), 0.0
    for event, pause in life:
        before, now = slot, now + pause
        slot, moves = next_move(before, event, now, policy)
        if isinstance(event, WorkerExited) and isinstance(before.state, Idle | Busy):
            well = event.code in (0, 10, 11, 12, 13)
            assert (Recover(before.state.worker_id) in moves) == (not well)
        else:
            assert not any(isinstance(move, Recover) for move in moves)


@given(LIVES, POLICIES)
def test_exit_78_always_halts_and_nothing_else_does(life: list[tuple[SlotEvent, float]], policy: RestartPolicy) -> None:
    slot, now = Slot(1, "default"), 0.0
    for event, pause in life:
        now += pause
        slot, moves = next_move(slot, event, now, policy)
        assert any(isinstance(move, Halt) for move in moves) == (event == WorkerExited(78))


@given(LIVES, POLICIES)
def test_a_worker_is_started_only_where_there_is_none_and_only_the_slot_s_own_is_killed(
    life: list[tuple[SlotEvent, float]], policy: RestartPolicy
) -> None:
    slot, now = Slot(1, "default"), 0.0
    for event, pause in life:
        before, now = slot, now + pause
        slot, moves = next_move(before, event, now, policy)
        for move in moves:
            if isinstance(move, Start):
                assert pid_of(before) == 0
                assert isinstance(slot.state, Starting)
            if isinstance(move, Kill):
                assert move.pid == pid_of(before) == pid_of(slot) != 0


@given(LIVES)
def test_a_slot_that_is_not_given_up_comes_back_when_time_passes_and_workers_behave(
    life: list[tuple[SlotEvent, float]],
) -> None:
    slot, now = Slot(1, "default"), 0.0
    for event, pause in life:
        now += pause
        slot, _ = next_move(slot, event, now, POLICY)
    if isinstance(slot.state, GivenUp):
        return

    for event in (WorkerExited(0), TICK, TICK, WorkerBorn(9), WorkerReady("w9")):
        now += 1000.0
        slot, _ = next_move(slot, event, now, POLICY)

    assert isinstance(slot.state, Idle)
