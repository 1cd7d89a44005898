"""Every agent, the real program, through the whole of conductor against the simulated model.

`CONDUCTOR_MATRIX=all` (scripts/agents-matrix) runs every cell, else those that are `usual` in cells.py. What the
machine has no program for is skipped, and programs only run in a network namespace with nothing but loopback in it:
`unshare -n`, or `unshare -rn` without root. CONDUCTOR_MATRIX_ANYWHERE=1 runs them wherever they are.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.home import Home
from conductor.domain.masking import MASK
from conductor.domain.outcome import Status
from conductor.domain.view import Queued, Waiting
from conductor.testing.sim import Sim
from tests.conftest import DaemonFactory
from tests.matrix.cells import (
    BY_HAND,
    CANCELLED,
    CONTENDERS,
    LIMITED,
    MADE,
    PRINTED_KEY,
    PROVIDER_KEY,
    RESET_SECONDS,
    ROWS,
    SAID,
    STOPPED,
    SUCCESS,
    TURNS,
    TWO_AT_ONCE,
    Cell,
    Contender,
    Expected,
)
from tests.matrix.crowd import LATER_SECONDS, Crowd, Turn, daemon_environment, settings_for
from tests.support import (
    REPOSITORY,
    Conductord,
    check_nothing_left,
    eventually,
    processes_of,
    record_of,
    run_cli,
    statuses,
    submit,
    unfinished,
    write_settings,
)

Tell = Callable[[str], None]
WORKERS = 2
HELD = Cell("held up", fault="hang")
PAIR = Cell("one of two", text=f"Take your time. [[think 3]] [[say {SAID}]]")


def chosen(rows: tuple[str, ...]) -> list[Any]:
    """The agents and cells among `rows` that this run is about, those that can't run here with the reason."""
    everything = os.environ.get("CONDUCTOR_MATRIX") == "all"
    return [
        pytest.param(contender, row, id=f"{contender.kind}-{row}", marks=_obstacles(contender))
        for contender in CONTENDERS
        for row in rows
        if everything or row in contender.usual
    ]


def _obstacles(contender: Contender) -> list[pytest.MarkDecorator]:
    if contender.program and shutil.which(contender.program) is None:
        return [pytest.mark.skip(f"no {contender.program} on the PATH: scripts/agent-clis installs it")]
    if contender.program and not _may_run_programs():
        return [pytest.mark.skip("agents run in a network namespace of their own: scripts/agents-matrix makes one")]
    return []


def _may_run_programs() -> bool:
    with open("/proc/net/route", encoding="ascii") as routes:
        return len(routes.readlines()) <= 1 or bool(os.environ.get("CONDUCTOR_MATRIX_ANYWHERE"))


# -- the crowd


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    with Sim() as running:
        yield running


@pytest.fixture(scope="module")
def crowd(request: pytest.FixtureRequest, sim: Sim, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """A daemon at which every selected turn that needs nobody is submitted already."""
    folder = tmp_path_factory.mktemp("matrix")
    home = Home(str(folder / "home"))
    Path(home.path).mkdir(mode=0o700)
    turns = _selected(request.session.items)
    by_hand = [Turn(contender, cell) for contender in CONTENDERS for cell in (HELD, PAIR)]
    write_settings(home, workers=WORKERS, **settings_for([*turns, *by_hand], sim))
    daemon = Conductord(home, daemon_environment())
    try:
        crowd = Crowd(daemon.start(), sim, folder)
        for turn in turns:
            crowd.submit(turn)
        yield crowd
        crowd.close()
    finally:
        daemon.close()
        check_nothing_left([home])


def _selected(items: list[pytest.Item]) -> list[Turn]:
    cells = {cell.name: cell for cell in TURNS}
    asked = [item.callspec.params for item in items if isinstance(item, pytest.Function) and _is_turn(item)]
    return [Turn(params["contender"], cells[params["row"]]) for params in asked]


def _is_turn(item: pytest.Function) -> bool:
    return item.originalname == test_a_turn_ends_as_it_must.__name__ and item.get_closest_marker("skip") is None


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Tell:
    """Takes what the table says of this cell if the next assertion fails."""
    return lambda seen: record_property("seen", seen)


def story(home: Home, task_id: str, attempt: int = 1) -> str:
    """Everything of one attempt that explains it."""
    folder = Path(home.attempt(task_id, attempt))
    names = ("result.json", "agent.jsonl", "agent.log")
    texts = {name: (folder / name).read_bytes()[-3000:] for name in names if (folder / name).exists()}
    return "\n".join(f"-- {name}\n{text.decode('utf-8', 'replace')}" for name, text in texts.items())


def what_it_came_to(record: dict[str, Any]) -> Expected:
    return Expected(record["status"], record["outcome"], record.get("failure", ""))


# -- the cells


@pytest.mark.parametrize(("contender", "row"), chosen(tuple(cell.name for cell in TURNS)))
def test_a_turn_ends_as_it_must(contender: Contender, row: str, crowd: Crowd, told: Tell) -> None:
    cell = next(cell for cell in TURNS if cell.name == row)
    turn = Turn(contender, cell)

    line = crowd.last_line(turn.name) if cell.tries_again else crowd.first_line(turn.name)

    record = record_of(crowd.home, turn.name, line_attempt(crowd, turn.name) if cell.tries_again else 1)
    came_to = what_it_came_to(record)
    told(str(came_to))
    expected = cell.expected_of.get(contender.kind, cell.expected)
    assert expected in (came_to, None), story(crowd.home, turn.name)
    told(f"left alive: {crowd.survivors(turn.name)}")
    assert not crowd.survivors(turn.name)
    told(str(expected) if contender.kind in cell.expected_of else "")
    check_facts(crowd, turn, record)
    assert line.status.value == record["status"]


def line_attempt(crowd: Crowd, task_id: str) -> int:
    """The number of its latest attempt."""
    return int(os.readlink(f"{crowd.home.task(task_id)}/latest"))


def check_facts(crowd: Crowd, turn: Turn, record: dict[str, Any]) -> None:
    """What a cell promises beyond its class."""
    cell, folder = turn.cell, Path(crowd.home.attempt(turn.name, record["attempt"]))
    if record["outcome"] == "success":
        assert SAID in (folder / "RESULT.txt").read_text(encoding="utf-8"), story(crowd.home, turn.name)
        assert record["usage"]["output"] > 0, record
    if cell.written is not None:
        made = crowd.workspace(turn.name) / MADE
        assert (made.exists() and made.read_text(encoding="utf-8").strip() == "hello") is cell.written
    if cell.hangs:
        assert crowd.was_asked(turn), "it was cut before it had asked its model"
    if cell.parks:
        check_parked(crowd, turn, record)
    for key in (PROVIDER_KEY, PRINTED_KEY):
        assert not (where := files_with(key, crowd.home, turn.name)), f"{key} stands in {where}"
    if cell.prints_key:
        text = (folder / "RESULT.txt").read_text(encoding="utf-8")
        assert MASK in text or "sk-ant…" in text, text  # openclaw shortens keys before anybody else sees them


def check_parked(crowd: Crowd, turn: Turn, record: dict[str, Any]) -> None:
    """Its provider is closed until the reset, its task back in its lane, its attempt given back."""
    resets_at = time.time() + RESET_SECONDS
    assert abs(record["limited_until"] - resets_at) < 600, story(crowd.home, turn.name)
    parked = json.loads(Path(crowd.home.path, "limits", "parked", f"{turn.name}~default.json").read_text())
    assert abs(parked["until"] - resets_at) < 600, parked
    assert parked["mode"] == "parked"
    view = unfinished(crowd.home)[turn.name]
    assert isinstance(view, Queued | Waiting), view
    assert (view.tries.started, view.tries.failures) == (1, 0)


def files_with(key: str, home: Home, task_id: str) -> list[str]:
    folders = (Path(home.task(task_id)), Path(home.events), Path(home.results))
    files = [file for folder in folders for file in (folder.rglob("*") if folder.is_dir() else [folder])]
    return [str(file) for file in files if file.is_file() and key.encode() in file.read_bytes()]


@pytest.mark.parametrize(("contender", "row"), chosen((CANCELLED,)))
def test_a_cancelled_turn_ends_with_all_that_it_started(
    contender: Contender, row: str, crowd: Crowd, told: Tell
) -> None:
    turn = Turn(contender, HELD)
    task_id = crowd.submit(turn)
    crowd.wait_for_asking(turn)

    answered = run_cli(crowd.home, "cancel", task_id)

    assert answered.returncode == 0, answered.stderr
    line = crowd.last_line(task_id)
    told(line.status.value)
    assert line.status is Status.CANCELLED
    told(f"left alive: {crowd.survivors(task_id)}")
    assert not crowd.survivors(task_id)
    told("")


@pytest.mark.parametrize(("contender", "row"), chosen((TWO_AT_ONCE,)))
def test_two_at_once_on_one_home_do_not_disturb_each_other(
    contender: Contender, row: str, crowd: Crowd, told: Tell
) -> None:
    turn = Turn(contender, PAIR)

    tasks = [crowd.submit(turn, again) for again in ("-a", "-b")]

    for task_id in tasks:
        crowd.last_line(task_id)
        record = record_of(crowd.home, task_id)
        told(str(what_it_came_to(record)))
        assert what_it_came_to(record) == SUCCESS, story(crowd.home, task_id)
        assert not crowd.survivors(task_id)
    told("")
    one, other = (record_of(crowd.home, task_id) for task_id in tasks)
    assert one["started"] < other["ended"]
    assert other["started"] < one["ended"], "they did not run at once"
    assert one.get("session", "1") != other.get("session", "2")


def test_when_all_have_ended_nothing_descends_from_the_daemon_but_its_own(crowd: Crowd) -> None:
    eventually(lambda: len(crowd.daemon.slots("idle")) == WORKERS, what="every worker idle")

    eventually(lambda: not crowd.strangers(), LATER_SECONDS, "no stranger left")


@pytest.mark.parametrize(("contender", "row"), chosen((STOPPED,)))
def test_a_daemon_that_stops_takes_a_running_turn_back(
    contender: Contender, row: str, sim: Sim, daemon: DaemonFactory, home: Home, told: Tell, tmp_path: Path
) -> None:
    turn = Turn(contender, Cell("stopped", fault="hang"))
    running = daemon(workers=1, env=daemon_environment(), **settings_for([turn], sim))
    task_id = submit(home, HELD.text, turn.name, agent=turn.name, workspace=str(tmp_path), timeout_seconds=100.0)
    eventually(lambda: any(record.fault == turn.fault and record.body for record in sim.requests), 60.0)

    running.stop(signal.SIGINT)

    eventually(lambda: not processes_of(home), LATER_SECONDS, "no process left")
    view = unfinished(home)[task_id]
    told(type(view).__name__)
    assert isinstance(view, Queued | Waiting), view
    assert view.tries.failures == 0
    told("")
    assert not os.listdir(f"{home.path}/state"), "private state of the attempt is left"


@pytest.mark.parametrize(
    "claude", [pytest.param(one, marks=_obstacles(one)) for one in CONTENDERS if one.kind == "claude"]
)
def test_a_limit_of_a_subscription_is_told_by_the_agent_alone(
    claude: Contender, sim: Sim, daemon: DaemonFactory, home: Home
) -> None:
    """A login of the user's own: there is no gate to see when it resets."""
    login = {
        "ANTHROPIC_BASE_URL": sim.faulty(f"429s{RESET_SECONDS}~login"),
        "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-n",
    }
    daemon(
        workers=1,
        env={**daemon_environment(), **login},
        agents={"claude": {"provider": "none", "model": claude.model}},
        environment=list(login),
    )

    task_id = submit(home, HELD.text, agent="claude")
    eventually(lambda: statuses(home, task_id) == ["RETRY"], 60.0)

    record = record_of(home, task_id)
    assert what_it_came_to(record) == LIMITED, story(home, task_id)
    assert abs(record["limited_until"] - time.time() - RESET_SECONDS) < 600
    assert "calls" not in record


def test_every_row_of_the_table_is_tested_and_stands_in_the_readme() -> None:
    chapter = (
        (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("## Agents matrix")[2].partition("\n## ")[0]
    )

    table = [line.strip("| ").split(" | ") for line in chapter.splitlines() if line.startswith("|")]

    assert set(ROWS) == {cell.name for cell in TURNS} | set(BY_HAND)
    assert [row[0] for row in table[2:]] == list(ROWS)
    assert table[0][1:] == [contender.kind for contender in CONTENDERS]
    assert all(set(contender.usual) <= set(ROWS) for contender in CONTENDERS)
