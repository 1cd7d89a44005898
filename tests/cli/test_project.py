"""`conductor project`: made, listed, shown, started and stopped; with the store that ships."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from conductor.app.stores import open_store
from conductor.cli.project_facts import Health, health, project_facts, project_page, project_row
from conductor.domain.errors import UsageError
from conductor.domain.home import Home
from conductor.domain.plan import Step
from conductor.domain.run import Asks, Heartbeat, Project, Run, RunStatus, StepState, StepStatus
from conductor.domain.service import ServiceFolder
from conductor.ports.orchestration import Store
from conductor.queue.layout import open_home
from conductor.settings.model import load_settings
from conductor.settings.orchestration import HeartbeatSettings
from conductor.testing.memory_store import MemoryStore
from tests.cli.front import Shell
from tests.projects.making.repositories import ENVIRONMENT, StandIn, commit, git, new_repository
from tests.support import write_settings

for module in ("alembic.command", "conductor.store.schema", "conductor.store.sqlite"):
    import_module(module)  # so that each forked command finds loaded what it would load by itself

PLAIN = HeartbeatSettings()
RUN = Run("r-aaaaaaaa", "shop", "Dark mode", RunStatus.RUNNING, 1.0, workspace="/srv/shop")


@pytest.fixture
def store(home: Home, _surroundings: None) -> Iterator[Store]:
    one = open_store(home, load_settings(home, {}))
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _surroundings(shell: Shell) -> None:
    open_home(shell.home)
    shell.env |= {name: value for name, value in ENVIRONMENT.items() if name.startswith("GIT_")}


def begun(store: Store, run: Run = RUN, *statuses: StepStatus) -> Run:
    steps = [
        StepState(run.id, Step(f"s{number}", "T", "d"), number, status, usd=0.5)
        for number, status in enumerate(statuses)
    ]
    store.add_run(run, steps)
    return run


# -- create


def test_create_prints_the_folder_and_says_what_it_did(shell: Shell) -> None:
    answer = shell.ok("project", "create", "shop", "--description", "Sells things.")

    place = Path(shell.cwd, "projects", "shop")
    assert answer.out == f"{place}\n"
    assert answer.err == f"made {place} with a first commit\n"
    assert (place / "README.md").read_text() == "# shop\n\nSells things.\n"
    assert [one["name"] for one in shell.ok("project", "list", "--json").json] == ["shop"]


def test_create_refuses_a_place_in_conductors_own_home(shell: Shell) -> None:
    answer = shell("project", "create", "shop", "--path", f"{shell.home.path}/projects/shop")

    assert answer.code == 2
    assert "lies in conductor's home" in answer.err
    assert not Path(shell.home.path, "projects/shop/.git").exists()


def test_create_takes_a_repository_as_it_is_and_may_be_done_again(shell: Shell) -> None:
    place = new_repository(Path(shell.cwd, "theirs"), "trunk")
    commit(place, "a.txt")

    for _ in range(2):
        assert shell.ok("project", "create", "shop", "--path", "theirs").out == f"{place}\n"

    (facts,) = shell.ok("project", "list", "--json").json
    assert (facts["workspace"], facts["target"]) == (str(place), "trunk")


def test_projects_lie_where_the_settings_say(shell: Shell) -> None:
    write_settings(shell.home, orchestrator={"projects_dir": "~/work", "roots": ["~/more"]})

    assert shell.ok("project", "create", "one").out == f"{shell.cwd}/work/one\n"
    assert shell.ok("project", "create", "two", "--path", "more/two").out == f"{shell.cwd}/more/two\n"
    assert "orchestrator.roots" in shell("project", "create", "three", "--path", "elsewhere").err


@pytest.mark.parametrize("arguments", [["../x"], ["r-abcdefgh"], ["shop", "--path", "/"], ["shop", "--path", "file"]])
def test_what_can_t_be_a_project_ends_with_2_and_is_not_known_afterwards(shell: Shell, arguments: list[str]) -> None:
    Path(shell.cwd, "file").write_text("x")

    answer = shell("project", "create", *arguments)

    assert (answer.code, answer.out) == (2, "")
    assert shell.ok("project", "list", "--json").json == []


def test_a_name_and_a_folder_belong_to_one_project(shell: Shell) -> None:
    shell.ok("project", "create", "shop")

    taken = shell("project", "create", "shop", "--path", "elsewhere")
    same = shell("project", "create", "other", "--path", "projects/shop")
    inside = shell("project", "create", "other", "--path", "projects/shop/part")
    around = shell("project", "create", "other", "--path", "projects")

    assert [one.code for one in (taken, same, inside, around)] == [2] * 4
    assert "lies in" in taken.err
    assert all("overlaps project shop" in one.err for one in (same, inside, around))
    assert not Path(shell.cwd, "elsewhere").exists()


def test_create_asks_gh_and_openclaw_only_when_told_to(shell: Shell) -> None:
    folder = Path(shell.cwd)
    git(folder, "init", "-q", "--bare", "bare.git")
    body = f"import subprocess\nsubprocess.run(['git', 'remote', 'add', 'origin', '{folder}/bare.git'], check=True)\n"
    gh, openclaw = StandIn(folder, "gh", body), StandIn(folder, "openclaw")

    shell.ok("project", "create", "plain", PATH=gh.path)
    assert (gh.asked, openclaw.asked) == ([], [])

    answer = shell.ok("project", "create", "shop", "--github", "--openclaw", PATH=gh.path)

    assert gh.asked[0][:4] == ["repo", "create", "shop", "--private"]
    assert openclaw.asked[0][:3] == ["agents", "add", "shop"]
    assert "on GitHub as shop\nagent shop of OpenClaw\n" in answer.err
    assert git(folder / "bare.git", "rev-parse", "main")


def test_a_gh_that_refuses_leaves_a_folder_that_the_next_try_goes_on_from(shell: Shell) -> None:
    gh = StandIn(Path(shell.cwd), "gh", "sys.exit('not logged in')")

    refused = shell("project", "create", "shop", "--github", PATH=gh.path)

    assert refused.code == 1
    assert "not logged in" in refused.err
    assert "uses the repository" in shell.ok("project", "create", "shop").err


# -- list and show


def test_without_a_project_the_list_says_how_to_make_one(shell: Shell) -> None:
    answer = shell.ok("project")

    assert (answer.out, answer.err) == ("", "no project yet: `conductor project create NAME` makes one\n")


def test_the_list_has_a_line_a_project(shell: Shell, store: Store) -> None:
    shell.ok("project", "create", "shop")
    store.add_project(Project("gone", f"{shell.cwd}/gone", "trunk", 1.0))
    begun(store, RUN, StepStatus.COMPLETED, StepStatus.IN_PROGRESS)
    store.beat(Heartbeat("shop", "o-1-1-00000000", time.time()))

    lines = shell.ok("project", "list").out.splitlines()

    assert lines[0].split() == ["PROJECT", "ORCHESTRATOR", "RUNS", "STEPS", "TARGET", "WORKSPACE"]
    assert lines[1].split() == ["gone", "idle", "-", "-", "trunk", f"{shell.cwd}/gone", "(gone)"]
    assert lines[2].startswith("shop     running, heard ")
    assert " 1     1 of 2  main " in lines[2]


@pytest.mark.parametrize("verb", ["show", "status"])
def test_a_project_is_shown_with_its_check_and_its_runs(shell: Shell, store: Store, verb: str) -> None:
    place = Path(shell.ok("project", "create", "shop").out.strip())
    (place / "Makefile").write_text("test:\n\ttrue\n")
    begun(store, replace(RUN, status=RunStatus.WAITING, asks=Asks.PLAN), StepStatus.COMPLETED, StepStatus.PENDING)
    ended = replace(RUN, id="r-bbbbbbbb", status=RunStatus.NEEDS_REVIEW, reason="one step is kept", ended=2.0)
    begun(store, ended, StepStatus.NEEDS_REVIEW)

    page = shell.ok("project", verb, "shop").out
    facts = shell.ok("project", verb, "shop", "--json").json

    assert "check         make test  (the target test in Makefile)\n" in page
    assert "orchestrator  stopped, no sign of life yet\n" in page
    assert "r-aaaaaaaa  waiting, 1 of 2 steps, Dark mode, `conductor approve r-aaaaaaaa` lets its plan go on" in page
    assert "ended         r-bbbbbbbb  needs review, 0 of 1 steps, Dark mode, one step is kept\n" in page
    assert facts["check"] == "make test"
    assert facts["active"][0]["by_status"] == {"pending": 1, "completed": 1}
    assert facts["active"][0]["usd"] == 1.0


def test_the_settings_check_is_the_one_that_is_shown(shell: Shell) -> None:
    write_settings(shell.home, projects={"shop": {"orchestrator": {"check": "./check --all"}}})
    shell.ok("project", "create", "shop")

    assert "check         ./check --all  (configured)" in shell.ok("project", "show", "shop").out


@pytest.mark.parametrize("verb", [["show"], ["status"], ["start"], ["stop"], ["spawn"]])
def test_a_project_that_is_not_there_ends_with_3(shell: Shell, verb: list[str]) -> None:
    more = ["s1"] if verb == ["spawn"] else []

    answer = shell("project", *verb, "nobody", *more)

    assert answer.code == 3
    assert "no project 'nobody' here" in answer.err


def test_what_a_run_is_called_does_not_reach_the_terminal_as_it_is() -> None:
    store = MemoryStore()
    shop = Project("shop", "/srv/sh\x1b[2Jop", "main", 1.0)
    store.add_project(shop)
    begun(store, replace(RUN, title="\x1b]0;x\x07title\n" * 20, reason="\x1b[31mred"))
    facts = project_facts(store, shop, 5.0, PLAIN)

    told = "\n".join([*project_page(facts, "none"), *project_row(facts)])

    assert "\x1b" not in told
    assert "\x07" not in told


@pytest.mark.parametrize(
    ("silent", "is_wanted", "found"),
    [
        (0, True, Health.RUNNING),
        (599, True, Health.RUNNING),
        (600, True, Health.STALE),
        (3599, True, Health.STALE),
        (3600, True, Health.STOPPED),
        (None, True, Health.STOPPED),
        (0, False, Health.IDLE),
        (None, False, Health.IDLE),
    ],
)
def test_an_orchestrator_is_called_by_how_long_it_has_said_nothing(
    silent: int | None, is_wanted: bool, found: Health
) -> None:
    beat = None if silent is None else Heartbeat("shop", "o-1-1-00000000", 10_000.0 - silent)

    assert health(beat, is_wanted=is_wanted, now=10_000.0, settings=PLAIN) is found


def test_the_times_after_which_it_is_called_so_are_settings() -> None:
    beat = Heartbeat("shop", "o-1-1-00000000", 0.0)
    brisk = HeartbeatSettings(stale=5.0, stopped=20.0)

    assert [health(beat, is_wanted=True, now=now, settings=brisk) for now in (4.0, 6.0, 21.0)] == [
        Health.RUNNING,
        Health.STALE,
        Health.STOPPED,
    ]


# -- start, stop, spawn


def test_stop_wishes_an_end_for_what_is_under_way_and_for_nothing_else(shell: Shell, store: Store) -> None:
    shell.ok("project", "create", "shop")
    begun(store)
    begun(store, replace(RUN, id="r-bbbbbbbb", status=RunStatus.COMPLETED))
    begun(store, replace(RUN, id="r-cccccccc", project="other"))

    answer = shell.ok("project", "stop", "shop")

    assert answer.err == "r-aaaaaaaa stops when a conductord runs: there is none now\n"
    assert [store.wish(run_id).stop for run_id in ("r-aaaaaaaa", "r-bbbbbbbb", "r-cccccccc")] == [True, False, False]
    assert os.path.exists(ServiceFolder(shell.home.project("shop")).wanted)


def test_stop_without_anything_under_way_is_well(shell: Shell) -> None:
    shell.ok("project", "create", "shop")

    assert shell.ok("project", "stop", "shop").err == "shop: nothing is under way\n"
    assert not os.path.exists(ServiceFolder(shell.home.project("shop")).wanted)


def test_start_says_that_an_orchestrator_is_wanted_and_that_no_conductord_is_there(shell: Shell, store: Store) -> None:
    shell.ok("project", "create", "shop")
    begun(store)

    answer = shell("project", "start", "shop")

    assert answer.code == 4
    assert "start one with `conductord`" in answer.err
    assert os.path.exists(ServiceFolder(shell.home.project("shop")).wanted)


def test_start_without_anything_under_way_says_what_begins_a_run(shell: Shell) -> None:
    shell.ok("project", "create", "shop")

    answer = shell("project", "start", "shop")

    assert answer.code == 2
    assert "`conductor build`" in answer.err


def test_start_is_heard_by_a_conductord(shell: Shell, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.ok("project", "create", "shop")
    begun(store)
    monkeypatch.setattr("conductor.app.orchestration.ring_orchestrator", lambda home, name: True)

    assert shell.ok("project", "start", "shop").err == "shop: r-aaaaaaaa goes on\n"


def test_spawn_prints_the_task_of_the_step(shell: Shell, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.ok("project", "create", "shop")
    begun(store, RUN, StepStatus.PENDING)
    monkeypatch.setattr(
        "conductor.app.orchestration.spawn_step", lambda layout, settings, name, step: f"r-aaaaaaaa.{step}.1"
    )

    assert shell.ok("project", "spawn", "shop", "s0").out == "r-aaaaaaaa.s0.1\n"


def test_a_spawn_that_is_refused_ends_with_2(shell: Shell, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.ok("project", "create", "shop")

    def refuse(*_: object) -> str:
        raise UsageError("an orchestrator drives shop: it starts s0 when it is ready")

    monkeypatch.setattr("conductor.app.orchestration.spawn_step", refuse)

    answer = shell("project", "spawn", "shop", "s0")

    assert answer.code == 2
    assert "an orchestrator drives shop" in answer.err


def test_the_help_names_every_verb(shell: Shell) -> None:
    text = shell.ok("project", "--help").out

    for verb in ("create", "list", "show", "status", "start", "stop", "spawn"):
        assert f"  {verb} " in text


def test_a_step_that_is_spawned_by_hand_is_a_task_in_the_queue(shell: Shell, store: Store) -> None:
    write_settings(shell.home)
    place = shell.ok("project", "create", "shop").out.strip()
    step = Step("s0", "Hello", "echo hello >hello.txt", agent="command")
    store.add_run(replace(RUN, workspace=place, target="main"), [StepState(RUN.id, step, 0)])

    answer = shell.ok("project", "spawn", "shop", "s0")

    assert answer.out == "r-aaaaaaaa.s0.1\n"
    assert shell.task("r-aaaaaaaa.s0.1")["state"] == "ready"
    again = shell("project", "spawn", "shop", "s0")
    assert again.code == 2
    assert "s0" in again.err
