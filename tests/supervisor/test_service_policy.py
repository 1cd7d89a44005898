"""What becomes of an orchestrator told as a table of stories and replayed, and what holds whatever happens."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.supervisor.policy import BackingOff, GivenUp, RestartPolicy, Vacant
from conductor.supervisor.service_policy import (
    Asked,
    Ending,
    EndTree,
    Exited,
    NotStarted,
    Running,
    Seen,
    Service,
    ServiceEvent,
    ServiceMove,
    ServicePolicy,
    Start,
    Started,
    Starting,
    Tell,
    TimePassed,
    ToldToLeave,
    next_step,
    wakes_at,
)

POLICY = ServicePolicy(RestartPolicy(budget=3, first_delay=1.0, longest_delay=60.0), stale=600.0, steady=60.0)
TICK, WANTED, BEATS = TimePassed(), Seen(wanted=True), Seen(wanted=True, has_beaten=True)
UNWANTED = Seen(wanted=False)


@dataclass(frozen=True)
class Step:
    """At `at`, `event` comes: the service is then `state`, `failures` were counted, and `moves` are to be made."""

    at: float
    event: ServiceEvent
    state: str
    moves: str = ""
    failures: int = 0


def said(service: Service) -> str:
    """A state in the stories' words."""
    match service.state:
        case Vacant():
            return "forgotten" if service.is_forgotten else "vacant"
        case Starting(since, _):
            return f"starting since {since:g}"
        case Running(since, _, beat):
            return f"running since {since:g}, beat {beat:g}"
        case Ending(_, _, kill_at, why):
            return f"ending by {kill_at:g}" + (f": {why}" if why else "")
        case BackingOff(_, until, _):
            return f"backing off until {until:g}"
        case GivenUp(since, _):
            return f"given up at {since:g}"


def told(moves: tuple[ServiceMove, ...]) -> str:
    return ", ".join("end" if isinstance(move, EndTree) else type(move).__name__.lower() for move in moves)


def up_to_start() -> list[Step]:
    return [
        Step(0, WANTED, "vacant"),
        Step(0, TICK, "vacant", "start"),
        Step(0, Started(7), "starting since 0"),
    ]


def up_to_beat() -> list[Step]:
    return [*up_to_start(), Step(1, BEATS, "running since 0, beat 1")]


def again(at: float, failures: int) -> list[Step]:
    return [Step(at, Started(7), f"starting since {at:g}", failures=failures)]


def exit_with(code: int, wanted: bool = True) -> Exited:
    return Exited(code, wanted)


STORIES: dict[str, list[Step]] = {
    "what is not wanted is not started": [Step(0, UNWANTED, "forgotten"), Step(1, TICK, "forgotten")],
    "its work is done": [*up_to_beat(), Step(5, exit_with(0, wanted=False), "forgotten")],
    "it goes on while nothing is wanted any more until it ends by itself": [
        *up_to_beat(),
        Step(2, UNWANTED, "running since 0, beat 1"),
        Step(3, exit_with(1, wanted=False), "forgotten"),
    ],
    "work came while it left: it is started again at once": [
        *up_to_beat(),
        Step(5, exit_with(0), "vacant", failures=1),
        Step(5, TICK, "vacant", "start", 1),
    ],
    "one that always leaves though it is wanted is given up": [
        *up_to_beat(),
        Step(5, exit_with(0), "vacant", failures=1),
        *again(5, 1),
        Step(6, exit_with(0), "backing off until 8", failures=2),
        *again(8, 2),
        Step(9, exit_with(0), "given up at 9", failures=3),
        Step(9999, WANTED, "given up at 9", failures=3),
        Step(9999, TICK, "given up at 9", failures=3),
    ],
    "a crash loop spends the budget, heartbeats or not": [
        *up_to_beat(),
        Step(2, exit_with(1), "backing off until 3", failures=1),
        Step(2.5, TICK, "backing off until 3", failures=1),
        Step(3, TICK, "backing off until 3", "start", 1),
        *again(3, 1),
        Step(4, BEATS, "running since 3, beat 4", failures=1),
        Step(5, exit_with(-9), "backing off until 7", failures=2),
        *again(7, 2),
        Step(8, exit_with(1), "given up at 8", failures=3),
    ],
    "who lived long begins anew": [
        *up_to_beat(),
        Step(2, exit_with(1), "backing off until 3", failures=1),
        *again(3, 1),
        Step(100, BEATS, "running since 3, beat 100", failures=1),
        Step(101, exit_with(1), "backing off until 102", failures=1),
    ],
    "one that can't start is not tried again": [*up_to_start(), Step(1, exit_with(78), "given up at 1")],
    "one that can't start and is wanted no more is forgotten": [
        *up_to_start(),
        Step(1, exit_with(78, wanted=False), "forgotten"),
    ],
    "given up, asked for again": [
        *up_to_start(),
        Step(1, exit_with(78), "given up at 1"),
        Step(2, Asked(), "vacant"),
        Step(2, TICK, "vacant", "start"),
    ],
    "given up and wanted no more": [
        *up_to_start(),
        Step(1, exit_with(78), "given up at 1"),
        Step(2, UNWANTED, "forgotten"),
    ],
    "asking for one that runs changes nothing": [*up_to_beat(), Step(2, Asked(), "running since 0, beat 1")],
    "a silent one is ended, then replaced": [
        *up_to_beat(),
        Step(601, WANTED, "running since 0, beat 1"),
        Step(602, WANTED, "ending by 607: it was silent for 601 s", "end", 1),
        Step(603, exit_with(-9), "backing off until 604", failures=1),
        Step(604, TICK, "backing off until 604", "start", 1),
    ],
    "one that never gave a sign of life is ended, then replaced": [
        *up_to_start(),
        Step(600, WANTED, "starting since 0"),
        Step(601, WANTED, "ending by 606: it never gave a sign of life", "end", 1),
    ],
    "one that beats late but beats is no stale one": [*up_to_start(), Step(700, BEATS, "running since 0, beat 700")],
    "a silent one that does not die is killed again": [
        *up_to_beat(),
        Step(602, WANTED, "ending by 607: it was silent for 601 s", "end", 1),
        Step(606, TICK, "ending by 607: it was silent for 601 s", failures=1),
        Step(607, TICK, "ending by 612: it was silent for 601 s", "end", 1),
    ],
    "told to leave it leaves, though it is wanted": [
        *up_to_beat(),
        Step(2, ToldToLeave(60), "ending by 62", "tell"),
        Step(3, exit_with(0), "vacant"),
    ],
    "told to leave it does not": [
        *up_to_beat(),
        Step(2, ToldToLeave(60), "ending by 62", "tell"),
        Step(62, TICK, "ending by 67", "end"),
        Step(63, exit_with(-9), "vacant"),
    ],
    "told to leave sooner, and not later": [
        *up_to_beat(),
        Step(2, ToldToLeave(60), "ending by 62", "tell"),
        Step(3, ToldToLeave(2), "ending by 5", "tell"),
        Step(4, ToldToLeave(60), "ending by 5"),
    ],
    "a full machine costs no budget": [
        Step(0, WANTED, "vacant"),
        Step(0, NotStarted("no memory"), "backing off until 60"),
        Step(60, TICK, "backing off until 60", "start"),
    ],
    "an end that is told twice": [
        *up_to_beat(),
        Step(2, exit_with(1), "backing off until 3", failures=1),
        Step(2, exit_with(1), "backing off until 3", failures=1),
    ],
}


@pytest.mark.parametrize("steps", STORIES.values(), ids=STORIES.keys())
def test_a_story_of_an_orchestrator_goes_as_it_is_told(steps: list[Step]) -> None:
    service = Service("calculator")
    for number, step in enumerate(steps):
        service, moves = next_step(service, step.event, step.at, POLICY)
        seen = Step(step.at, step.event, said(service), told(moves), service.failures)
        assert seen == step, f"step {number}"


EVENTS = st.one_of(
    st.just(TICK),
    st.builds(Seen, st.booleans(), st.booleans()),
    st.just(Asked()),
    st.builds(Exited, st.sampled_from([0, 1, 78, -9]), st.booleans()),
    st.builds(ToldToLeave, st.floats(0, 100)),
)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 900)), max_size=40))
def test_whatever_happens_there_is_one_process_at_most_and_no_restart_without_a_limit(
    history: list[tuple[ServiceEvent, float]],
) -> None:
    service, now, processes, ends_in_a_row = Service("p"), 0.0, 0, 0
    for event, later in history:
        now += later
        if isinstance(event, Exited) and not processes:
            continue
        before, (service, moves) = service, next_step(service, event, now, POLICY)
        processes -= isinstance(event, Exited)
        if isinstance(event, Asked) or not service.wanted:
            ends_in_a_row = 0
        for move in moves:
            if isinstance(move, Start):
                assert not processes
                assert service.wanted
                service, _ = next_step(service, Started(7), now, POLICY)
                processes, ends_in_a_row = 1, ends_in_a_row + 1
            if isinstance(move, Tell | EndTree):
                assert processes, "there is somebody to tell"
        assert bool(service.pid) == bool(processes)
        if isinstance(before.state, Running | Ending):
            ends_in_a_row = 0  # it may have lived long, or was told to leave
        assert ends_in_a_row <= POLICY.restart.budget


def test_what_a_service_waits_for_is_known() -> None:
    assert wakes_at(Service("p", wanted=True)) == 0.0
    assert wakes_at(Service("p")) is None
    assert wakes_at(Service("p", True, BackingOff(1, 5, ""))) == 5
    assert wakes_at(Service("p", True, Ending(1, 7, 9))) == 9
    for state in (Starting(1, 7), Running(1, 7, 2), GivenUp(1, "")):
        assert wakes_at(Service("p", True, state)) is None, "a heartbeat is looked at with everything else"
