"""`conductor agents`: what each agent has here, from programs and logins that are there; `agents test`: a real turn."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from conductor.agents import registry
from tests.cli.front import Shell
from tests.conftest import DaemonFactory

KEY = "sk-" + "ant-api03-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"


@pytest.fixture
def bin_folder(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing of this machine's agents on it, and adapters for two kinds."""
    folder = Path(shell.cwd, "bin")
    folder.mkdir()
    for name in ("sh", "env", "cat"):
        os.symlink(f"/bin/{name}" if os.path.exists(f"/bin/{name}") else f"/usr/bin/{name}", folder / name)
    shell.env["PATH"] = str(folder)
    for kind in ("claude", "codex"):
        monkeypatch.setitem(registry.BUILT_IN, kind, "conductor.agents.command:CommandAgent")
    return folder


def install(folder: Path, name: str, version: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{version} ({name})'\n")
    (folder / name).chmod(0o755)


def listed(shell: Shell, **env: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in shell.ok("agents", "--json", **env).json}


def settings(shell: Shell, **given: Any) -> None:
    shell.ok("init", "--force")
    Path(shell.home.settings_file).write_text(json.dumps(given))


def test_an_agent_that_is_installed_is_shown_with_its_version_and_where(shell: Shell, bin_folder: Path) -> None:
    install(bin_folder, "claude", "2.1.329")
    found = listed(shell)
    assert (found["claude"]["installed"], found["claude"]["version"]) == (True, "2.1.329")
    assert found["claude"]["binary"] == f"{bin_folder}/claude"
    assert (found["codex"]["installed"], found["codex"]["version"]) == (False, "")
    assert found["command"]["installed"]


def test_a_key_is_told_by_its_place_and_never_itself(shell: Shell, bin_folder: Path) -> None:
    answer = shell.ok("agents", "--json", ANTHROPIC_API_KEY=KEY)
    found = {one["name"]: one for one in answer.json}
    assert found["claude"]["key"] == "env:ANTHROPIC_API_KEY"
    assert (found["codex"]["key"], found["codex"]["needs_access"]) == ("", True)
    assert KEY not in answer.out + answer.err


def test_a_login_is_told_by_its_file(shell: Shell, bin_folder: Path) -> None:
    path = Path(shell.env["HOME"], ".claude/.credentials.json")
    path.parent.mkdir()
    path.write_text("{}")
    assert listed(shell)["claude"]["login"] == str(path)


def test_a_key_of_another_provider_is_noticed(shell: Shell, bin_folder: Path) -> None:
    assert "a key of Anthropic" in listed(shell, OPENAI_API_KEY=KEY)["codex"]["access_fault"]


def test_agents_of_the_settings_are_shown_as_they_are_set_up(shell: Shell, bin_folder: Path) -> None:
    key = Path(shell.cwd, "key")
    key.write_text(KEY)
    key.chmod(0o644)
    settings(
        shell,
        agent="deep",
        agents={
            "deep": {"kind": "claude", "bin": "/opt/none", "autonomy": "full", "memory": "300MiB"},
            "loose": {"kind": "claude", "provider": "other"},
        },
        providers={"other": {"form": "anthropic", "base_url": "https://example.com", "key": f"file:{key}"}},
    )
    found = listed(shell)
    deep = found["deep"]
    assert (deep["default"], deep["installed"], deep["autonomy"], deep["confined"]) == (
        True,
        False,
        "full",
        "not at all",
    )
    assert deep["memory_bytes"] == 300 * (1 << 20)
    assert f"chmod 600 {key}" in found["loose"]["access_fault"]
    assert found["claude"]["confined"].startswith("workspace: ")


def test_under_the_simulated_model_no_key_is_needed(shell: Shell, bin_folder: Path) -> None:
    settings(shell, simulate="http://127.0.0.1:9")
    assert listed(shell)["claude"]["key"] == "the simulated model"


def test_what_limits_an_agent_and_what_was_learned_of_it_is_shown(shell: Shell, bin_folder: Path) -> None:
    # given
    shell.ok("agents")
    for path, fields in {
        "parked/anthropic~default.json": {"mode": "parked", "until": time.time() + 3600, "since": time.time()},
        "parked/openai~default.json": {"mode": "parked", "until": time.time() - 3600, "since": time.time() - 7200},
        "agents/claude.json": {"runs": 5, "successes": 4, "peaks": [100 << 20, 210 << 20]},
    }.items():
        file = Path(shell.home.path, "limits", path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(fields))

    # when
    found = listed(shell)

    # then
    assert (found["claude"]["limited"]["mode"], found["codex"]["limited"]) == ("parked", None)
    assert found["claude"]["experience"] == {"runs": 5, "successes": 4, "peak_bytes": 210 << 20}
    table = shell.ok("agents").out
    assert "4 of 5 well" in table
    assert "210 MiB" in table


def test_the_table_has_a_line_for_each_agent(shell: Shell, bin_folder: Path) -> None:
    install(bin_folder, "claude", "2.1.329")
    lines = shell.ok("agents").out.splitlines()
    assert lines[0].split()[:3] == ["AGENT", "KIND", "INSTALLED"]
    assert any(line.startswith("claude ") and "2.1.329" in line and "none" in line for line in lines)


# -- agents test


def test_a_real_turn_is_run_and_its_answer_shown(shell: Shell, daemon: DaemonFactory) -> None:
    daemon(workers=1)
    answer = shell.ok("agents", "test", "command")
    assert answer.out.splitlines()[0] == "ready"
    assert answer.out.splitlines()[1].startswith("SUCCESS in ")


def test_a_turn_that_fails_says_why_and_exits_1(shell: Shell, daemon: DaemonFactory) -> None:
    daemon(workers=1)
    answer = shell("agents", "test", "command", "--prompt", "echo no luck; exit 3")
    assert answer.code == 1
    assert "no luck" in answer.out
    assert "exit 3" in answer.out


def test_without_a_daemon_it_says_how_to_start_one_and_submits_nothing(shell: Shell) -> None:
    answer = shell("agents", "test", "command")
    assert answer.code == 4
    assert "start one with `conductord`" in answer.err
    assert shell.ok("list", "--json", "--all").json == []


def test_an_agent_that_there_is_not_is_a_usage_error(shell: Shell) -> None:
    answer = shell("agents", "test", "oracle")
    assert answer.code == 2
    assert "no agent 'oracle'" in answer.err
