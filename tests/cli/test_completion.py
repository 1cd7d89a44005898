"""Tab: what each shell is offered, in real shells where they are installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from conductor.cli.completing import SHELLS, VARIABLE, source_of
from conductor.cli.known_names import MOST, Name, offered
from conductor.cli.main import COMMANDS, cli
from conductor.domain.home import Home
from conductor.domain.outcome import Outcome
from conductor.domain.run import Project, Run, RunStatus, StepState, StepStatus
from conductor.store.sqlite import open_store
from tests.cli.front import Shell
from tests.cli.pictures import a_step
from tests.cli.terminals import Terminal
from tests.cli.test_front_door import python
from tests.support import clean_environment, submit, write_settings

Tab = Callable[..., dict[str, str]]


@pytest.fixture
def tab(shell: Shell) -> Tab:
    """Word to what is said beside it, for a line whose last word is not ended; in order."""

    def press(*words: str, **env: str) -> dict[str, str]:
        line = shlex.join(words[:-1]) + " " + words[-1]
        asked = {VARIABLE: "fish_complete", "COMP_WORDS": f"conductor {line}", "COMP_CWORD": words[-1], **env}
        answer = shell(**asked)
        assert (answer.code, answer.err) == (0, "")
        pairs = [line.removeprefix("plain,").partition("\t") for line in answer.out.splitlines() if line]
        return {word: about for word, _, about in pairs}

    return press


def test_commands_and_options_are_offered(tab: Tab) -> None:
    assert list(tab("")) == list(COMMANDS)
    assert set(tab("re")) == {"results", "retry", "resume", "reload"}
    assert "--json" in tab("list", "--")
    assert set(tab("list", "--state", "r")) == {"running", "recording", "ready"}


def test_tasks_are_offered_where_they_make_sense_the_latest_first(shell: Shell, tab: Tab) -> None:
    for task_id in ("t-1", "t-2", "t-3", "t-4", "t-5"):
        submit(shell.home, "true", task_id, ring=False)
    shell.run_next()
    shell.run_next(Outcome.FAILED)
    shell.claim()

    assert tab("show", "") == {
        "t-3": "running", "t-5": "ready", "t-4": "ready", "t-2": "FAILED fine", "t-1": "SUCCESS fine",
    }  # fmt: skip
    assert list(tab("show", "")) == ["t-3", "t-5", "t-4", "t-2", "t-1"]
    assert list(tab("cancel", "")) == ["t-3", "t-5", "t-4"]
    assert list(tab("cancel", "t-5", "")) == ["t-3", "t-4"], "one that was given already is not offered again"
    assert tab("retry", "") == {"t-2": "FAILED fine"}
    assert list(tab("logs", "t-2")) == ["t-2"]
    assert tab("submit", "--id", "") == {}, "a new name is to be invented"


def test_runs_steps_and_projects_are_offered(shell: Shell, tab: Tab) -> None:
    shell("list")
    store = open_store(shell.home.path)
    store.add_project(Project("calc", "/w", "main", 1.0))
    run = Run("r-ab23cd45", "calc", "A\ncalculator\x1b[31m", RunStatus.RUNNING, 2.0)
    store.add_run(run, [StepState(run.id, a_step("parser"), 0, StepStatus.NEEDS_REVIEW)])
    store.add_run(Run("r-ef67gh89", "calc", "Another", RunStatus.COMPLETED, 3.0))

    assert list(tab("runs", "show", "")) == ["r-ef67gh89", "r-ab23cd45"]
    assert tab("approve", "r-a") == {"r-ab23cd45": "running A calculator·[31m"}
    assert tab("runs", "retry", "r-ab23cd45", "") == {"parser": "needs review"}
    assert tab("approve", "r-ab23cd45", "--step", "") == {"parser": "needs review"}
    assert list(tab("why", "r-")) == ["r-ef67gh89", "r-ab23cd45"]
    assert tab("why", "r-ab23cd45", "") == {"parser": "needs review"}
    assert list(tab("build", "--project", "")) == ["calc"]
    assert list(tab("project", "show", "")) == ["calc"]
    assert tab("project", "create", "") == {}


def test_pools_and_agents_are_those_of_the_settings(shell: Shell, tab: Tab) -> None:
    shell("list")
    write_settings(shell.home, pools={"gpu": {"workers": 1}}, agents={"mine": {"kind": "generic"}})

    assert list(tab("submit", "--pool", "")) == ["default", "gpu"]
    assert {"mine", "claude", "command"} <= set(tab("submit", "--agent", ""))


def test_the_home_of_the_line_is_the_one_that_is_asked(shell: Shell, tab: Tab, tmp_path: Path) -> None:
    submit(Home(str(tmp_path / "other")), "true", "elsewhere", ring=False)

    assert list(tab("--home", str(tmp_path / "other"), "show", "")) == ["elsewhere"]
    assert tab("show", "") == {}


@pytest.mark.parametrize("kind", ["none", "unreadable settings", "a file", "damaged store"])
def test_tab_says_nothing_and_makes_nothing_where_there_is_nothing_to_read(shell: Shell, tab: Tab, kind: str) -> None:
    home = shell.home
    match kind:
        case "unreadable settings":
            Path(home.path).mkdir()
            Path(home.settings_file).write_text("a: [")
        case "a file":
            Path(home.path).write_text("")
        case "damaged store":
            Path(home.path).mkdir()
            Path(home.database).write_bytes(os.urandom(4096))

    assert tab("show", "") == tab("runs", "show", "") == tab("build", "--project", "") == {}
    assert "default" in tab("list", "--pool", "")
    assert os.path.exists(home.path) == (kind != "none")
    assert not os.path.exists(home.queue)


def test_no_more_than_some_are_offered_and_none_that_a_shell_takes_for_something_else() -> None:
    many = (Name(f"t-{number}") for number in range(1_000_000))
    assert len(offered(many, "t-")) == MOST
    odd = [Name(text) for text in ("$(rm -rf /)", "a b", "-x", "a\nb", "a:b", "`x`", "", "good")]
    assert offered(odd, "") == [Name("good")]


def test_tab_loads_nothing_heavy(home: Home) -> None:
    submit(home, "true", "t-1", ring=False)
    code = f"""
import os, sys
os.environ.update({{{VARIABLE!r}: "bash_complete", "COMP_WORDS": "conductor runs show t", "COMP_CWORD": "3"}})
sys.argv = ["conductor"]
from conductor.cli.main import main
try:
    main()
except SystemExit:
    print([name for name in ("sqlalchemy", "pydantic", "rich", "psutil", "filelock") if name in sys.modules])
"""
    done = python(home, code)

    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_every_id_in_every_command_is_offered() -> None:
    """A parameter of a new command is known by its name, or named here as one that nobody can know."""
    unknown = set()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        grouped = list(command.commands.values()) if isinstance(command, click.Group) else []
        for group, one in [("", command), *((name, one) for one in grouped)]:
            for parameter in one.params:
                is_id = (parameter.name or "").removesuffix("s").endswith(("_id", "project"))
                if is_id and source_of(one.name or "", group, parameter.name or "") is None:
                    unknown.add(f"{one.name} {parameter.name}")

    assert unknown == {"submit task_id", "update-subtask subtask_id"}


# -- the scripts


def test_a_shell_that_is_not_known_is_refused_and_the_known_ones_named(shell: Shell) -> None:
    assert shell("completion", "tcsh").code == 2
    answer = shell("completion", SHELL="/bin/tcsh")
    assert answer.code == 2
    assert "bash, zsh, fish" in answer.err
    assert shell.ok("completion", SHELL="/usr/bin/zsh").out == shell.ok("completion", "zsh").out
    assert not os.path.exists(shell.home.path)


@pytest.fixture
def bin_folder(home: Home, tmp_path: Path) -> Path:
    """With a `conductor` in it, and a task on its home to be found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "conductor").write_text(f'#!/bin/sh\nexec {sys.executable} -m conductor "$@"\n')
    (folder / "conductor").chmod(0o755)
    submit(home, "true", "t-only-one", ring=False)
    return folder


def installed(program: str) -> str:
    found = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin")
    if found is None:
        pytest.skip(f"{program} is not installed here")
    return found


def in_shell(home: Home, command: list[str], bin_folder: Path) -> str:
    env = clean_environment(home, PATH=f"{bin_folder}:/usr/local/bin:/usr/bin:/bin")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bash_completes_a_task(home: Home, bin_folder: Path) -> None:
    script = """
eval "$(conductor completion bash)"
COMP_WORDS=(conductor show t-on) COMP_CWORD=2
_conductor_completion conductor
echo "${COMPREPLY[@]}"
complete -p conductor
"""
    out = in_shell(home, [installed("bash"), "--norc", "-c", script], bin_folder)

    assert out.splitlines()[0] == "t-only-one"
    assert "_conductor_completion" in out


def test_fish_completes_a_task(home: Home, bin_folder: Path) -> None:
    script = 'conductor completion fish | source; complete -C "conductor show t-on"'

    out = in_shell(home, [installed("fish"), "--no-config", "-c", script], bin_folder)

    assert out == "t-only-one\tready\n"


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_tab_completes_a_task_at_the_prompt(home: Home, bin_folder: Path, name: str) -> None:
    arguments = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[name]
    path = f"{bin_folder}:/usr/local/bin:/usr/bin:/bin"
    terminal = Terminal(home, [installed(name), *arguments], size=(200, 24), PATH=path)
    try:
        begin = "autoload -Uz compinit && compinit -u -D; " if name == "zsh" else ""
        terminal.type(f"PS1='> '; {begin}eval \"$(conductor completion {name})\"; echo rea''dy\n")
        terminal.shows("ready")
        terminal.type("conductor show t-on\t")
        terminal.shows("t-only-one")
    finally:
        terminal.close()


def test_the_scripts_are_click_s_own_and_short(shell: Shell) -> None:
    for name in SHELLS:
        assert f"{VARIABLE}={name}_complete" in shell.ok("completion", name).out
