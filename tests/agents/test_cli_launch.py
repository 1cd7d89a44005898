"""The command lines, environments and files with which the command line agents are started."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conductor.agents.registry import BUILT_IN, make_agent
from conductor.domain.agent_setup import Autonomy, ProviderSetup
from conductor.domain.errors import BadTask
from conductor.ports import Agent, Endpoint, Launch, Prompt
from tests.agents.prompts import prompt_in, setup, write_files

CLIS = ("claude", "codex", "gemini")
GATE = Endpoint("http://127.0.0.1:4000/gate", "sk-worthless")


def agent_of(cli: str, **more: Any) -> Agent:
    return make_agent(setup(cli, **more), BUILT_IN)


def launched(cli: str, prompt: Prompt, **more: Any) -> Launch:
    return agent_of(cli, **more).launch(prompt)


def file_of(launch: Launch, ending: str) -> str:
    return next(content for path, content in launch.files if path.endswith(ending))


def settings_of(cli: str, launch: Launch) -> dict[str, Any]:
    if cli == "codex":
        return tomllib.loads(file_of(launch, "config.toml"))
    found: dict[str, Any] = json.loads(file_of(launch, "settings.json"))
    return found


@pytest.mark.parametrize("cli", CLIS)
def test_the_prompt_is_the_standard_input_and_stands_in_no_argument(cli: str, tmp_path: Path) -> None:
    launch = launched(cli, prompt_in(tmp_path, "--help; do the SECRET thing"))

    assert not any("SECRET" in argument for argument in launch.argv)
    assert dict(launch.files)[launch.stdin] == "--help; do the SECRET thing"
    assert launch.stdin.startswith(str(tmp_path / "state"))
    assert launch.structured


@pytest.mark.parametrize("sign", ["/help", "  /clear", "!ls", "@/etc/passwd", "$skill", "# note"])
def test_a_prompt_that_begins_like_a_command_of_the_cli_is_none(sign: str, tmp_path: Path) -> None:
    launch = launched("claude", prompt_in(tmp_path, sign))

    assert dict(launch.files)[launch.stdin] == f"The task:\n{sign}"


@pytest.mark.parametrize("cli", CLIS)
def test_all_state_lies_in_the_state_directory(cli: str, tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)
    launch = launched(cli, prompt)
    env = dict(launch.env)

    write_files(prompt, launch)

    home = env[{"claude": "CLAUDE_CONFIG_DIR", "codex": "CODEX_HOME", "gemini": "GEMINI_CLI_HOME"}[cli]]
    assert all(path.startswith(prompt.state_directory) for path in (home, env["TMPDIR"]))
    assert os.path.isdir(env["TMPDIR"])
    assert all(path.startswith(prompt.state_directory) for path, _ in launch.files)


@pytest.mark.parametrize("cli", CLIS)
def test_the_gate_is_reached_by_address_and_worthless_key_and_nobody_s_login_is_copied(
    cli: str, tmp_path: Path
) -> None:
    prompt = prompt_in(tmp_path, endpoint=GATE)
    log_in(cli, tmp_path / "user")

    launch = launched(cli, prompt)
    env = dict(launch.env)

    match cli:
        case "claude":
            assert (env["ANTHROPIC_BASE_URL"], env["ANTHROPIC_API_KEY"]) == (GATE.url, GATE.key)
        case "gemini":
            assert (env["GOOGLE_GEMINI_BASE_URL"], env["GEMINI_API_KEY"]) == (GATE.url, GATE.key)
        case "codex":
            provider = settings_of(cli, launch)["model_providers"]["conductor"]
            assert provider["base_url"] == f"{GATE.url}/v1"
            assert env[provider["env_key"]] == GATE.key
            assert provider["request_max_retries"] + provider["stream_max_retries"] <= 4
    assert GATE.key not in " ".join(launch.argv)
    assert not any("of the user" in content for _, content in launch.files)


def log_in(cli: str, home: Path) -> list[str]:
    """Writes a user's login and more; returns what of it a run may have."""
    files: dict[str, dict[str, Any]] = {
        "claude": {
            ".claude/.credentials.json": {"claudeAiOauth": {"accessToken": "of the user", "expiresAt": 5}},
            ".claude/settings.json": {"hooks": "not for a run"},
            ".claude.json": {"oauthAccount": {"id": "of the user"}, "projects": {"/x": "not for a run"}},
        },
        "codex": {
            ".codex/auth.json": {"tokens": {"access_token": "of the user"}, "last_refresh": "2026-01-01T00:00:00Z"},
            ".codex/history.json": {"x": "not for a run"},
        },
        "gemini": {
            ".gemini/oauth_creds.json": {"access_token": "of the user", "expiry_date": 5},
            ".gemini/settings.json": {"security": {"auth": {"selectedType": "cloud-shell"}}, "x": "not for a run"},
        },
    }[cli]
    for name, content in files.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(json.dumps(content))
    return [name for name, content in files.items() if "of the user" in json.dumps(content)]


@pytest.mark.parametrize("cli", CLIS)
def test_without_an_endpoint_the_user_s_login_is_copied_and_nothing_else_of_the_user(cli: str, tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)
    logins = log_in(cli, tmp_path / "user")

    launch = launched(cli, prompt)

    copied = [path for path, content in launch.files if "of the user" in content]
    assert sorted(map(os.path.basename, copied)) == sorted(map(os.path.basename, logins))
    assert not any("not for a run" in content for _, content in launch.files)
    assert not any("BASE_URL" in name for name, _ in launch.env)


@pytest.mark.parametrize("cli", CLIS)
def test_a_login_that_the_run_renewed_goes_home(cli: str, tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)
    login = tmp_path / "user" / log_in(cli, tmp_path / "user")[0]
    agent = agent_of(cli)
    launch = agent.launch(prompt)
    write_files(prompt, launch)
    private = next(path for path, _ in launch.files if os.path.basename(path) == login.name)
    renewed = Path(private).read_text().replace("of the user", "renewed")
    Path(private).write_text(renewed)

    agent.settle(prompt)

    assert login.read_text() == renewed


def test_the_user_s_own_way_of_logging_in_to_gemini_is_kept(tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)
    log_in("gemini", tmp_path / "user")

    assert settings_of("gemini", launched("gemini", prompt))["security"]["auth"]["selectedType"] == "cloud-shell"


def test_a_token_in_the_daemon_s_environment_logs_claude_in_only_without_an_endpoint(tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path, environment={"CLAUDE_CODE_OAUTH_TOKEN": "t"})

    assert dict(launched("claude", prompt).env)["CLAUDE_CODE_OAUTH_TOKEN"] == "t"
    assert "CLAUDE_CODE_OAUTH_TOKEN" not in dict(launched("claude", replace(prompt, endpoint=GATE)).env)


@pytest.mark.parametrize(
    ("cli", "autonomy", "has", "lacks"),
    [
        ("claude", "read-only", "--permission-mode=dontAsk", "Bash"),
        ("claude", "workspace", "--permission-mode=acceptEdits", "Write"),
        ("claude", "full", "--dangerously-skip-permissions", "--permission-mode"),
        ("codex", "read-only", "--sandbox=read-only", "bypass"),
        ("codex", "workspace", "--sandbox=workspace-write", "bypass"),
        ("codex", "full", "--sandbox=danger-full-access", "workspace-write"),
        ("gemini", "read-only", "--approval-mode=plan", "yolo"),
        ("gemini", "workspace", "--approval-mode=auto_edit", "yolo"),
        ("gemini", "full", "--approval-mode=yolo", "plan"),
    ],
)
def test_autonomy_is_the_cli_s_own_flag(cli: str, autonomy: str, has: str, lacks: str, tmp_path: Path) -> None:
    argv = launched(cli, prompt_in(tmp_path, autonomy=Autonomy(autonomy))).argv

    assert has in argv
    assert lacks not in " ".join(argv).replace("TodoWrite", "").replace(str(tmp_path), "")


def test_claude_is_told_that_it_is_confined_only_where_it_asks_for_nothing_as_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = prompt_in(tmp_path, autonomy=Autonomy.FULL)

    for user, expected in ((0, True), (1000, False)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert ("IS_SANDBOX" in dict(launched("claude", full).env)) is expected
        assert "IS_SANDBOX" not in dict(launched("claude", prompt_in(tmp_path)).env)


def test_gemini_may_use_its_shell_without_being_asked_in_the_workspace_alone(tmp_path: Path) -> None:
    for autonomy in Autonomy:
        launch = launched("gemini", prompt_in(tmp_path, autonomy=autonomy))
        ruled = [content for path, content in launch.files if path.endswith("policies/conductor.toml")]
        assert bool(ruled) is (autonomy is Autonomy.WORKSPACE)
    assert tomllib.loads(ruled[0] if ruled else "") == {}


@pytest.mark.parametrize(
    ("level", "argument", "tokens"),
    [("off", None, "0"), ("low", "--effort=low", "4096"), ("max", "--effort=max", "31999"), ("adaptive", None, None)],
)
def test_thinking_of_claude_is_an_effort_and_a_budget(
    level: str, argument: str | None, tokens: str | None, tmp_path: Path
) -> None:
    launch = launched("claude", prompt_in(tmp_path, thinking=level))

    assert [one for one in launch.argv if one.startswith("--effort")] == ([argument] if argument else [])
    assert dict(launch.env).get("MAX_THINKING_TOKENS") == tokens


@pytest.mark.parametrize(("level", "effort"), [("off", "none"), ("xhigh", "xhigh"), ("adaptive", None), ("", None)])
def test_thinking_of_codex_is_an_effort(level: str, effort: str | None, tmp_path: Path) -> None:
    launch = launched("codex", prompt_in(tmp_path, thinking=level))

    assert settings_of("codex", launch).get("model_reasoning_effort") == effort


@pytest.mark.parametrize(
    ("level", "configs"),
    [
        ("low", [{"thinkingBudget": 2048}, {"thinkingLevel": "LOW"}]),
        ("off", [{"thinkingBudget": 0}, {"thinkingLevel": "MINIMAL"}]),
        ("adaptive", [{"thinkingBudget": -1}]),
        ("", []),
    ],
)
def test_thinking_of_gemini_is_a_budget_for_old_models_and_a_level_for_new_ones(
    level: str, configs: list[dict[str, Any]], tmp_path: Path
) -> None:
    settings = settings_of("gemini", launched("gemini", prompt_in(tmp_path, thinking=level)))

    found = settings["modelConfigs"]["customOverrides"]
    assert [one["modelConfig"]["generateContentConfig"]["thinkingConfig"] for one in found] == configs


@pytest.mark.parametrize(("cli", "level"), [("claude", "huge"), ("codex", "--x"), ("gemini", "max")])
def test_a_thinking_level_that_the_agent_lacks_is_refused_with_those_it_has(
    cli: str, level: str, tmp_path: Path
) -> None:
    agent = agent_of(cli)

    with pytest.raises(BadTask, match=f"accepts {', '.join(agent.abilities.thinking)}"):
        agent.launch(prompt_in(tmp_path, thinking=level))


@pytest.mark.parametrize(
    ("cli", "asked", "expected"),
    [
        ("claude", "anthropic/claude-opus-4-6", "claude-opus-4-6"),
        ("claude", "opus", "opus"),
        ("codex", "openai/gpt-5", "gpt-5"),
        ("gemini", "gemini/gemini-2.5-pro", "gemini-2.5-pro"),
        ("codex", "meta/llama", "meta/llama"),
        ("codex", "x --full-auto", "x --full-auto"),
    ],
)
def test_a_model_loses_its_provider_and_stays_one_argument(cli: str, asked: str, expected: str, tmp_path: Path) -> None:
    assert f"--model={expected}" in launched(cli, prompt_in(tmp_path, model=asked)).argv


def test_the_provider_s_own_name_is_what_a_model_loses(tmp_path: Path) -> None:
    router = ProviderSetup("openrouter", "openai", "https://openrouter.ai/api")

    argv = launched("codex", prompt_in(tmp_path, model="openrouter/openai/gpt-5"), provider=router).argv

    assert "--model=openai/gpt-5" in argv


@pytest.mark.parametrize("cli", CLIS)
def test_the_setup_s_binary_model_and_turns_are_used(cli: str, tmp_path: Path) -> None:
    launch = launched(cli, prompt_in(tmp_path), binary="/opt/cli", model="m-1", options={"max_turns": 7})

    assert launch.argv[0] == "/opt/cli"
    assert "--model=m-1" in launch.argv
    if cli == "claude":
        assert "--max-turns=7" in launch.argv
    if cli == "gemini":
        assert settings_of(cli, launch)["model"] == {"maxSessionTurns": 7}


@pytest.mark.parametrize("cli", CLIS)
def test_an_agent_may_write_its_result_into_its_attempt_s_folder(cli: str, tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)

    assert any(argument.endswith(f"={prompt.attempt_directory}") for argument in launched(cli, prompt).argv)


def test_commands_of_codex_reach_the_network_only_where_the_settings_say_so(tmp_path: Path) -> None:
    for options, expected in (({}, False), ({"network": True}, True)):
        launch = launched("codex", prompt_in(tmp_path), options=options)
        assert settings_of("codex", launch)["sandbox_workspace_write"]["network_access"] is expected


@pytest.mark.parametrize("url", ['http://127.0.0.1:1/"\nx = "y', "http://127.0.0.1:1/\\"])
def test_an_address_can_not_become_a_setting_of_codex(url: str, tmp_path: Path) -> None:
    launch = launched("codex", prompt_in(tmp_path, endpoint=Endpoint(url, "k")))

    assert settings_of("codex", launch)["model_providers"]["conductor"]["base_url"] == f"{url}/v1"
