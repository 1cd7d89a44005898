"""What of an agent is here: its program by path and name, its version by asking it, its user's login."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conductor.agents.presence import (
    LOGINS,
    PROGRAMS,
    find_login,
    find_program,
    login_path,
    probe_versions,
    program_of,
)
from conductor.agents.registry import BUILT_IN
from conductor.domain.agent_setup import AgentSetup
from tests.support import eventually


def program(folder: Path, name: str, script: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_is_found_on_the_path_in_its_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    program(second, "claude", "")
    first.mkdir()
    (first / "claude").write_text("no program")
    assert find_program("claude", {"PATH": f"{first}::{second}"}) == f"{second}/claude"
    assert find_program("codex", {"PATH": f"{first}:{second}"}) == ""
    assert find_program("", {"PATH": str(second)}) == ""


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = program(tmp_path, "my-claude", "")
    assert find_program(path, {}) == path
    assert find_program(f"{tmp_path}/absent", {"PATH": "/bin"}) == ""
    assert find_program(str(tmp_path), {}) == "", "a folder is no program"


@pytest.mark.parametrize(
    ("setup", "declared", "environment", "name"),
    [
        (AgentSetup("c", "claude", binary="/opt/claude"), "claude", {}, "/opt/claude"),
        (AgentSetup("c", "claude"), "", {}, "claude"),
        (AgentSetup("x", "plugin"), "their-cli", {}, "their-cli"),
        (AgentSetup("command", "command"), "", {}, ""),
        (AgentSetup("o", "openclaw"), "openclaw", {"OPENCLAW_BIN": "/opt/openclaw"}, "/opt/openclaw"),
        (AgentSetup("o", "openclaw", binary="mine"), "openclaw", {"OPENCLAW_BIN": "/opt/openclaw"}, "mine"),
    ],
)
def test_the_settings_name_of_a_program_comes_first(
    setup: AgentSetup, declared: str, environment: dict[str, str], name: str
) -> None:
    assert program_of(setup, declared, environment) == name


def test_versions_are_asked_for_with_nothing_of_the_user_s_environment(tmp_path: Path) -> None:
    # given
    tell = 'env | grep -c -E "^(SECRET|CLAUDE_)" >> {}; echo "$HOME" >> {}; echo "2.1.329 (Claude Code)"'
    path = program(tmp_path, "claude", tell.format(tmp_path / "seen", tmp_path / "seen"))

    # when
    found = probe_versions({"claude": path}, {"PATH": os.environ["PATH"], "SECRET": "x", "HOME": "/home/ada"})

    # then
    assert found == {"claude": "2.1.329"}
    secrets, home = (tmp_path / "seen").read_text().splitlines()
    assert (secrets, home != "/home/ada", os.path.exists(home)) == ("0", True, False)


def test_programs_that_fail_or_babble_have_no_version_and_hold_up_no_other(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    programs = {
        "fails": program(tmp_path, "fails", "exit 3"),
        "broken": str(broken),
        "well": program(tmp_path, "well", "echo 1.0"),
        "babbles": program(tmp_path, "babbles", "head -c 300000 /dev/zero | tr '\\0' x; echo 9.9"),
    }
    found = probe_versions(programs, os.environ)
    assert (found["fails"], found["broken"], found["well"], len(found["babbles"])) == ("", "", "1.0", 40)


def test_a_program_that_reads_its_input_finds_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given: an input of ours that never ends
    monkeypatch.setattr("conductor.agents.presence.PROBE_SECONDS", 10.0)
    ours, (reading, writing) = os.dup(0), os.pipe()
    os.dup2(reading, 0)

    # when
    try:
        found = probe_versions({"reads": program(tmp_path, "reads", "cat; echo 1.0")}, os.environ)
    finally:
        os.dup2(ours, 0)
        for descriptor in (ours, reading, writing):
            os.close(descriptor)

    # then
    assert found == {"reads": "1.0"}


def test_a_program_that_never_answers_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr("conductor.agents.presence.PROBE_SECONDS", 0.3)
    path = program(tmp_path, "hangs", f"sleep 600 & echo $! > {tmp_path}/child; wait")

    # when
    found = probe_versions({"hangs": path}, os.environ)

    # then
    assert found == {"hangs": ""}
    child = int((tmp_path / "child").read_text())
    eventually(lambda: not os.path.exists(f"/proc/{child}") or "Z" in Path(f"/proc/{child}/stat").read_text().split())


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("claude", ".claude/.credentials.json"),
        ("codex", ".codex/auth.json"),
        ("gemini", ".gemini/oauth_creds.json"),
        ("opencode", ".local/share/opencode/auth.json"),
        ("openclaw", ".openclaw/openclaw.json"),
    ],
)
def test_a_login_is_a_file_in_the_user_s_home_or_where_the_program_is_told_to_look(
    tmp_path: Path, kind: str, file: str
) -> None:
    # given
    environment = {"HOME": str(tmp_path)}
    assert find_login(kind, environment) == ""

    # when
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("{}")

    # then
    assert find_login(kind, environment) == str(tmp_path / file)
    assert find_login(kind, {**environment, LOGINS[kind].variable: str(tmp_path / "elsewhere")}) == ""


def test_a_token_in_the_environment_is_a_login(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "CLAUDE_CODE_OAUTH_TOKEN": "x"}
    assert find_login("claude", environment) == "env:CLAUDE_CODE_OAUTH_TOKEN"


def test_without_a_home_or_a_known_kind_there_is_no_login() -> None:
    assert login_path("claude", {}) == ""
    assert find_login("command", {"HOME": "/home/ada"}) == ""


def test_the_tables_are_about_the_same_kinds() -> None:
    assert set(PROGRAMS) == set(LOGINS)
    assert "command" in BUILT_IN
