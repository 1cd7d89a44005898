"""`conductor doctor` on real homes, good and odd; its judgements one by one."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conductor import __version__
from conductor.cli.doctoring import agents, clock, daemon, limits, place, programs, service, waiting
from conductor.cli.doctoring.case import Case, open_case
from conductor.cli.doctoring.database import judge_database
from conductor.cli.doctoring.sign import Level, Sign
from conductor.domain.home import Home
from conductor.domain.outcome import Outcome
from conductor.store.health import Health, examine, known_format
from conductor.store.schema import HEAD
from conductor.supervisor.status_page import IS_SET, environment_status
from tests.cli.front import Shell
from tests.conftest import DaemonFactory

MIB = 1 << 20


def level(sign: Sign) -> str:
    return sign.level.value


def levels(signs: Iterator[Sign]) -> list[str]:
    return [level(sign) for sign in signs]


def signs(shell: Shell, *options: str, code: int = 0, **env: str) -> list[dict[str, Any]]:
    answer = shell("doctor", "--json", *options, **env)
    assert answer.code == code, answer
    assert "could not be looked at" not in answer.out, answer.out
    found: list[dict[str, Any]] = answer.json["signs"]
    return found


def told(found: list[dict[str, Any]], about: str) -> list[tuple[str, str]]:
    return [(one["level"], one["what"]) for one in found if one["about"] == about]


# -- the command


def test_without_a_home_nothing_is_made_and_nothing_is_wrong(shell: Shell) -> None:
    found = signs(shell)

    assert ("warning", f"no conductord runs on {shell.home.path}: nothing is claimed") in told(found, "daemon")
    assert not os.path.exists(shell.home.path)
    assert all(one["remedy"] for one in found if one["level"] != "ok")


def test_every_noun_is_looked_at_on_a_good_home(shell: Shell) -> None:
    shell.submit("true")

    about = {one["about"] for one in signs(shell)}

    assert about >= {"python", "git", "home", "disk", "space", "settings", "security", "limits", "daemon", "clock"}
    assert about >= {"locks", "queue"}


def test_what_is_wrong_is_said_with_what_to_do_and_exits_1(shell: Shell) -> None:
    # given
    shell.ok("init", "--agent", "command")
    os.chmod(shell.home.path, 0o777)

    # when
    answer = shell("doctor")

    # then
    assert answer.code == 1
    assert "WRONG security" in answer.out
    assert f"→ chmod 700 {shell.home.path}" in answer.out
    assert answer.out.splitlines()[-1].startswith("1 wrong, ")


def test_quiet_says_nothing_of_what_is_well(shell: Shell) -> None:
    lines = shell.ok("doctor", "-q").out.splitlines()
    assert lines
    assert not [line for line in lines if line.startswith("ok ")]


def test_wrong_settings_are_told_and_hide_nothing_else(shell: Shell) -> None:
    # given
    Path(shell.home.path).mkdir(mode=0o700)
    Path(shell.home.settings_file).write_text("workerz: 3\n")

    # when
    found = signs(shell, code=1)

    # then
    ((grade, what),) = told(found, "settings")
    assert (grade, "did you mean workers?" in what) == ("wrong", True)
    assert told(found, "disk")


@pytest.mark.parametrize("odd", ["a file", "a link to nowhere", "a VERSION of the future", "a VERSION of words"])
def test_an_odd_home_is_told_not_mended(shell: Shell, odd: str) -> None:
    # given
    path = Path(shell.home.path)
    match odd:
        case "a file":
            path.write_text("mine")
        case "a link to nowhere":
            path.symlink_to("/nowhere/at/all")
        case _:
            Path(shell.home.queue).mkdir(parents=True)
            path.chmod(0o700)
            Path(shell.home.queue, "VERSION").write_text("999\n" if "future" in odd else "words\n")

    # when
    found = signs(shell, code=1)

    # then
    assert [grade for grade, _ in told(found, "home")] == ["wrong"]


def test_corrupt_and_dead_tasks_are_counted(shell: Shell) -> None:
    # given
    shell.submit("exit 3")
    shell.run_next(Outcome.FAILED)
    Path(shell.home.queue, "inbox", "odd").write_text("no task line\n")
    os.utime(Path(shell.home.queue, "inbox", "odd"), (1, 1))
    shell.unpack()

    # when
    found = signs(shell)

    # then
    assert told(found, "dead") == [("warning", "1 task used up all attempts")]
    ((_, what),) = told(found, "corrupt")
    assert what.startswith("1 file could not be read: ")


def test_tasks_without_their_worker_are_told_while_no_daemon_runs(shell: Shell) -> None:
    # given one that was claimed by a worker that never lived
    task = shell.submit("true")
    shell.claim()

    # then
    assert ("warning", f"1 task lost the worker, {task} the first") in told(signs(shell), "queue")


def test_a_lock_that_is_never_let_go_is_wrong_and_its_holder_named(shell: Shell) -> None:
    # given
    shell.submit("true")
    code = (
        "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True)"
    )
    command = [sys.executable, "-c", f"{code}; time.sleep(60)", f"{shell.home.queue}/lock"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        # when
        found = signs(shell, code=1)

        # then
        ((grade, what),) = told(found, "locks")
        assert (grade, f"process {holder.pid} holds" in what) == ("wrong", True)
    finally:
        holder.kill()
        holder.communicate()


def test_a_git_lock_that_was_left_is_told(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    lock = tmp_path / ".git" / "index.lock"
    lock.touch()
    assert levels(waiting.judge_git_lock(str(tmp_path))) == [], "one of now is somebody's"
    os.utime(lock, (1, 1))
    assert levels(waiting.judge_git_lock(str(tmp_path))) == ["warning"]
    assert levels(waiting.judge_git_lock("")) == []


# -- with a conductord


def test_a_daemon_that_works_is_well(shell: Shell, daemon: DaemonFactory) -> None:
    # given
    conductord = daemon(workers=2)

    # when
    found = signs(shell)

    # then
    assert told(found, "daemon") == [
        ("ok", f"conductord {__version__}, pid {conductord.pid}, the version of this command")
    ]
    assert told(found, "slots") == [("ok", "2 slots, 0 busy")]
    assert any(f"(pid {conductord.pid})" in what for _, what in told(found, "limits"))


def test_the_agents_are_those_that_the_service_sees(shell: Shell, daemon: DaemonFactory, tmp_path: Path) -> None:
    # given a program that is on the path of a login shell only
    program = tmp_path / "bin" / "aider"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    helper = {"kind": "generic", "argv": ["aider", "{prompt_file}"]}
    daemon(workers=1, agents={"helper": helper})
    path = f"{program.parent}:{shell.env['PATH']}"

    # when
    found = signs(shell, code=1, PATH=path)

    # then
    ((grade, what),) = [(grade, what) for grade, what in told(found, "agents") if what.startswith("helper")]
    assert grade == "wrong"
    assert f"does not find its program, which this shell has at {program}" in what


def test_a_daemon_that_is_unreadable_tells_its_environment_itself(home: Home, daemon: DaemonFactory) -> None:
    # given
    conductord = daemon(workers=1, env={"PATH": "/usr/bin:/bin:/of/the/service", "ANTHROPIC_API_KEY": "not to be told"})

    # when
    case = open_case(home, {"PATH": "/usr/bin"}, deep=False)

    # then
    assert case.daemon_pid == conductord.pid
    assert case.service_environment["PATH"] == "/usr/bin:/bin:/of/the/service"
    assert case.service_environment["ANTHROPIC_API_KEY"] == IS_SET


def test_a_paused_queue_is_told(shell: Shell, daemon: DaemonFactory) -> None:
    daemon(workers=1)
    shell.ok("pause")
    assert ("warning", "the queue is paused: nothing is claimed") in told(signs(shell), "daemon")


def test_a_daemon_that_holds_the_home_and_is_silent_is_wrong(shell: Shell) -> None:
    # given
    shell.submit("true")
    with open(shell.home.daemon_lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        # then
        ((grade, what),) = told(signs(shell, code=1), "daemon")
    assert (grade, str(os.getpid()) in what) == ("wrong", True)


# -- judgements


def test_the_state_of_conductord_is_judged() -> None:
    slots = [
        {"slot": 1, "pool": "default", "state": "given up", "why": "exit 70"},
        {"slot": 2, "pool": "default", "state": "backing off", "why": "exit 70"},
    ]
    orchestrators = [{"project": "calc", "state": "given up", "why": "exit 1"}, {"project": "b", "state": "running"}]
    status = {"mode": "running", "slots": slots, "orchestrators": orchestrators, "limits": ["anthropic until 12:00"]}

    found = {(sign.about, level(sign)) for sign in daemon.judge_status(status)}

    assert found == {
        ("daemon", "warning"), ("slots", "wrong"), ("slots", "warning"), ("orchestrators", "wrong"),
    }  # fmt: skip


def test_another_version_is_told_and_so_is_an_upgrade() -> None:
    assert level(daemon.judge_version("1.0", "1.0", 7)) == "ok"
    assert level(daemon.judge_version("0.9", "1.0", 7)) == "warning"
    status = {"mode": "draining", "slots": [], "upgrade": {"told": "restart conductord"}}
    assert levels(daemon.judge_status(status)) == ["warning", "warning", "ok"]


DISK = place.Disk("/home", "ext4", 50_000 * MIB, 1_000_000, 2_000_000, read_only=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["ok", "ok", "ok"]),
        ({"kind": "nfs4"}, ["wrong", "ok", "ok"]),
        ({"kind": "tmpfs"}, ["warning", "ok", "ok"]),
        ({"free_bytes": 500 * MIB}, ["ok", "warning", "ok"]),
        ({"free_bytes": 99 * MIB}, ["ok", "wrong", "ok"]),
        ({"free_inodes": 900}, ["ok", "ok", "wrong"]),
        ({"free_inodes": 0, "inodes": 0}, ["ok", "ok"]),
        ({"read_only": True}, ["ok", "wrong", "ok", "ok"]),
    ],
)
def test_a_disk_is_judged(change: dict[str, Any], expected: list[str]) -> None:
    assert levels(place.judge_disk(replace(DISK, **change))) == expected


def test_that_claiming_stopped_for_lack_of_room_is_told(shell: Shell) -> None:
    # given
    shell.submit("true")
    shell.queue.mark_full("less than 500 MiB are free")

    # then without a conductord nobody knows whether it is so still
    assert ("warning", "conductord claimed nothing any more, less than 500 MiB are free") in told(signs(shell), "space")
    assert level(place.judge_full("less than 500 MiB are free", runs=True)) == "wrong"


def test_limits_are_judged_by_what_the_workers_need() -> None:
    assert level(limits.judge_files(1024, 3, "x")) == "ok"
    assert level(limits.judge_files(100, 3, "x")) == "warning"
    assert level(limits.judge_files(1024, 300, "x")) == "wrong"
    assert level(limits.judge_processes(float("inf"), 5000, 1000, "x")) == "ok"
    assert level(limits.judge_processes(600, 500, 3, "x")) == "warning"
    assert level(limits.judge_processes(520, 500, 3, "x")) == "wrong"
    assert level(limits.judge_cgroup("", under_systemd=True, runs=True)) == "warning"
    assert level(limits.judge_cgroup("", under_systemd=False, runs=True)) == "ok"


def test_the_kernel_s_table_of_limits_is_read() -> None:
    found = limits.limits_in(Path("/proc/self/limits").read_text())
    assert found["open files"] >= 16
    assert limits.limits_in("") == limits.limits_in("odd\nodder") == {}
    assert limits.limits_in("head\nMax processes             unlimited            unlimited            processes") == {
        "processes": float("inf")
    }


@pytest.mark.parametrize(
    ("version", "path", "has_projects", "expected"),
    [
        ("git version 2.39.2", "/usr/bin/git", True, "ok"),
        ("git version 3.0.0-rc1", "/usr/bin/git", True, "ok"),
        ("git version 2.37.9 (Apple)", "/usr/bin/git", True, "wrong"),
        ("git version 2.37.9", "/usr/bin/git", False, "warning"),
        ("", "", True, "wrong"),
        ("what?", "/usr/bin/git", False, "warning"),
    ],
)
def test_git_is_judged_by_whether_it_is_needed(version: str, path: str, has_projects: bool, expected: str) -> None:
    assert level(programs.judge_git(version, path, has_projects=has_projects)) == expected


def test_a_clock_that_jumped_back_is_seen_at_what_was_written_before() -> None:
    assert level(clock.judge_clock(1000.0, 999.0)) == "ok"
    assert level(clock.judge_clock(1000.0, 1030.0)) == "ok"
    assert level(clock.judge_clock(1000.0, 5000.0)) == "wrong"
    assert (level(clock.judge_ntp("yes")), level(clock.judge_ntp("no"))) == ("ok", "warning")


def test_a_home_written_in_the_future_is_told(shell: Shell) -> None:
    shell.submit("true")
    later = time.time() + 3600
    os.utime(shell.home.results, (later, later))
    assert [grade for grade, _ in told(signs(shell, code=1), "clock")][:1] == ["wrong"]


def test_a_unit_s_environment_is_read_with_its_files(tmp_path: Path) -> None:
    # given
    file = tmp_path / "environment"
    file.write_text("# a comment\nANTHROPIC_API_KEY=abc\nPATH='/opt/bin:/usr/bin'\n\nodd\n")
    unit = "\n".join(
        (
            "[Service]",
            'Environment=A=1 "B=two words"',
            "Environment=PATH=%h/bin",
            f"EnvironmentFile=-{file}",
            "EnvironmentFile=/nowhere",
        )
    )

    # when
    found = service.unit_environment(unit, "/home/ada")

    # then
    assert found == {
        "HOME": "/home/ada", "A": "1", "B": "two words", "ANTHROPIC_API_KEY": "abc", "PATH": "/opt/bin:/usr/bin",
    }  # fmt: skip
    assert service.unit_environment("Environment=PATH=%h/bin", "/home/ada")["PATH"] == "/home/ada/bin"


def test_a_unit_is_asked_where_no_daemon_runs(home: Home, tmp_path: Path) -> None:
    unit = tmp_path / ".config/systemd/user/conductord.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nEnvironment=PATH=/only/here\n")
    case = Case(home, {"HOME": str(tmp_path), "PATH": "/usr/bin"})
    if os.path.exists("/etc/systemd/system/conductord.service"):
        pytest.skip("this machine has a conductord of its own")

    whose, theirs = service.environment_of_service(case)

    assert (whose, theirs["PATH"]) == (str(unit), "/only/here")
    assert level(service.judge_linger("ada", lingers=False)) == "warning"


def test_of_the_daemon_s_environment_only_places_are_told() -> None:
    given = {"PATH": "/bin", "CODEX_HOME": "/x", "ANTHROPIC_API_KEY": "secret", "MY_NOTE": "secret"}
    assert environment_status(given) == {
        "PATH": "/bin", "CODEX_HOME": "/x", "ANTHROPIC_API_KEY": IS_SET, "MY_NOTE": IS_SET,
    }  # fmt: skip


SEEN = agents.Seen("claude", "claude", True, True, "/usr/bin/claude", "/usr/bin/claude", "/root/.claude", True)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["ok"]),
        ({"wanted": False}, []),
        ({"installed": False, "there": ""}, ["wrong"]),
        ({"installed": False, "there": "", "wanted": False}, ["warning"]),
        ({"installed": False, "there": "", "here": ""}, ["wrong"]),
        ({"installed": False, "there": "", "here": "", "wanted": False}, []),
        ({"access": ""}, ["wrong"]),
        ({"access": "", "wanted": False}, []),
        ({"access": "", "needs_access": False}, ["ok"]),
        ({"fault": "others can read it"}, ["wrong"]),
    ],
)
def test_an_agent_is_judged_by_whether_anybody_wants_it(change: dict[str, Any], expected: list[str]) -> None:
    found = list(agents.judge_agent(replace(SEEN, **change), "conductord"))
    assert [level(sign) for sign in found] == expected
    assert all(sign.remedy for sign in found if sign.level is not Level.OK)


# -- the database


def database(path: Path, revision: str = HEAD) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.execute("CREATE TABLE rows (one TEXT)")
        connection.executemany("INSERT INTO rows VALUES (?)", [("x" * 500,)] * 200)
    connection.close()
    return path


def test_the_latest_format_is_known_without_the_libraries() -> None:
    assert known_format() == HEAD


def test_a_sound_database_is_well_and_is_only_read(tmp_path: Path) -> None:
    path = database(tmp_path / "odd ?#% name.db")
    before = path.read_bytes()

    assert examine(str(path), 5.0) == Health(HEAD, HEAD)
    assert path.read_bytes() == before


def test_a_damaged_database_is_wrong(tmp_path: Path) -> None:
    path = database(tmp_path / "conductor.db")
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)

    found = examine(str(path), 5.0)

    assert found.faults
    assert level(judge_database(str(path), found)) == "wrong"


def test_what_is_no_database_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "conductor.db"
    path.write_text("a letter to a friend, much longer than the header of a database would be" * 20)
    assert "not a database" in examine(str(path), 1.0).faults[0]


def test_a_check_that_takes_too_long_is_told_as_such(tmp_path: Path) -> None:
    path = database(tmp_path / "conductor.db")
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO rows VALUES (?)", [("y" * 100,)] * 50_000)
    connection.close()

    found = examine(str(path), 0.0)

    assert (found.faults, found.is_whole) == ((), False)
    assert level(judge_database(str(path), found)) == "ok"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Health("", "0002"), "ok"),
        (Health("0002", "0002"), "ok"),
        (Health("0001", "0002"), "warning"),
        (Health("0003", "0002"), "wrong"),
        (Health("foreign", "0002"), "wrong"),
    ],
)
def test_a_database_of_another_format_is_judged(found: Health, expected: str) -> None:
    assert level(judge_database("conductor.db", found)) == expected


def test_somebody_else_s_database_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    assert examine(str(path), 1.0).format == "foreign"


def test_the_whole_is_json_with_its_counts(shell: Shell) -> None:
    answer = shell.ok("doctor", "--json", "--deep")
    found = json.loads(answer.out)
    assert (found["home"], found["wrong"]) == (shell.home.path, 0)
    assert found["warnings"] == sum(one["level"] == "warning" for one in found["signs"])
