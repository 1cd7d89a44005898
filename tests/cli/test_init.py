"""`conductor init`: a commented conductor.yaml to begin with."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from conductor.agents import registry
from conductor.settings.model import load_settings
from tests.cli.front import Shell

KEY = "sk-" + "ant-api03-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"


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
    assert "no agent 'oracle': there is" in answer.err
    assert not os.path.exists(shell.home.settings_file)


def test_a_file_that_is_there_is_kept_unless_forced(shell: Shell) -> None:
    shell.ok("init", "--agent", "command")

    answer = shell("init")

    assert answer.code == 2
    assert "--force" in answer.err
    assert "agent: command" in Path(shell.home.settings_file).read_text().splitlines()

    shell.ok("init", "--force")
    assert yaml.safe_load(Path(shell.home.settings_file).read_text()) is None


# -- what is found


@pytest.fixture
def bin_folder(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own, and adapters for some kinds."""
    folder = Path(shell.cwd, "bin")
    folder.mkdir()
    shell.env["PATH"] = str(folder)
    for kind in ("claude", "codex", "anthropic"):
        monkeypatch.setitem(registry.BUILT_IN, kind, "conductor.agents.command:CommandAgent")
    return folder


def install(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\nexit 1\n")
    (folder / name).chmod(0o755)


def log_in(shell: Shell, file: str) -> None:
    path = Path(shell.env["HOME"], file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


def chosen(shell: Shell) -> dict[str, Any]:
    found = yaml.safe_load(Path(shell.home.settings_file).read_text()) or {}
    assert load_settings(shell.home, {}), "what init writes can be read"
    return dict(found)


def test_the_agent_that_is_installed_and_logged_in_becomes_the_default(shell: Shell, bin_folder: Path) -> None:
    install(bin_folder, "claude")
    install(bin_folder, "codex")
    log_in(shell, ".codex/auth.json")
    answer = shell.ok("init")
    assert chosen(shell) == {"agent": "codex"}
    assert answer.out == f"{shell.home.settings_file}\n"
    assert f"default agent: codex ({bin_folder}/codex, " in answer.err
    assert "claude has no key and no login: run `claude` once" in answer.err


def test_a_key_in_the_environment_is_used_by_its_name_alone(shell: Shell, bin_folder: Path) -> None:
    install(bin_folder, "claude")
    answer = shell.ok("init", ANTHROPIC_API_KEY=KEY)
    text = Path(shell.home.settings_file).read_text()
    assert chosen(shell)["agent"] == "claude"
    assert "env:ANTHROPIC_API_KEY" in answer.err
    assert KEY not in text + answer.out + answer.err
    assert "not installed: codex" in answer.err


def test_the_api_has_a_pool_of_its_own(shell: Shell, bin_folder: Path) -> None:
    answer = shell.ok("init", ANTHROPIC_API_KEY=KEY)
    found = chosen(shell)
    assert found == {"agent": "anthropic", "pools": {"api": {"workers": 3}}, "agents": {"anthropic": {"pool": "api"}}}
    assert "default agent: anthropic (env:ANTHROPIC_API_KEY)" in answer.err


def test_a_key_of_somebody_else_is_no_key(shell: Shell, bin_folder: Path) -> None:
    install(bin_folder, "codex")
    answer = shell.ok("init", OPENAI_API_KEY=KEY)
    assert chosen(shell) == {}
    assert "codex can't be used: it looks like a key of Anthropic" in answer.err


def test_on_the_simulated_model_any_agent_that_is_installed_will_do(shell: Shell, bin_folder: Path) -> None:
    install(bin_folder, "codex")
    answer = shell.ok("init", "--simulate", "http://127.0.0.1:8042")
    found = chosen(shell)
    assert (found["agent"], found["simulate"]) == ("codex", "http://127.0.0.1:8042")
    assert "no answer is a real model's" in answer.err


@pytest.mark.parametrize("url", ["http://example.com", "ftp://127.0.0.1", "http://127.0.0.1.example.com", "x"])
def test_a_simulation_elsewhere_is_refused_and_nothing_is_written(shell: Shell, url: str) -> None:
    answer = shell("init", "--simulate", url)
    assert answer.code == 2
    assert not os.path.exists(shell.home.settings_file)


def test_without_any_agent_it_says_how_to_come_by_one(shell: Shell, bin_folder: Path) -> None:
    answer = shell.ok("init")
    assert chosen(shell) == {}
    for said in ("npm install -g @anthropic-ai/claude-code", "--agent command", "conductor sim"):
        assert said in answer.err
