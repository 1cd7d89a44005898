"""Keys are read from where the settings point, only from files that nobody else can read, and are never told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conductor.domain.agent_setup import AgentSetup, ProviderSetup
from conductor.domain.errors import BadTask
from conductor.kit.keys import key_fault, key_faults, read_key, read_secrets_file

KEY = "sk-" + "ant-api03-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def refused(reference: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(BadTask) as caught:
        read_key(reference, environment or {})
    assert KEY not in str(caught.value)
    return str(caught.value)


def test_a_variable_holds_the_key() -> None:
    assert read_key("env:A_KEY", {"A_KEY": KEY + "\n"}) == KEY


@pytest.mark.parametrize("reference", ["", "env:A_KEY"])
def test_without_a_reference_or_a_variable_there_is_no_key(reference: str) -> None:
    assert read_key(reference, {}) == ""


def test_a_file_of_ours_holds_the_key(tmp_path: Path) -> None:
    assert read_key(f"file:{private(tmp_path / 'key', KEY)}", {}) == KEY
    assert read_key(f"file:{private(tmp_path / 'key2', KEY + chr(13) + chr(10))}", {}) == KEY


def test_a_link_counts_as_the_file_behind_it(tmp_path: Path) -> None:
    private(tmp_path / "open", KEY, 0o644)
    os.symlink(tmp_path / "open", tmp_path / "link")
    assert "chmod 600" in refused(f"file:{tmp_path}/link")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_can_read_or_write_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "key", KEY, mode)
    assert f"chmod 600 {path}" in refused(f"file:{path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / "key", KEY)
    os.chown(path, 12345, -1)
    assert "belongs to user 12345" in refused(f"file:{path}")


def test_what_is_no_regular_file_is_refused_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no regular file" in refused(f"file:{tmp_path}/pipe")
    assert "no regular file" in refused(f"file:{tmp_path}")
    assert "No such file" in refused(f"file:{tmp_path}/absent")
    assert "whole path" in refused("file:key")


@pytest.mark.parametrize("text", [KEY + " x", f" {KEY}", f"{KEY}\n{KEY}", KEY + "\t"])
def test_white_space_inside_a_key_is_a_fault(tmp_path: Path, text: str) -> None:
    assert "white space" in refused(f"file:{private(tmp_path / 'key', text)}")
    assert "white space" in refused("env:A_KEY", {"A_KEY": text})


@pytest.mark.parametrize("text", [KEY + "é", KEY + "\x07", "“" + KEY + "”"])
def test_characters_that_no_header_takes_are_a_fault(text: str) -> None:
    assert "copy it again" in refused("env:A_KEY", {"A_KEY": text})


def test_an_empty_file_and_one_that_is_far_too_large_are_faults(tmp_path: Path) -> None:
    assert "empty" in refused(f"file:{private(tmp_path / 'empty', chr(10))}")
    assert "larger than" in refused(f"file:{private(tmp_path / 'huge', 'x' * 100_000)}")


def test_systemd_s_credential_holds_the_key(tmp_path: Path) -> None:
    private(tmp_path / "anthropic", KEY + "\n", 0o440)
    assert read_key("credential:anthropic", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == KEY


@pytest.mark.parametrize(
    ("name", "environment", "said"),
    [
        ("anthropic", {}, "LoadCredential=anthropic"),
        ("absent", {"CREDENTIALS_DIRECTORY": "/nowhere"}, "LoadCredential=absent"),
        ("../etc/passwd", {"CREDENTIALS_DIRECTORY": "/"}, "not a name"),
    ],
)
def test_a_credential_that_is_not_there_says_who_gives_it(name: str, environment: dict[str, str], said: str) -> None:
    assert said in refused(f"credential:{name}", environment)


def test_a_literal_is_what_it_says() -> None:
    assert read_key("literal:simulated", {}) == "simulated"


def test_a_key_in_place_of_a_reference_is_refused_and_not_told() -> None:
    assert "env:NAME" in refused(KEY)


@pytest.mark.parametrize(
    ("form", "key", "fault"),
    [
        ("anthropic", KEY, ""),
        ("openai", "sk-proj-abc", ""),
        ("openai", "sk-0123456789abcdef", ""),
        ("openai", "a local one", ""),
        ("gemini", "AIzaSy", ""),
        ("openai", KEY, "a key of Anthropic"),
        ("anthropic", "sk-proj-abc", "a key of OpenAI"),
        ("gemini", "sk-0123456789abcdef", "a key of OpenAI"),
        ("anthropic", "AIzaSy", "a key of Google"),
        ("anthropic", "sk-ant-oat01-x", "a login token"),
        ("anthropic", "ghp_0123", "a token of GitHub"),
        ("anthropic", "ghost-key", ""),
        ("anthropic", f'"{KEY}"', "quotes"),
        ("anthropic", "", ""),
    ],
)
def test_a_key_of_another_provider_is_noticed(form: str, key: str, fault: str) -> None:
    found = key_fault(form, key)
    assert fault in found
    assert bool(found) == bool(fault)
    assert not key or len(key) < 10 or key not in found


def test_every_provider_s_key_is_looked_at_once(tmp_path: Path) -> None:
    # given
    loose = private(tmp_path / "key", KEY, 0o644)
    providers = {
        "well": ProviderSetup("well", "anthropic", "https://a", "env:WELL"),
        "unset": ProviderSetup("unset", "anthropic", "https://a", "env:UNSET"),
        "mixed": ProviderSetup("mixed", "openai", "https://a", "env:WELL"),
        "loose": ProviderSetup("loose", "anthropic", "https://a", f"file:{loose}"),
        "none": ProviderSetup("none", "openai", "http://127.0.0.1"),
    }
    setups = [AgentSetup(name, "claude", provider=providers[name]) for name in (*providers, "loose")]

    # when
    found = list(key_faults([*setups, AgentSetup("command", "command")], {"WELL": KEY}))

    # then
    assert [(one.provider.name, one.grave) for one in found] == [("mixed", False), ("loose", True)]
    assert "env:WELL: it looks like a key of Anthropic" in found[0].what
    assert KEY not in str(found)


def test_a_project_s_secrets_are_names_and_values(tmp_path: Path) -> None:
    path = private(tmp_path / "secrets", "# ours\n\nA=1\nexport B = 'two words'\nC=\"x=y\"\nD=\nE='\n")
    assert read_secrets_file(str(path)) == {"A": "1", "B": "two words", "C": "x=y", "D": "", "E": "'"}


def test_a_line_that_is_no_secret_is_told_by_its_number_alone(tmp_path: Path) -> None:
    path = private(tmp_path / "secrets", f"A=1\n{KEY}\n")
    with pytest.raises(BadTask, match="line 2") as caught:
        read_secrets_file(str(path))
    assert KEY not in str(caught.value)


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTask, match="chmod 600"):
        read_secrets_file(str(private(tmp_path / "secrets", "A=1\n", 0o644)))
