"""Orchestrators as real processes: kept alive, replaced when silent, and nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.home import Home
from conductor.domain.service import format_heartbeat, is_service_token, service_token
from conductor.domain.worker_id import OWNER_VARIABLE, ProcessIdentity, parse_worker_id
from conductor.kit.process import own_identity, reap_children
from conductor.supervisor import services as module
from conductor.supervisor.orphans import Leftovers
from conductor.supervisor.plan import OrchestratorPlan
from conductor.supervisor.policy import RestartPolicy
from conductor.supervisor.services import Services
from tests.supervisor.projects import STAND_IN, ProjectFolder, is_gone
from tests.support import eventually

STALE = 1_000_000.0
"""Seconds of silence: hours come as an argument."""


class Heard:
    """A log and a sink of events, whose words can be read."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def emit(self, action: str, **facts: Any) -> None:
        self.events.append((action, facts))

    def actions(self) -> list[str]:
        return [action for action, _ in self.events]

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **facts: None


class House:
    """A home, and what keeps its orchestrators; `turn` is what the daemon's loop does with them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.heard = Heard()
        self.command: Callable[[str], Sequence[str]] = self.stand_in
        """Looked up at each start: a test may put another in its place."""
        self.services = self.open()
        self.later = 0.0

    def open(self) -> Services:
        restart = RestartPolicy(budget=3, first_delay=0.01, longest_delay=0.02)
        plan = OrchestratorPlan(self.start_command, restart, STALE)
        leftovers = Leftovers(OWNER_VARIABLE, "")
        return Services(self.home, plan, {"PATH": os.environ["PATH"]}, leftovers, self.heard, self.heard)  # type: ignore[arg-type]

    def start_command(self, project: str) -> Sequence[str]:
        return self.command(project)

    def stand_in(self, project: str) -> list[str]:
        code = f"import runpy; raise SystemExit(runpy.run_path({STAND_IN!r})['run_orchestrator']"
        return [sys.executable, "-S", "-P", "-c", f"{code}({self.home.path!r}, {project!r}))"]

    def turn(self) -> None:
        now = time.monotonic() + self.later
        self.bury()
        self.services.look(now)
        self.services.keep_alive(now)

    def bury(self) -> None:
        def tell(pid: int, wait_status: int) -> None:
            self.services.reaped(pid, wait_status, time.monotonic() + self.later)

        reap_children(tell)

    def turn_until(self, condition: Callable[[], object], what: str = "") -> None:
        eventually(lambda: (self.turn(), condition())[1], what=what)

    def state(self, project: str) -> str:
        states = {one["project"]: one["state"] for one in self.services.status(time.monotonic())}
        return states.get(project, "none")

    def project(self, name: str = "calculator", mode: str = "works") -> ProjectFolder:
        made = ProjectFolder(self.home, name, mode)
        made.want()
        return made


@pytest.fixture
def house(home: Home) -> Iterator[House]:
    made = House(home)
    yield made
    made.services.close()


def test_a_project_that_is_wanted_gets_one_orchestrator_and_loses_it_when_its_work_is_done(house: House) -> None:
    # given
    project = house.project()
    other = ProjectFolder(house.home, "not-wanted")

    # when
    house.turn_until(lambda: house.state("calculator") == "running")

    # then
    assert (len(project.starts()), other.starts()) == (1, [])
    project.finish()
    house.turn_until(lambda: house.state("calculator") == "none")
    house.turn()
    assert len(project.starts()) == 1
    assert house.heard.actions() == ["orchestrator_started", "orchestrator_ended"]
    assert house.heard.events[-1][1]["code"] == 0
    assert not os.path.exists(project.files.service)
    assert Path(project.files.log).read_text() == "calculator works\n"


def test_a_killed_one_is_replaced_and_what_it_left_is_ended(house: House) -> None:
    # given
    project = house.project(mode="leaves a child")
    house.turn_until(lambda: house.state("calculator") == "running")
    child = project.child()
    assert not is_gone(child)

    # when
    os.kill(project.starts()[0], signal.SIGKILL)
    house.turn_until(lambda: len(project.starts()) == 2)

    # then
    assert is_gone(child)
    assert house.heard.actions() == ["orchestrator_started", "orchestrator_ended", "orchestrator_started"]


def test_a_silent_one_is_ended_with_all_that_it_started_and_replaced(house: House) -> None:
    # given one that stopped itself after its first sign of life
    project = house.project(mode="hangs")
    house.turn_until(lambda: house.state("calculator") == "running")
    hanging, child = project.wait_for_start(), eventually(project.child)
    house.turn()
    assert house.state("calculator") == "running"

    # when
    project.behave("works")
    house.later = 2 * STALE
    house.turn_until(lambda: len(project.starts()) == 2)

    # then
    assert is_gone(hanging)
    assert is_gone(child)
    assert house.heard.actions()[:3] == ["orchestrator_started", "orchestrator_stale", "orchestrator_ended"]
    assert "silent" in house.heard.events[1][1]["why"]


def test_one_that_beats_is_left_alone_however_long_it_lives(house: House) -> None:
    project = house.project()
    house.turn_until(lambda: house.state("calculator") == "running")

    for _ in range(3):
        seen = os.stat(project.files.heartbeat).st_mtime_ns
        eventually(lambda seen=seen: os.stat(project.files.heartbeat).st_mtime_ns != seen)
        house.later += 0.9 * STALE
        house.turn()

    assert (house.state("calculator"), len(project.starts())) == ("running", 1)


def test_a_crash_loop_ends_when_the_budget_is_spent_until_somebody_asks(house: House) -> None:
    # given
    project = house.project(mode="exit 3")
    house.turn_until(lambda: house.state("calculator") == "given up")
    assert len(project.starts()) == 3
    assert house.heard.actions()[-1] == "orchestrator_gave_up"
    assert "exit 3" in house.heard.events[-1][1]["why"]

    # when a task is submitted, nothing; when its project is named, it is tried again
    project.behave("works")
    house.services.ring({"verb": "ring", "tasks": 1, "submitted": "t-1"}, time.monotonic())
    house.turn()
    assert house.state("calculator") == "given up"
    house.services.ring({"verb": "ring", "project": "calculator"}, time.monotonic())
    house.turn_until(lambda: house.state("calculator") == "running")

    # then
    assert len(project.starts()) == 4


def test_one_that_can_not_start_is_started_once(house: House) -> None:
    project = house.project(mode="exit 78")

    house.turn_until(lambda: house.state("calculator") == "given up")
    house.turn()

    assert len(project.starts()) == 1


def with_settings(house: House, texts: dict[str, str]) -> OrchestratorPlan:
    return OrchestratorPlan(house.stand_in, RestartPolicy(), STALE, lambda project: texts[project])


def test_a_reload_replaces_those_whose_settings_changed_and_no_others(house: House) -> None:
    # given two, each with settings of its own
    house.services.renew(with_settings(house, {"calculator": "a", "other": "b"}), time.monotonic())
    changed, other = house.project(), house.project("other")
    house.turn_until(lambda: len(changed.starts()) == 1 and house.state("calculator") == "running")
    house.turn_until(lambda: len(other.starts()) == 1 and house.state("other") == "running")

    # when
    house.services.renew(with_settings(house, {"calculator": "A", "other": "b"}), time.monotonic())

    # then it is told to leave, as a person would tell it, and another takes its place
    house.turn_until(lambda: len(changed.starts()) == 2 and house.state("calculator") == "running")
    assert changed.was_told()
    assert len(other.starts()) == 1
    assert not other.was_told()
    assert "orchestrator_gave_up" not in house.heard.actions()

    # and the same settings again replace nobody
    house.services.renew(with_settings(house, {"calculator": "A", "other": "b"}), time.monotonic())
    house.turn()
    assert house.state("calculator") == "running"


def test_settings_that_change_while_one_leaves_reach_the_one_that_comes(house: House) -> None:
    texts = {"calculator": "0"}
    house.services.renew(with_settings(house, texts), time.monotonic())
    project = house.project(mode="tells its settings")
    house.turn_until(lambda: house.state("calculator") == "running")

    for turn in range(1, 20):
        texts["calculator"] = str(turn)
        house.services.renew(with_settings(house, dict(texts)), time.monotonic())
        house.turn()

    house.turn_until(lambda: project.settings() == "19")


def test_a_reload_gives_another_chance(house: House) -> None:
    project = house.project(mode="exit 78")
    house.turn_until(lambda: house.state("calculator") == "given up")

    house.services.renew(OrchestratorPlan(house.stand_in, RestartPolicy(), STALE), time.monotonic())

    house.turn_until(lambda: len(project.starts()) == 2)


def test_one_that_ends_though_it_is_wanted_is_started_again(house: House) -> None:
    project = house.project(mode="exit 0")

    house.turn_until(lambda: len(project.starts()) == 2)


def test_a_ring_that_names_a_project_need_not_wait_for_the_scan(house: House) -> None:
    house.project()

    house.services.ring({"verb": "ring", "project": "calculator"}, time.monotonic())
    house.services.keep_alive(time.monotonic())

    assert house.state("calculator") == "starting"


@pytest.mark.parametrize("project", ["../../etc", "", "a/b", 7, None, "x" * 65])
def test_a_ring_with_an_odd_project_starts_nothing(house: House, project: object) -> None:
    house.services.ring({"verb": "ring", "project": project}, time.monotonic())
    house.services.keep_alive(time.monotonic())

    assert house.services.status(time.monotonic()) == []


def test_links_and_odd_names_in_the_folder_of_projects_are_passed_over(house: House, tmp_path: Path) -> None:
    # given
    outside = ProjectFolder(Home(str(tmp_path / "outside")), "a")
    outside.want()
    os.makedirs(house.home.projects)
    os.symlink(outside.path, house.home.project("linked"))
    odd = ProjectFolder(house.home, "-odd name")
    odd.want()
    Path(house.home.project("file")).touch()

    # when
    house.turn()

    # then
    assert house.services.status(time.monotonic()) == []


def test_told_to_leave_they_leave_and_none_is_started_any_more(house: House) -> None:
    # given
    first, second = house.project("first"), house.project("second")
    house.turn_until(lambda: (house.state("first"), house.state("second")) == ("running", "running"))

    # when
    house.services.leave(60.0, time.monotonic())
    late = house.project("late")
    house.turn_until(lambda: house.services.left() == 0)
    house.turn()

    # then
    assert (first.was_told(), second.was_told(), late.starts()) == (True, True, [])
    assert house.services.wakes_at() is None, "nothing is done for those that are not to be started"


def test_a_deaf_one_is_killed_when_its_time_is_up(house: House) -> None:
    # given
    project = house.project(mode="deaf")
    house.turn_until(lambda: house.state("calculator") == "running")

    # when
    house.services.leave(50.0, time.monotonic())
    house.turn()
    assert house.services.left() == 1
    assert house.services.wakes_at() is not None
    house.later = 51.0
    house.turn_until(lambda: house.services.left() == 0)

    # then
    assert is_gone(project.starts()[0])


def test_what_a_killed_daemon_left_is_ended_by_its_token_and_nothing_else(house: House) -> None:
    # given a child of a service of a dead daemon, one of a living daemon's, and a file that is no token
    dead = service_token(1, ProcessIdentity(2**22, 1, own_identity().boot))
    alive = service_token(2, own_identity())
    started = {}
    for name, token in (("dead", dead), ("alive", alive), ("worker", "w1-2-3-0123abcd")):
        Path(ProjectFolder(house.home, name).files.service).write_text(token + "\n")
        started[name] = subprocess.Popen(["sleep", "600"], env={**os.environ, OWNER_VARIABLE: token})

    # when
    house.services.end_left()

    # then
    assert started.pop("dead").wait() == -signal.SIGKILL
    assert all(process.poll() is None for process in started.values())
    assert not os.path.exists(token_file(house, "dead"))
    assert os.path.exists(token_file(house, "alive"))
    for process in started.values():
        process.kill()
        process.wait()


def token_file(house: House, name: str) -> str:
    return ProjectFolder(house.home, name).files.service


def test_its_token_is_on_disk_before_it_runs_and_in_its_environment(house: House) -> None:
    # given
    seen: list[str] = []

    def command(project: str) -> list[str]:
        seen.append(Path(token_file(house, project)).read_text().strip())
        return house.stand_in(project)

    house.command = command
    project = house.project()

    # when
    house.turn_until(lambda: house.state("calculator") == "running")

    # then
    assert [Path(project.files.heartbeat).read_text()] == seen
    assert is_service_token(seen[0])
    assert parse_worker_id(seen[0]) == own_identity()


def test_a_program_that_is_not_there_costs_no_budget_and_leaves_nothing(house: House) -> None:
    house.command = lambda project: ["/no/such/program"]
    project = house.project()

    for _ in range(5):
        house.later += 1.0
        house.turn()

    assert house.state("calculator") == "backing off"
    assert not os.path.exists(project.files.service)


def test_a_long_log_is_put_aside_at_a_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    monkeypatch.setattr(module, "_LONGEST_LOG", 10)
    project = house.project()
    Path(project.files.log).write_text("more than ten bytes\n")

    # when
    house.turn_until(lambda: house.state("calculator") == "running")

    # then
    assert Path(f"{project.files.log}.1").read_text() == "more than ten bytes\n"
    assert Path(project.files.log).read_text() == "calculator works\n"


def test_a_pipe_in_place_of_the_log_keeps_nobody_waiting(house: House) -> None:
    project = house.project()
    os.mkfifo(project.files.log)

    house.turn()

    assert house.state("calculator") == "backing off"


def test_each_is_told_with_its_state(house: House) -> None:
    # given
    house.project("works")
    house.project("broken", mode="exit 78")
    house.turn_until(lambda: (house.state("works"), house.state("broken")) == ("running", "given up"))

    # when
    broken, works = house.services.status(100.0 + time.monotonic(), lambda: 1_800_000_100.0)

    # then
    assert (broken["project"], broken["state"], broken["why"]) == ("broken", "given up", "it can't start (exit 78)")
    assert (works["project"], works["state"], works["pid"] > 0) == ("works", "running", True)
    assert works["since"].startswith("2027-01-15T0")
    assert works["for_seconds"] >= 100.0


def test_status_changes_with_states_and_not_with_heartbeats(house: House) -> None:
    project = house.project()
    house.turn_until(lambda: house.state("calculator") == "running")
    changes, seen = house.services.changes, os.stat(project.files.heartbeat).st_mtime_ns

    eventually(lambda: os.stat(project.files.heartbeat).st_mtime_ns != seen)
    house.turn()

    assert house.services.changes == changes


def test_a_heartbeat_says_whose_and_when() -> None:
    assert format_heartbeat("s1-2-3-0123abcd", 5.5) == b'{"owner": "s1-2-3-0123abcd", "at": 5.5}\n'
