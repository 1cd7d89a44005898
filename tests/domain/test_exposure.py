"""What is unsafe is told with where, what and the way out; what is safe is not told at all."""

from __future__ import annotations

import stat

import pytest

from conductor.domain.agent_setup import AgentSetup, Autonomy, ProviderSetup
from conductor.domain.exposure import (
    FileFacts,
    Finding,
    addresses_in,
    holds_key,
    is_exposed,
    is_private,
    judge_addresses,
    judge_agents,
    judge_home,
    judge_parent,
    judge_private_file,
    judge_settings_text,
    judge_socket,
    secrets_files_in,
)

US = 1000
KEY = "sk-" + "ant-api03-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"


def folder(mode: int, owner: int = US) -> FileFacts:
    return FileFacts("/home/ada/.local", stat.S_IFDIR | mode, owner)


def file(mode: int, owner: int = US) -> FileFacts:
    return FileFacts("/home/ada/key", stat.S_IFREG | mode, owner)


def whats(findings: list[Finding]) -> list[str]:
    return [one.what for one in findings]


@pytest.mark.parametrize(
    ("home", "unsafe"),
    [
        (folder(0o700), False),
        (folder(0o700, 0), False),
        (folder(0o755), True),
        (folder(0o710), True),
        (folder(0o700, 7), True),
    ],
)
def test_a_home_is_open_to_nobody_else(home: FileFacts, unsafe: bool) -> None:
    assert bool(judge_home(home, US)) is unsafe


@pytest.mark.parametrize(
    ("above", "unsafe"),
    [
        (folder(0o755), False),
        (folder(0o1777, 0), False),
        (folder(0o777, 0), True),
        (folder(0o775), True),
        (folder(0o755, 7), True),
    ],
)
def test_nobody_else_can_put_another_home_in_the_place_of_ours(above: FileFacts, unsafe: bool) -> None:
    assert bool(judge_parent(above, US)) is unsafe


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (file(0o600), []),
        (file(0o400), []),
        (file(0o644), ["x can be read by others (mode 644)"]),
        (file(0o620), ["x can be changed by others (mode 620)"]),
        (file(0o600, 7), ["x belongs to user 7"]),
    ],
)
def test_a_file_with_keys_is_ours_alone(one: FileFacts, said: list[str]) -> None:
    assert whats(judge_private_file(one, "x", US)) == said


def test_a_socket_that_others_can_reach_is_told() -> None:
    assert judge_socket(FileFacts("/s", stat.S_IFSOCK | 0o600, US)) == []
    assert "steer conductord" in whats(judge_socket(FileFacts("/s", stat.S_IFSOCK | 0o666, US)))[0]


def test_keys_in_the_settings_are_told_by_line_and_never_themselves() -> None:
    text = f"agent: claude\n# key: {KEY}\nkey: env:ANTHROPIC_API_KEY\n"
    (found,) = judge_settings_text("/h/conductor.yaml", text)
    assert found.where == "/h/conductor.yaml:2"
    assert KEY not in str(found)
    assert holds_key("nothing\nhere") == []


@pytest.mark.parametrize(
    ("setup", "graves"),
    [
        (AgentSetup("c", "claude"), []),
        (AgentSetup("c", "claude", autonomy=Autonomy.FULL), [True]),
        (AgentSetup("command", "command", autonomy=Autonomy.FULL), []),
        (AgentSetup("sh", "command"), [False]),
        (AgentSetup("g", "generic"), [False]),
        (AgentSetup("g", "generic", options={"modes": {"workspace": ["--safe"]}}), []),
        (
            AgentSetup("c", "claude", provider=ProviderSetup("a", "anthropic", "https://a", "env:K"), gate=False),
            [False],
        ),
        (AgentSetup("c", "chat", provider=ProviderSetup("a", "openai", "http://127.0.0.1"), gate=False), []),
    ],
)
def test_agents_that_nothing_confines_are_told(setup: AgentSetup, graves: list[bool]) -> None:
    assert [one.grave for one in judge_agents([setup], default_agent="sh")] == graves


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("https://api.anthropic.com", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost/x", False),
        ("http://[::1]:80", False),
        ("http://127.0.0.1.example.com", True),
        ("http://localhost@example.com", True),
        ("http://10.0.0.5:11434", True),
        ("ftp://127.0.0.1", True),
        ("http://[::1", True),
        ("", True),
    ],
)
def test_what_goes_unencrypted_beyond_this_machine_is_exposed(url: str, exposed: bool) -> None:
    assert is_exposed(url) is exposed


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://10.0.0.5:11434", True),
        ("http://192.168.1.2/v", True),
        ("http://[fd00::1]:80", True),
        ("http://8.8.8.8", False),
        ("http://10.0.0.5@example.com", False),
        ("http://10.0.0.5.example.com", False),
        ("http://gpu.local", False),
        ("ftp://10.0.0.5", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_only_literal_addresses_of_ones_own_network_are_private(url: str, private: bool) -> None:
    assert is_private(url) is private


def test_addresses_and_secrets_are_found_in_settings_of_any_form() -> None:
    raw = {
        "providers": {"a": {"base_url": "http://10.0.0.5"}, "b": None, "c": {"base_url": "https://c"}},
        "simulate": "http://10.0.0.6",
        "projects": {"p": {"secrets": "/s"}, "q": {}},
    }
    assert [one.where for one in judge_addresses(addresses_in(raw))] == ["providers.a.base_url", "simulate"]
    assert secrets_files_in(raw) == {"/s": "the secrets file of project p"}
    for nonsense in ({}, {"providers": [1], "projects": "x"}):
        assert addresses_in(nonsense) == {}
        assert secrets_files_in(nonsense) == {}
