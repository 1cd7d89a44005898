"""`conductor audit` on real homes: what is unsafe makes it exit 1 and is told with the way out."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from conductor.agents import registry
from tests.cli.front import Shell

KEY = "sk-" + "ant-api03-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"


@pytest.fixture(autouse=True)
def with_claude(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "claude", "conductor.agents.command:CommandAgent")


@pytest.fixture
def safe(shell: Shell) -> Shell:
    """A home with nothing wrong."""
    shell.ok("init", "--agent", "claude")
    os.chmod(shell.home.path, 0o700)
    return shell


def settings(shell: Shell, **given: Any) -> None:
    Path(shell.home.settings_file).write_text(json.dumps(given, indent=1))


def findings(shell: Shell, *, code: int = 1, **env: str) -> list[dict[str, Any]]:
    answer = shell("audit", "--json", **env)
    assert answer.code == code, answer
    assert KEY not in answer.out + answer.err
    found: list[dict[str, Any]] = answer.json["findings"]
    return found


def test_a_home_with_nothing_wrong_passes(safe: Shell) -> None:
    answer = safe.ok("audit")
    assert answer.out.startswith("nothing unsafe found")
    assert findings(safe, code=0) == []


def test_a_home_that_is_not_there_yet_is_not_made(shell: Shell) -> None:
    shell.ok("audit")
    assert not os.path.exists(shell.home.path)


def test_a_home_that_others_can_read_is_told_with_the_keys_in_it(safe: Shell) -> None:
    # given
    log = Path(safe.home.path, "notes.txt")
    log.write_text(f"the key is {KEY}\n")
    log.chmod(0o644)
    closed = Path(safe.home.path, "closed")
    closed.mkdir(mode=0o700)
    (closed / "key").write_text(KEY)

    # when
    assert findings(safe, code=0) == [], "behind a closed door nothing is readable"
    os.chmod(safe.home.path, 0o755)
    found = findings(safe)

    # then
    assert [(one["kind"], one["where"]) for one in found] == [("permissions", safe.home.path), ("key", str(log))]
    assert found[0]["remedy"] == f"chmod 700 {safe.home.path}"


def test_a_home_that_conductor_refuses_can_still_be_looked_at(safe: Shell) -> None:
    os.chmod(safe.home.path, 0o777)
    assert safe("list").code == 78
    assert "changed" in findings(safe)[0]["what"]


def test_a_folder_above_that_others_can_write_is_told(safe: Shell) -> None:
    above = os.path.dirname(safe.home.path)
    os.chmod(above, 0o777)
    assert [one["where"] for one in findings(safe)] == [os.path.realpath(above)]
    os.chmod(above, 0o700)


def test_a_key_in_the_settings_is_told_by_its_line(safe: Shell) -> None:
    Path(safe.home.settings_file).write_text(f"agent: claude\n# {KEY}\n")
    answer = safe("audit")
    assert answer.code == 1
    assert f"{safe.home.settings_file}:2: a key stands in the settings" in answer.out
    assert KEY not in answer.out


def test_settings_that_can_t_be_read_are_a_finding_and_hide_no_other(safe: Shell) -> None:
    settings(safe, providers={"far": {"form": "openai", "base_url": "http://8.8.8.8:11434"}})
    assert [one["kind"] for one in findings(safe)] == ["exposed", "settings"]


def test_plain_http_on_ones_own_network_is_a_choice_that_is_told(safe: Shell) -> None:
    settings(safe, providers={"near": {"form": "openai", "base_url": "http://10.0.0.5:11434"}})
    assert [(one["kind"], one["where"]) for one in findings(safe)] == [("exposed", "providers.near.base_url")]


def test_agents_that_run_unconfined_are_told(safe: Shell) -> None:
    settings(safe, agents={"wild": {"kind": "claude", "autonomy": "full"}, "tame": {"kind": "claude"}})
    assert [(one["kind"], one["where"]) for one in findings(safe)] == [("unconfined", "wild")]


def test_shell_commands_by_default_are_worth_a_note(safe: Shell) -> None:
    settings(safe, agent="command")
    assert [(one["kind"], one["grave"]) for one in findings(safe, code=0)] == [("unconfined", False)]
    assert safe.ok("audit").out.startswith("note  command: tasks that name no agent run as shell commands")


def test_files_that_hold_keys_and_logins_are_ours_alone(safe: Shell) -> None:
    # given
    home = Path(safe.env["HOME"])
    files = [home / "key", home / ".claude/.credentials.json", home / ".config/conductor/environment", home / "secrets"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"A_KEY={KEY}\n" if path.name != "key" else KEY)
        path.chmod(0o644)
    raw = {"providers": {"anthropic": {"key": f"file:{files[0]}"}}, "projects": {"shop": {"secrets": str(files[3])}}}
    settings(safe, **raw)

    # when
    found = findings(safe)

    # then
    assert all("chmod 600" in one["remedy"] + one["what"] for one in found)
    told = json.dumps(found)
    assert all(str(path) in told for path in files)

    # when
    for path in files:
        path.chmod(0o600)
    assert findings(safe, code=0) == []


def test_a_control_socket_that_others_can_reach_is_told(safe: Shell) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(safe.home.control_socket)
        os.chmod(safe.home.control_socket, 0o666)
        assert [one["kind"] for one in findings(safe)] == ["exposed"]


def test_a_key_of_another_provider_is_worth_a_note(safe: Shell) -> None:
    openai = "sk-" + "proj-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA"
    (found,) = findings(safe, code=0, ANTHROPIC_API_KEY=openai)
    assert "a key of OpenAI" in found["what"]
