"""`conductor init`: a commented conductor.yaml to begin with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import yaml

from tests.cli.front import Shell


def test_it_makes_the_home_and_prints_the_file_it_wrote(shell: Shell) -> None:
    answer = shell.ok("init")

    assert answer.out == f"{shell.home.settings_file}\n"
    text = Path(shell.home.settings_file).read_text()
    assert yaml.safe_load(text) is None, "everything is commented out: the defaults hold"
    assert "# agent: command" in text
    assert stat.S_IMODE(os.stat(shell.home.settings_file).st_mode) == 0o600
    assert os.path.isdir(shell.home.queue)


def test_a_default_agent_is_written_and_used_from_then_on(shell: Shell) -> None:
    shell.ok("init", "--agent", "command")

    assert yaml.safe_load(Path(shell.home.settings_file).read_text()) == {"agent": "command"}
    (task_id,) = shell.ok("submit", "true").ids
    assert shell.task(task_id)["agent"] == "command"


def test_an_agent_that_is_not_installed_is_refused_and_nothing_is_written(shell: Shell) -> None:
    answer = shell("init", "--agent", "oracle")

    assert answer.code == 2
    assert "no agent 'oracle': there is command" in answer.err
    assert not os.path.exists(shell.home.settings_file)


def test_a_file_that_is_there_is_kept_unless_forced(shell: Shell) -> None:
    shell.ok("init", "--agent", "command")

    answer = shell("init")

    assert answer.code == 2
    assert "--force" in answer.err
    assert "agent: command" in Path(shell.home.settings_file).read_text().splitlines()

    shell.ok("init", "--force")
    assert yaml.safe_load(Path(shell.home.settings_file).read_text()) is None
