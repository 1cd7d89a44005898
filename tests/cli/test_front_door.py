"""The front door itself: help, version, what is imported for what, streams that close. Real interpreters here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from conductor import __version__
from conductor.cli.main import COMMANDS
from conductor.domain.home import Home
from tests.cli.front import Shell
from tests.support import clean_environment, eventually, run_cli, submit

HEAVY = ["anthropic", "asyncio", "filelock", "psutil", "pydantic", "rich", "structlog", "watchdog"]


def python(home: Home, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that runs `code`."""
    command = [sys.executable, "-P", "-c", code, *arguments]
    env = clean_environment(home)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, cwd=os.path.dirname(home.path))


def modules_after(home: Home, code: str) -> set[str]:
    """What a fresh interpreter has loaded when `code` has run, top-level names and our own modules in full."""
    tell = "import sys, json; json.dump(sorted(sys.modules), sys.stderr)"
    done = python(home, f"{code}\n{tell}")
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stderr.splitlines()[-1])
    return {name for name in names if name.startswith("conductor")} | {name.partition(".")[0] for name in names}


def running(*arguments: str) -> str:
    """Code that runs `conductor <arguments>` and goes on."""
    return f"""
import sys
from conductor.cli.main import main
sys.argv = {["conductor", *arguments]!r}
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


# -- help and version


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_h_and_help(shell: Shell, command: str) -> None:
    answer = shell.ok(command, "--help")

    assert answer.out.startswith(f"Usage: conductor {command} ")
    assert len(answer.out.splitlines()) > 4
    assert shell.ok(command, "-h").out == answer.out
    assert not os.path.exists(shell.home.path), "help makes no home"


def test_the_help_names_every_command_with_a_line_about_it(shell: Shell) -> None:
    lines = shell.ok("--help").out.partition("Commands:\n")[2].splitlines()

    shown = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1:] for line in lines}
    assert list(shown) == list(COMMANDS)
    assert all(shown.values())


def test_an_unknown_command_exits_2(shell: Shell) -> None:
    answer = shell("dance")

    assert (answer.code, answer.out) == (2, "")
    assert "dance" in answer.err


def test_an_unknown_option_exits_2(shell: Shell) -> None:
    assert shell("--colour").code == 2
    assert shell("list", "--colour").code == 2


def test_as_a_module_it_tells_its_version(home: Home) -> None:
    done = run_cli(home, "--version")

    assert (done.returncode, done.stdout) == (0, f"conductor, version {__version__}\n")


def test_conductord_tells_its_version_and_explains_itself(home: Home) -> None:
    run = "from conductor.cli.daemon import main; main()"

    assert python(home, run, "--version").stdout == f"conductord, version {__version__}\n"
    usage = python(home, run, "--help").stdout
    for word in ("SIGTERM", "SIGHUP", "Exit codes", "--workers", "--poll-interval", "--max-idle-time"):
        assert word in usage


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--workers", "many"], 2, "--workers"),
        (["--poll-interval", "soon"], 2, "soon"),
        (["--max-idle-time", "0"], 78, "max_idle_time"),
        (["extra"], 2, "extra"),
    ],
)
def test_conductord_refuses_what_makes_no_sense(home: Home, arguments: list[str], code: int, said: str) -> None:
    done = python(home, "from conductor.cli.daemon import main; main()", *arguments)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


# -- what is imported


def test_a_submit_loads_nothing_heavy(home: Home) -> None:
    loaded = modules_after(home, running("submit", "--agent", "command", "--id", "a", "true"))

    assert "click" in loaded
    assert loaded & {*HEAVY, "yaml", "importlib_metadata", "email", "conductor.settings.model"} == set()
    assert not any(name.startswith(("conductor.supervisor", "conductor.worker")) for name in loaded)


def test_a_submit_with_settings_loads_yaml_and_nothing_more(home: Home) -> None:
    run_cli(home, "init", "--agent", "command")

    loaded = modules_after(home, running("submit", "--id", "a", "true"))

    assert "yaml" in loaded
    assert loaded & {*HEAVY, "conductor.settings.model"} == set()


@pytest.mark.parametrize("command", ["list", "show", "status", "cancel", "wait", "results"])
def test_no_command_loads_the_agents_libraries(home: Home, command: str) -> None:
    submit(home, "true", "a")
    arguments = {"show": ["a"], "cancel": ["a"], "wait": ["--help"], "status": ["--help"]}.get(command, [])

    loaded = modules_after(home, running(command, *arguments))

    assert loaded & {"anthropic", "pydantic", "structlog", "watchdog"} == set()


def test_the_nursery_loads_the_standard_library_and_our_own_small_modules(home: Home) -> None:
    code = """
import os, socket
ours, theirs = socket.socketpair()
reading, writing = os.pipe()
from conductor.domain.retry import RetryPolicy
from conductor.worker.config import WorkerConfig
import conductor.agents.registry as registry
config = WorkerConfig("/nowhere", "default", registry.BUILT_IN)
ours.sendall(config.to_json().encode() + b"\\n")
from conductor.worker.nursery import Nursery
Nursery.run = lambda self: 0
from conductor.app.nursery import run_nursery
assert run_nursery(theirs.fileno(), writing) == 0
theirs.detach()
"""
    bare = modules_after(home, "")

    loaded = modules_after(home, code) - bare

    third_party = {name for name in loaded if "." not in name} - set(sys.stdlib_module_names) - {"conductor"}
    assert third_party == set()
    assert loaded & {"asyncio", "logging", "email", "concurrent", "multiprocessing", "http", "ssl"} == set()
    rooms = {name.split(".")[1] for name in loaded if "." in name}
    assert rooms == {"agents", "app", "domain", "kit", "ports", "queue", "settings", "worker"}
    assert "conductor.settings.model" not in loaded


# -- streams


def in_a_pipe(home: Home, tail: str) -> subprocess.CompletedProcess[str]:
    """A long `conductor list` and what a shell does with it; the exit code of `conductor` on standard output's end."""
    submit(home, "x" * 100_000)
    script = f"({sys.executable} -m conductor list --json; echo $? >&3) {tail}"
    return subprocess.run(
        ["/bin/sh", "-c", f"exec 3>&1; {script}"],
        env=clean_environment(home), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_reader_that_goes_away_early_is_no_error(home: Home) -> None:
    done = in_a_pipe(home, "| head -c 1")

    assert done.stdout in ("[1\n", "[141\n")  # click's own answer to a closed pipe, and ours
    assert done.stderr == ""


def test_output_that_cannot_be_written_is_an_error_in_one_line(home: Home) -> None:
    done = in_a_pipe(home, ">/dev/full")

    assert (done.stdout, done.stderr) == ("1\n", "conductor: the system refused: No space left on device\n")


def test_an_interrupt_is_no_traceback(shell: Shell) -> None:
    submit(shell.home, "true")
    shell.run_next()
    follower = shell.start("results", "-f")
    eventually(follower.out, what="the first line")

    os.kill(follower.pid, signal.SIGINT)

    answer = follower.answer()
    assert (answer.code, answer.err.strip()) == (130, "")
