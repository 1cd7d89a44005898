"""conductord and its orchestrators: who is killed, who is told, what is left, and what is heard of it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conductor.app import ask_daemon, ring_doorbell
from conductor.domain.errors import UsageError
from conductor.domain.home import Home
from tests.supervisor.projects import STAND_IN, ProjectFolder, is_gone
from tests.support import (
    Conductord,
    Gate,
    check_nothing_left,
    eventually,
    run_cli,
    statuses,
    stays,
    submit,
    wait_for_end,
    write_settings,
)

AS_IT_IS = "from conductor.app.orchestrator_process import run_orchestrator"
STOOD_IN = f"import runpy; run_orchestrator = runpy.run_path({STAND_IN!r})['run_orchestrator']"
DRIVER = f"""
import sys
import conductor.app.daemon as wiring

real = wiring.orchestrator_command

def with_stand_in(home):
    assert {AS_IT_IS!r} in real(home)("any")[-1], "the command line is another: so must the stand-in's be"
    return lambda project: [one.replace({AS_IT_IS!r}, {STOOD_IN!r}) for one in real(home)(project)]

wiring.orchestrator_command = with_stand_in
sys.argv = ["conductord", *sys.argv[4:]]
from conductor.cli.daemon import main
main()
"""
"""A conductord whose orchestrators are the stand-in; the rest of their command line is as it is."""


class WithStandIn(Conductord):
    def launch(self, *arguments: str, prefix: tuple[str, ...] = ()) -> Conductord:
        return super().launch(*arguments, prefix=(*prefix, sys.executable, "-c", DRIVER))

    def orchestrators(self) -> list[dict[str, Any]]:
        return list(self.status().get("orchestrators", []))

    def wait_for_state(self, state: str, project: str = "calculator") -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next(
                (one for one in self.orchestrators() if (one["project"], one["state"]) == (project, state)), None
            )

        return eventually(found, what=f"{project} {state}") or {}


Make = Callable[..., WithStandIn]


@pytest.fixture
def daemon(home: Home) -> Iterator[Make]:
    made: list[WithStandIn] = []

    def make(**settings: Any) -> WithStandIn:
        Path(home.path).mkdir(mode=0o700, exist_ok=True)
        write_settings(home, **settings)
        made.append(WithStandIn(home))
        made[-1].start()
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()
        check_nothing_left([home])


def calculator(home: Home, mode: str = "works") -> ProjectFolder:
    project = ProjectFolder(home, "calculator", mode)
    project.want()
    return project


def events(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(home.events).read_text().splitlines()]


def actions(home: Home) -> list[str]:
    return [event["action"] for event in events(home) if event["action"].startswith("orchestrator_")]


def test_a_wanted_project_gets_its_orchestrator_beside_the_workers(daemon: Make, home: Home) -> None:
    # given one that was wanted before the daemon came
    project = calculator(home)

    # when
    conductord = daemon(workers=2)
    found = conductord.wait_for_state("running")

    # then it is told, and takes no worker's place
    assert found["pid"] == project.starts()[0]
    assert len(conductord.slots("idle")) == 2
    page = eventually(lambda: text if "running since" in (text := Path(home.status_page).read_text()) else "")
    assert "orchestrator calculator" in page
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"

    # and when its work is done, it is gone
    project.finish()
    eventually(lambda: conductord.orchestrators() == [])
    assert actions(home) == ["orchestrator_started", "orchestrator_ended"]


def test_a_ring_that_names_the_project_starts_it_at_once(daemon: Make, home: Home) -> None:
    # given a daemon that looks by itself only after an hour
    conductord = daemon(workers=1, poll_interval="1h")
    project = calculator(home)

    # when
    assert ring_doorbell(home, project="calculator")

    # then
    project.wait_for_start()
    assert [one["project"] for one in conductord.orchestrators()] == ["calculator"]


def test_a_killed_orchestrator_is_replaced_and_its_children_are_ended(daemon: Make, home: Home) -> None:
    # given
    project = calculator(home, mode="leaves a child")
    conductord = daemon(workers=1)
    conductord.wait_for_state("running")
    child = eventually(project.child)

    # when
    os.kill(project.starts()[0], signal.SIGKILL)

    # then
    project.wait_for_start(2)
    assert is_gone(child)


def test_its_children_are_left_alone_by_the_scan_for_strays(daemon: Make, home: Home) -> None:
    # given
    project = calculator(home, mode="leaves a child")
    daemon(workers=1, poll_interval="50ms").wait_for_state("running")
    child = eventually(project.child)

    # then over many scans
    assert stays(lambda: not is_gone(child) and not is_gone(project.starts()[0]))
    assert len(project.starts()) == 1


def test_a_silent_one_is_ended_and_replaced(daemon: Make, home: Home) -> None:
    # given
    project = calculator(home, mode="hangs")
    daemon(workers=1, poll_interval="50ms", orchestrator={"heartbeat": {"stale": "1s"}})
    silent, child = project.wait_for_start(), eventually(project.child)

    # when
    project.behave("works")

    # then
    project.wait_for_start(2)
    assert is_gone(silent)
    assert is_gone(child)
    assert actions(home)[:3] == ["orchestrator_started", "orchestrator_stale", "orchestrator_ended"]


def test_a_crash_loop_is_given_up_and_told_and_a_reload_tries_again(daemon: Make, home: Home) -> None:
    # given
    project = calculator(home, mode="exit 1")
    restart = {"budget": 2, "first_delay": "10ms", "longest_delay": "10ms"}
    conductord = daemon(workers=1, poll_interval="50ms", restart=restart)
    conductord.wait_for_state("given up")
    assert len(project.starts()) == 2
    assert stays(lambda: len(project.starts()) == 2)
    assert actions(home)[-1] == "orchestrator_gave_up"
    eventually(lambda: "given up: " in Path(home.status_page).read_text())

    # when
    project.behave("works")
    conductord.ask("reload")

    # then
    conductord.wait_for_state("running")


def test_a_killed_daemon_takes_its_orchestrators_with_it(daemon: Make, home: Home) -> None:
    # given
    project = calculator(home)
    conductord = daemon(workers=1)
    conductord.wait_for_state("running")

    # when
    conductord.kill()

    # then it was told, and left
    eventually(project.was_told)
    eventually(lambda: is_gone(project.starts()[0]))
    assert os.path.exists(project.files.wanted)

    # and the next one goes on
    conductord.start()
    conductord.wait_for_state("running")
    assert len(project.starts()) == 2


@pytest.mark.parametrize("mode", ["deaf", "leaves a child"])
def test_what_outlives_a_killed_daemon_is_ended_by_the_next(daemon: Make, home: Home, mode: str) -> None:
    # given an orchestrator that does not hear that its daemon is gone, or whose child does not
    project = calculator(home, mode=mode)
    conductord = daemon(workers=1)
    conductord.wait_for_state("running")
    survivor = project.starts()[0] if mode == "deaf" else eventually(project.child)

    # when
    conductord.kill()
    assert not is_gone(survivor)
    project.behave("works")
    conductord.start()

    # then
    assert is_gone(survivor)
    conductord.wait_for_state("running")


def test_daemon_and_orchestrator_killed_together(daemon: Make, home: Home) -> None:
    # given
    project = calculator(home, mode="leaves a child")
    conductord = daemon(workers=1)
    conductord.wait_for_state("running")
    child = eventually(project.child)

    # when
    os.kill(project.starts()[0], signal.SIGKILL)
    conductord.kill()
    conductord.start()

    # then
    conductord.wait_for_state("running")
    assert is_gone(child)
    assert len(project.starts()) >= 2


@pytest.mark.parametrize("verb", ["drain", "stop"])
def test_orchestrators_leave_first_and_running_tasks_go_on(daemon: Make, home: Home, tmp_path: Path, verb: str) -> None:
    # given
    gate = Gate(tmp_path)
    project = calculator(home)
    conductord = daemon(workers=1)
    conductord.wait_for_state("running")
    task = submit(home, gate.command)
    gate.wait_for()

    # when
    conductord.ask(verb)

    # then
    eventually(project.was_told)
    eventually(lambda: conductord.orchestrators() == [] or conductord.orchestrators()[0]["state"] == "vacant")
    assert conductord.is_running
    gate.open()
    assert conductord.wait() == 0
    assert (statuses(home, task), len(project.starts())) == (["SUCCESS"], 1)
    assert os.path.exists(project.files.wanted), "the next daemon goes on with it"


@pytest.mark.parametrize("verb", ["drain", "stop"])
def test_a_deaf_one_does_not_hold_up_the_end(daemon: Make, home: Home, verb: str) -> None:
    # given
    project = calculator(home, mode="deaf")
    conductord = daemon(workers=1, stop_timeout="300ms")
    conductord.wait_for_state("running")

    # when
    conductord.ask(verb)

    # then
    assert conductord.wait() == 0
    assert is_gone(project.starts()[0])


def test_pause_leaves_orchestrators_alone(daemon: Make, home: Home) -> None:
    # given
    project = calculator(home)
    conductord = daemon(workers=1)
    conductord.wait_for_state("running")

    # when
    assert run_cli(home, "pause").returncode == 0

    # then
    assert stays(lambda: not is_gone(project.starts()[0]))
    assert conductord.wait_for_state("running")["pid"] == project.starts()[0]


# -- what orchestrators tell


def test_what_is_told_becomes_events_with_their_own_numbers(daemon: Make, home: Home) -> None:
    # given
    daemon(workers=1)
    told = [{"action": "step_merged", "run": "r-1", "step": "add", "usd": 0.5}, {"action": "run_completed", "n": [1]}]

    # when
    answer = ask_daemon(home, {"verb": "tell", "events": told})

    # then
    assert answer == {"ok": True, "told": 2}
    first, second = (event for event in events(home) if event["action"] in ("step_merged", "run_completed"))
    assert second["seq"] == first["seq"] + 1
    assert {name: first[name] for name in ("run", "step", "usd")} == {"run": "r-1", "step": "add", "usd": 0.5}


def test_what_is_told_wrongly_is_refused_whole(daemon: Make, home: Home) -> None:
    # given
    daemon(workers=1)

    # when
    with pytest.raises(UsageError, match="seq"):
        ask_daemon(home, {"verb": "tell", "events": [{"action": "good"}, {"action": "bad", "seq": 7}]})

    # then
    assert not [event for event in events(home) if event["action"] in ("good", "bad")]
