"""How OpenCode is started: what it may do, where it keeps what, how it reaches its provider."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conductor.agents.opencode import OpenCodeAgent
from conductor.domain.agent_setup import Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.providers import KNOWN_PROVIDERS
from conductor.ports import Ending, Endpoint, Launch, Prompt
from tests.agents.prompts import prompt_in, setup, tally_of, write_files

GATE = Endpoint("http://127.0.0.1:4444", "worthless")
CLASSES = {"read", "edit", "bash", "task", "webfetch", "websearch", "external_directory", "question", "doom_loop"}


def agent(provider: str = "anthropic", **more: Any) -> OpenCodeAgent:
    return OpenCodeAgent(setup("opencode", provider=KNOWN_PROVIDERS[provider], **more))


def configuration(launch: Launch) -> dict[str, Any]:
    return json.loads(dict(launch.env)["OPENCODE_CONFIG_CONTENT"])  # type: ignore[no-any-return]


def option(launch: Launch, name: str) -> str:
    return launch.argv[launch.argv.index(name) + 1]


@pytest.fixture
def prompt(tmp_path: Path) -> Prompt:
    return prompt_in(tmp_path, "--help; rm -rf ~ $(reboot)", endpoint=GATE)


def test_the_prompt_is_standard_input_and_never_in_the_command(prompt: Prompt) -> None:
    launch = agent().launch(prompt)
    assert not any("reboot" in part for part in launch.argv)
    assert (launch.stdin, prompt.text) in launch.files


@pytest.mark.parametrize(
    ("provider", "identity", "suffix"),
    [
        ("anthropic", "anthropic", "/v1"),
        ("openai", "openai", "/v1"),
        ("openrouter", "conductor", "/v1"),
        ("gemini", "google", "/v1beta"),
    ],
)
def test_the_provider_is_reached_through_the_endpoint_in_its_own_form(
    prompt: Prompt, provider: str, identity: str, suffix: str
) -> None:
    launch = agent(provider).launch(replace(prompt, model=f"{provider}/some-model"))
    told = configuration(launch)
    assert told["enabled_providers"] == [identity]
    assert told["provider"][identity]["options"]["baseURL"] == GATE.url + suffix
    assert told["provider"][identity]["options"]["apiKey"] == GATE.key
    assert option(launch, "--model") == f"{identity}/some-model"
    assert list(told["provider"][identity]["models"]) == ["some-model"]


def test_without_a_model_it_takes_its_own(prompt: Prompt) -> None:
    assert "--model" not in agent().launch(prompt).argv


def test_a_thinking_level_that_it_has_not_is_refused_with_those_it_has(prompt: Prompt) -> None:
    assert option(agent().launch(replace(prompt, thinking="high")), "--variant") == "high"
    with pytest.raises(BadTask, match="minimal, low, medium, high, xhigh, max"):
        agent().launch(replace(prompt, thinking="adaptive"))


@pytest.mark.parametrize("autonomy", list(Autonomy))
def test_nothing_is_ever_asked(prompt: Prompt, autonomy: Autonomy) -> None:
    permission = configuration(agent().launch(replace(prompt, autonomy=autonomy)))["permission"]
    assert "ask" not in json.dumps(permission).replace('"task"', "")
    assert permission.keys() >= CLASSES or permission["*"] == "allow"


def test_reading_alone_leaves_no_tool_that_changes_or_runs(prompt: Prompt) -> None:
    permission = configuration(agent().launch(replace(prompt, autonomy=Autonomy.READ_ONLY)))["permission"]
    allowed = {name for name, action in permission.items() if action == "allow"}
    assert allowed == {"glob", "grep", "list", "lsp", "todowrite", "skill"}
    assert permission["read"]["*.env"] == "deny"


def test_the_workspace_confines_file_tools_and_full_does_not(prompt: Prompt) -> None:
    permission = configuration(agent().launch(prompt))["permission"]
    assert (permission["edit"], permission["external_directory"]) == ("allow", "deny")
    permission = configuration(agent().launch(replace(prompt, autonomy=Autonomy.FULL)))["permission"]
    assert permission["external_directory"] == "allow"


def test_a_repositorys_own_configuration_counts_only_where_everything_is_allowed(prompt: Prompt) -> None:
    assert "OPENCODE_DISABLE_PROJECT_CONFIG" in dict(agent().launch(prompt).env)
    everything = agent().launch(replace(prompt, autonomy=Autonomy.FULL))
    assert "OPENCODE_DISABLE_PROJECT_CONFIG" not in dict(everything.env)


def test_all_that_it_keeps_lies_in_the_attempts_own_state(prompt: Prompt) -> None:
    env = dict(agent().launch(prompt).env)
    for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        assert env[name].startswith(f"{prompt.state_directory}/"), name


def test_a_login_of_the_users_own_is_copied_and_a_renewed_one_taken_home(prompt: Prompt) -> None:
    user = Path(prompt.environment["HOME"])
    login, own = user / ".local/share/opencode/auth.json", user / ".config/opencode/opencode.json"
    for path, content in ((login, {"openai": {"type": "oauth", "refresh": "r1", "expires": 1}}), (own, {})):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    direct = replace(prompt, endpoint=None)
    launch = agent().launch(direct)
    write_files(direct, launch)
    assert dict(launch.env)["OPENCODE_CONFIG"] == str(own)
    assert "provider" not in configuration(launch)

    copied = Path(dict(launch.env)["XDG_DATA_HOME"]) / "opencode/auth.json"
    assert json.loads(copied.read_text())["openai"]["refresh"] == "r1"
    copied.write_text(json.dumps({"openai": {"type": "oauth", "refresh": "r2", "expires": 2}}))
    agent().settle(direct)
    assert json.loads(login.read_text())["openai"]["refresh"] == "r2"


def test_with_an_endpoint_no_login_is_copied(prompt: Prompt) -> None:
    login = Path(prompt.environment["HOME"]) / ".local/share/opencode/auth.json"
    login.parent.mkdir(parents=True)
    login.write_text('{"openai": {"refresh": "r1"}}')
    assert not any(path.endswith("auth.json") for path, _ in agent().launch(prompt).files)


def test_the_prompt_reaches_the_program_and_its_answer_comes_back(prompt: Prompt) -> None:
    program = Path(prompt.attempt_directory) / "opencode"
    program.write_text(
        "#!/bin/sh\n"
        'printf \'{"type":"step_start","sessionID":"s","part":{}}\\n\'\n'
        'printf \'{"type":"text","sessionID":"s","part":{"text":"%s"}}\\n\' "$(cat)"\n'
        'printf \'{"type":"step_finish","sessionID":"s","part":{"reason":"stop","tokens":{"input":3}}}\\n\'\n'
    )
    program.chmod(0o700)
    standing_in = agent(binary=str(program))
    launch = standing_in.launch(prompt)
    write_files(prompt, launch)
    with open(launch.stdin) as stdin:
        done = subprocess.run(
            launch.argv, env={**os.environ, **dict(launch.env)}, stdin=stdin, stdout=subprocess.PIPE, check=False
        )
    tally = tally_of(standing_in.reader(), done.stdout)
    report = standing_in.judge(prompt, Ending(done.returncode, None, done.stdout.decode(), tally))
    assert report.succeeded
    assert report.text == prompt.text
