"""A new version under a running conductord: new workers run it, old ones finish, and conductord asks for a restart."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import conductor
from conductor.app import ask_daemon
from conductor.domain.errors import UsageError
from conductor.domain.home import Home
from conductor.domain.worker_id import parse_worker_id
from conductor.kit.installation import installation
from conductor.kit.process import is_alive
from tests.supervisor.projects import ProjectFolder
from tests.supervisor.test_services_daemon import WithStandIn
from tests.support import (
    Gate,
    check_nothing_left,
    clean_environment,
    eventually,
    queue_of,
    result_lines,
    run_cli,
    statuses,
    stays,
    submit,
    wait_for_end,
    write_settings,
)


class Package:
    """A copy of conductor that a daemon runs from, and that changes under it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "conductor"
        source = Path(conductor.__file__).parent
        shutil.copytree(source, self.folder, ignore=shutil.ignore_patterns("__pycache__"))

    def become(self, version: str) -> None:
        """As an installer does it: each file is replaced. Its agents see which version runs them."""
        line = '"CONDUCTOR_TASK_DIR": claim.directory,'
        self._replace("worker/environment.py", lambda text: text.replace(line, f'{line} "MADE_BY": "{version}",'))
        self._replace("__init__.py", lambda text: re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', text))

    def break_it(self, name: str) -> None:
        self._replace(name, lambda text: "raise ImportError('half of it is missing')\n" + text)

    def mend(self, name: str) -> None:
        self._replace(name, lambda text: text.partition("\n")[2])

    def _replace(self, name: str, change: Callable[[str], str]) -> None:
        path = self.folder / name
        new = path.with_suffix(".new")
        new.write_text(change(path.read_text()))
        os.rename(new, path)


class Upgraded(WithStandIn):
    """conductord of that copy."""

    def upgrade(self) -> dict[str, Any]:
        found: dict[str, Any] = self.status().get("upgrade", {})
        return found

    def wait_for_workers_of(self, version: str) -> None:
        eventually(lambda: self.upgrade().get("workers") == version, what=f"workers of {version}")


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path / "lib")


Make = Callable[..., Upgraded]


@pytest.fixture
def daemon(home: Home, package: Package) -> Iterator[Make]:
    made: list[Upgraded] = []

    def make(env: dict[str, str] | None = None, **settings: Any) -> Upgraded:
        Path(home.path).mkdir(mode=0o700, exist_ok=True)
        write_settings(home, **settings)
        made.append(Upgraded(home, {"PYTHONPATH": str(package.folder.parent), **(env or {})}))
        made[-1].start()
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()
        check_nothing_left([home])


def events(home: Home, action: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in Path(home.events).read_text().splitlines()]
    return [event for event in found if event["action"] == action]


FIRST = conductor.__version__
TELL_VERSION = 'echo "made by ${MADE_BY:-the first}"'


# -- new files under a running daemon


def test_new_workers_run_the_new_version_and_old_ones_finish(
    daemon: Make, package: Package, home: Home, tmp_path: Path
) -> None:
    # given a task of the old version that runs
    gate = Gate(tmp_path)
    conductord = daemon(workers=2)
    old = submit(home, f"{gate.command}; {TELL_VERSION}")
    gate.wait_for()

    # when
    package.become("9.9.9")
    conductord.wait_for_workers_of("9.9.9")

    # then what starts now runs the new version
    assert wait_for_end(home, submit(home, TELL_VERSION)).preview == "made by 9.9.9"
    eventually(lambda: len(conductord.nurseries()) == 1 and len(conductord.slots("idle")) == 1, what="one nursery")

    # and the old one goes on to its end
    assert [slot["task"] for slot in conductord.slots("busy")] == [old]
    gate.open()
    assert wait_for_end(home, old).preview == "made by the first"
    assert statuses(home, old) == ["SUCCESS"]
    eventually(lambda: len(conductord.slots("idle")) == 2, what="both slots with new workers")


def test_the_daemon_itself_asks_to_be_restarted(daemon: Make, package: Package, home: Home) -> None:
    # given
    conductord = daemon(workers=1)
    assert conductord.upgrade() == {"daemon": FIRST, "workers": FIRST, "restart_wanted": False, "told": ""}

    # when
    package.become("9.9.9")
    conductord.wait_for_workers_of("9.9.9")

    # then status, its page, the log and an event say so, once
    assert conductord.upgrade()["restart_wanted"]
    page = run_cli(home, "status").stdout
    assert f"upgrade  workers run conductor 9.9.9, this is {FIRST}: restart conductord" in page
    assert len(conductord.log_lines("restart_wanted")) == 1
    assert [event["version"] for event in events(home, "upgraded")] == ["9.9.9"]

    # and after a restart nothing is left to ask for
    assert conductord.stop() == 0
    conductord.start()
    assert conductord.status()["version"] == "9.9.9"
    assert conductord.upgrade()["told"] == ""


def test_orchestrators_come_again_with_the_new_version(daemon: Make, package: Package, home: Home) -> None:
    # given
    project = ProjectFolder(home, "calculator", "works")
    project.want()
    conductord = daemon(workers=1)
    conductord.wait_for_state("running")

    # when
    package.become("9.9.9")

    # then the first one was asked to leave, and none was killed or counted as broken
    project.wait_for_start(2)
    assert project.was_told()
    assert conductord.wait_for_state("running")["pid"] == project.starts()[1]
    assert [event["code"] for event in events(home, "orchestrator_ended")] == [0]


@pytest.mark.parametrize("broken", ["app/nursery.py", "agents/command.py"])
def test_a_version_that_does_not_start_changes_nothing_until_it_is_mended(
    daemon: Make, package: Package, home: Home, broken: str
) -> None:
    # given
    conductord = daemon(workers=1)
    (nursery,) = conductord.nurseries()

    # when
    package.break_it(broken)
    package.become("9.9.9")
    eventually(lambda: conductord.log_lines("upgrade_refused"), what="a refused upgrade")

    # then
    assert conductord.nurseries() == [nursery]
    assert "does not start" in conductord.upgrade()["told"]
    assert wait_for_end(home, submit(home, TELL_VERSION)).preview == "made by the first"
    assert stays(lambda: len(conductord.log_lines("upgrade_refused")) == 1)

    # and when it is whole again
    package.mend(broken)
    conductord.wait_for_workers_of("9.9.9")
    assert wait_for_end(home, submit(home, TELL_VERSION)).preview == "made by 9.9.9"


def test_tasks_that_arrive_all_along_run_once_each(daemon: Make, package: Package, home: Home) -> None:
    # given a queue with plenty to do
    conductord = daemon(workers=2)
    tasks = [submit(home, f"sleep 0.05; {TELL_VERSION}", ring=False) for _ in range(60)]

    # when
    package.become("9.9.9")
    conductord.wait_for_workers_of("9.9.9")

    # then
    assert {wait_for_end(home, task).status.value for task in tasks} == {"SUCCESS"}
    assert len(result_lines(home)) == len(tasks)
    assert conductord.log_lines("attempt_recovered") == []
    assert result_lines(home)[-1].preview == "made by 9.9.9"


# -- the restart


def running(home: Home) -> dict[str, int]:
    """Task to the pid of its worker, of those that live."""
    owned = {task: parse_worker_id(worker) for task, _, worker in queue_of(home).owned()}
    return {task: found.pid for task, found in owned.items() if found is not None and is_alive(found)}


@pytest.mark.parametrize("ending", ["kill -9", "stop --leave-running"])
def test_every_running_task_goes_on_over_a_restart_and_is_waited_for(
    daemon: Make, package: Package, home: Home, tmp_path: Path, ending: str
) -> None:
    # given five running tasks, and three that wait
    gates = [Gate(tmp_path, f"gate{number}") for number in range(5)]
    conductord = daemon(workers=5)
    tasks = [submit(home, f"{gate.command}; {TELL_VERSION}") for gate in gates]
    for gate in gates:
        gate.wait_for()
    before = running(home)
    assert len(before) == 5
    waiting = [submit(home, TELL_VERSION) for _ in range(3)]

    # when the daemon ends, and the next one is of another version
    if ending == "kill -9":
        conductord.kill()
    else:
        assert run_cli(home, "stop", "--leave-running").returncode == 0
        assert conductord.wait() == 0
    assert running(home) == before
    package.become("9.9.9")
    conductord.start()

    # then the same five still run, each in a slot, and nobody else has one
    assert running(home) == before
    assert {slot["task"]: slot["pid"] for slot in conductord.slots("busy")} == before
    assert len(conductord.slots()) == 5

    # and each ends once, by its old worker; then come those that waited, by new ones
    for gate in gates:
        gate.open()
    assert [wait_for_end(home, task).preview for task in tasks] == ["made by the first"] * 5
    assert [wait_for_end(home, task).preview for task in waiting] == ["made by 9.9.9"] * 3
    assert [gate.attempts() for gate in gates] == [[1]] * 5
    assert len(result_lines(home)) == 8


def test_an_idle_daemon_leaves_nothing_behind(daemon: Make, home: Home) -> None:
    # given
    conductord = daemon(workers=2)

    # when
    assert run_cli(home, "stop", "--leave-running").returncode == 0

    # then
    assert conductord.wait() == 0
    eventually(lambda: not conductord.nurseries(), what="the nursery's end")


def test_under_systemd_nothing_can_be_left_running(daemon: Make, home: Home, tmp_path: Path) -> None:
    # given
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        conductord = daemon(env={"NOTIFY_SOCKET": str(tmp_path / "notify")}, workers=1)

        # when
        with pytest.raises(UsageError, match="drain"):
            ask_daemon(home, {"verb": "leave"})

        # then
        assert conductord.status()["mode"] == "running"
        assert conductord.status()["under_systemd"]


# -- conductord --check


def check(home: Home, package: Package, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """By the conductor that is installed now."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "conductor.cli.daemon", "--check", *arguments],
        env=clean_environment(home, PYTHONPATH=str(package.folder.parent), **env),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_check_without_home_and_daemon_is_well_and_makes_nothing(package: Package, home: Home) -> None:
    done = check(home, package)

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "a restart is safe now"), done
    assert not os.path.exists(home.path)


def test_running_tasks_that_would_go_on_make_a_restart_safe(
    daemon: Make, package: Package, home: Home, tmp_path: Path
) -> None:
    # given
    gate = Gate(tmp_path)
    daemon(workers=1)
    submit(home, gate.command)
    gate.wait_for()

    # when the package is another one by now
    package.become("9.9.9")
    done = check(home, package)

    # then
    assert done.returncode == 0, done
    assert f"conductord {FIRST} runs" in done.stdout
    assert "9.9.9 would follow" in done.stdout
    assert "1 task on the way: `conductor stop --leave-running` lets go on" in done.stdout
    gate.open()


def test_under_systemd_running_tasks_are_waited_for(daemon: Make, package: Package, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        daemon(env={"NOTIFY_SOCKET": str(tmp_path / "notify")}, workers=1)
        task = submit(home, gate.command)
        gate.wait_for()

        # when
        done = check(home, package)

        # then
        assert done.returncode == 1, done
        assert task in done.stdout
        assert "conductor drain" in done.stdout
        gate.open()
        wait_for_end(home, task)
        eventually(lambda: check(home, package).returncode == 0, what="a safe restart")


@pytest.mark.parametrize("fault", ["settings", "home", "database", "installation", "preload"])
def test_what_would_not_come_up_is_told_with_78(package: Package, home: Home, fault: str) -> None:
    # given
    submit(home, "true", ring=False)
    match fault:
        case "settings":
            write_settings(home, poll_intervall="1s")
        case "home":
            Path(home.queue, "VERSION").write_text("999\n")
        case "database":
            with sqlite3.connect(home.database) as connection:
                connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
                connection.execute("INSERT INTO alembic_version VALUES ('9999')")
            connection.close()
        case "installation":
            package.break_it("agents/command.py")
        case "preload":
            write_settings(home, pools={"other": {"workers": 1, "preload": ["no_such_module"]}})
    before = sorted(os.listdir(home.path))

    # when
    done = check(home, package)

    # then
    assert done.returncode == 78, done
    assert done.stdout.splitlines()[-1].startswith("conductord would not come up again")
    assert sum(line.startswith("WRONG") for line in done.stdout.splitlines()) >= 1
    assert sorted(os.listdir(home.path)) == before


# -- what is installed


def test_every_change_of_a_file_is_another_installation(package: Package) -> None:
    before = installation(str(package.folder))
    assert before is not None
    assert before.version == conductor.__version__
    assert installation(str(package.folder)) == before

    cache = package.folder / "__pycache__"
    cache.mkdir()
    (cache / "x.cpython-311.pyc.140").touch()
    assert installation(str(package.folder)) == before

    (package.folder / "worker" / "new.py").touch()
    added = installation(str(package.folder))
    assert added is not None
    assert added != before
    package.become("1.2.3")
    became = installation(str(package.folder))
    assert became is not None
    assert (became.version, became.fingerprint != added.fingerprint) == ("1.2.3", True)


@pytest.mark.parametrize("text", ["", "__version__ = 7", b"\xff"])
def test_a_package_that_is_half_there_is_none(tmp_path: Path, text: str | bytes) -> None:
    assert installation(str(tmp_path / "nowhere")) is None
    (tmp_path / "__init__.py").write_bytes(text.encode() if isinstance(text, str) else text)
    assert installation(str(tmp_path)) is None
