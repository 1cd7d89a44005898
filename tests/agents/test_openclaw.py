"""How OpenClaw is started: what it may do, where it keeps what, how it reaches its provider."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conductor.agents.openclaw import LONGEST_PROMPT, OpenClawAgent
from conductor.domain.agent_setup import Autonomy, ProviderSetup
from conductor.domain.errors import BadTask
from conductor.domain.failure import Failure
from conductor.domain.providers import KNOWN_PROVIDERS
from conductor.ports import AgentReport, Ending, Endpoint, Launch, Prompt
from tests.agents.prompts import prompt_in, setup, tally_of, write_files

GATE = Endpoint("http://127.0.0.1:4444", "worthless")


def agent(provider: str = "anthropic", **more: Any) -> OpenClawAgent:
    return OpenClawAgent(setup("openclaw", provider=KNOWN_PROVIDERS[provider], **more))


def configuration(launch: Launch) -> dict[str, Any]:
    return json.loads(next(content for path, content in launch.files if path.endswith("/openclaw.json")))  # type: ignore[no-any-return]


def provider_of(launch: Launch) -> dict[str, Any]:
    return configuration(launch)["models"]["providers"]["conductor"]  # type: ignore[no-any-return]


def option(launch: Launch, name: str) -> str:
    return launch.argv[launch.argv.index(name) + 1]


@pytest.fixture
def prompt(tmp_path: Path) -> Prompt:
    return prompt_in(tmp_path, "--help; rm -rf ~ $(reboot)", endpoint=GATE)


def test_the_prompt_is_standard_input_and_never_in_the_command(prompt: Prompt) -> None:
    launch = agent().launch(prompt)
    assert not any("reboot" in part for part in launch.argv)
    assert (launch.stdin, prompt.text) in launch.files
    assert option(launch, "--message-file") == "-"


def test_a_prompt_that_begins_like_a_command_is_said_to_be_a_task(tmp_path: Path) -> None:
    launch = agent().launch(prompt_in(tmp_path, "/new forget it", endpoint=GATE))
    assert dict(launch.files)[launch.stdin] == "The task:\n/new forget it"


def test_a_longer_prompt_than_it_takes_is_refused_at_once(prompt: Prompt) -> None:
    with pytest.raises(BadTask, match=str(LONGEST_PROMPT)):
        agent().launch(replace(prompt, text="x" * (LONGEST_PROMPT + 1)))


@pytest.mark.parametrize(
    ("provider", "api", "suffix"),
    [
        ("anthropic", "anthropic-messages", ""),
        ("openai", "openai-responses", "/v1"),
        ("openrouter", "openai-completions", "/v1"),
        ("gemini", "google-generative-ai", "/v1beta"),
    ],
)
def test_the_provider_is_reached_through_the_endpoint_in_its_own_form(
    prompt: Prompt, provider: str, api: str, suffix: str
) -> None:
    told = provider_of(agent(provider).launch(replace(prompt, model="some-model")))
    assert (told["api"], told["baseUrl"], told["apiKey"]) == (api, GATE.url + suffix, GATE.key)


def test_the_model_is_the_provider_s_own_name_for_it(prompt: Prompt) -> None:
    launch = agent().launch(replace(prompt, model="anthropic/claude-x"))
    assert option(launch, "--model") == "conductor/claude-x"
    assert provider_of(launch)["models"][0]["id"] == "claude-x"
    launch = agent("openrouter").launch(replace(prompt, model="openrouter/anthropic/claude-x"))
    assert provider_of(launch)["models"][0]["id"] == "anthropic/claude-x"


def test_a_model_must_be_named_where_nobody_knows_one(prompt: Prompt) -> None:
    assert provider_of(agent().launch(prompt))["models"][0]["id"].startswith("claude-")
    with pytest.raises(BadTask, match="ollama"):
        agent("ollama").launch(prompt)


def test_a_thinking_level_that_it_has_not_is_refused_with_those_it_has(prompt: Prompt) -> None:
    assert option(agent().launch(replace(prompt, thinking="high")), "--thinking") == "high"
    assert option(agent(thinking="low").launch(prompt), "--thinking") == "low"
    with pytest.raises(BadTask, match="off, minimal, low, medium, high"):
        agent().launch(replace(prompt, thinking="xhigh"))


def test_a_model_thinks_only_where_it_was_asked_to(prompt: Prompt) -> None:
    for thinking, reasons in (("", False), ("off", False), ("low", True)):
        assert provider_of(agent().launch(replace(prompt, thinking=thinking)))["models"][0]["reasoning"] is reasons


def test_reading_alone_leaves_no_tool_that_changes_or_runs(prompt: Prompt) -> None:
    tools = configuration(agent().launch(replace(prompt, autonomy=Autonomy.READ_ONLY)))["tools"]
    assert tools["allow"] == ["read", "ls"]
    assert {"write", "edit", "apply_patch", "exec", "process"} <= set(tools["deny"])
    assert tools["fs"] == {"workspaceOnly": True}


def test_the_workspace_confines_file_tools_and_full_does_not(prompt: Prompt) -> None:
    tools = configuration(agent().launch(prompt))["tools"]
    assert tools["fs"] == {"workspaceOnly": True}
    assert "exec" in tools["allow"]
    tools = configuration(agent().launch(replace(prompt, autonomy=Autonomy.FULL)))["tools"]
    assert tools["fs"] == {"workspaceOnly": False}


def test_all_that_it_keeps_lies_in_the_attempts_own_state(prompt: Prompt) -> None:
    launch = agent().launch(prompt)
    env = dict(launch.env)
    for name in ("HOME", "TMPDIR", "OPENCLAW_STATE_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        assert env[name].startswith(f"{prompt.state_directory}/"), name
    assert option(launch, "--state-dir").startswith(f"{prompt.state_directory}/")
    assert all(path.startswith(f"{prompt.state_directory}/") for path, _ in launch.files)


def test_only_compiled_code_is_shared_by_attempts(prompt: Prompt) -> None:
    there = replace(prompt, attempt_directory="/home/x/tasks/t-1/2")
    assert dict(agent().launch(there).env)["NODE_COMPILE_CACHE"] == "/home/x/cache/node"


def test_git_still_knows_who_commits(prompt: Prompt) -> None:
    assert "GIT_CONFIG_GLOBAL" not in dict(agent().launch(prompt).env)
    own = Path(prompt.environment["HOME"]) / ".gitconfig"
    own.write_text("[user]\nname = Somebody\n")
    assert dict(agent().launch(prompt).env)["GIT_CONFIG_GLOBAL"] == str(own)


def test_it_does_not_retry_by_itself_unless_the_settings_say_so(prompt: Prompt) -> None:
    def retries(**options: Any) -> int:
        launch = agent(options=options).launch(prompt)
        told = next(content for path, content in launch.files if path.endswith("/main/agent/settings.json"))
        return int(json.loads(told)["retry"]["provider"]["maxRetries"])

    assert retries() == 0
    assert retries(retries=3) == 3


def test_a_login_of_the_users_own_is_used_where_it_is(prompt: Prompt) -> None:
    state = Path(prompt.environment["HOME"]) / ".openclaw"
    state.mkdir()
    (state / "openclaw.json").write_text("{}")
    launch = agent().launch(replace(prompt, endpoint=None, model="openai/gpt-x", autonomy=Autonomy.READ_ONLY))
    assert dict(launch.env)["OPENCLAW_STATE_DIR"] == str(state)
    assert "HOME" not in dict(launch.env)
    told = configuration(launch)
    assert told["$include"] == str(state / "openclaw.json")
    assert "exec" in told["tools"]["deny"]
    assert "models" not in told
    assert option(launch, "--model") == "openai/gpt-x"


def test_its_program_is_the_settings_then_the_environments_then_the_paths(prompt: Prompt) -> None:
    def program(environment: dict[str, str], **more: Any) -> str:
        return agent(**more).launch(replace(prompt, environment=environment)).argv[4]

    assert program({"HOME": "/u"}) == "openclaw"
    assert program({"HOME": "/u", "OPENCLAW_BIN": "/opt/oc"}) == "/opt/oc"
    assert program({"HOME": "/u", "OPENCLAW_BIN": "/opt/oc"}, binary="/mine") == "/mine"


def run(prompt: Prompt, script: str) -> AgentReport:
    """Runs a stand-in in the place of OpenClaw as a worker would, and judges its end."""
    program = Path(prompt.attempt_directory) / "openclaw"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    standing_in = agent(binary=str(program))
    launch = standing_in.launch(prompt)
    write_files(prompt, launch)
    with open(launch.stdin) as stdin:
        done = subprocess.run(
            launch.argv, env={**os.environ, **dict(launch.env)}, stdin=stdin, stdout=subprocess.PIPE, check=False
        )
    tally = tally_of(standing_in.reader(), done.stdout)
    return standing_in.judge(prompt, Ending(done.returncode, None, done.stdout.decode(), tally))


def test_the_prompt_reaches_the_program_and_its_answer_comes_back(prompt: Prompt) -> None:
    answer = '{"ok": true, "status": "ok", "final": "%s", "sessionId": "s"}'
    report = run(prompt, f"printf '{answer}' \"$(cat)\"")
    assert report.succeeded
    assert report.text == prompt.text


def test_what_it_logs_explains_its_failure(prompt: Prompt) -> None:
    log = "[x] decision=candidate_failed reason=rate_limit next=none detail=429; Retry-After: 9 seconds"
    result = '{"ok": false, "status": "error", "error": {"message": "later"}}'
    report = run(prompt, f"echo '{log}' >&2; echo '{result}'; exit 1")
    assert report.failure is Failure.LIMIT
    assert report.limit is not None
    assert report.limit.resets_at is not None


def test_a_program_that_is_not_there_is_a_failure_with_a_reason(prompt: Prompt) -> None:
    missing = agent(binary="/nowhere/openclaw").launch(prompt)
    done = subprocess.run(missing.argv, stdout=subprocess.PIPE, check=False)
    ending = Ending(done.returncode, None, done.stdout.decode(), tally_of(agent().reader(), done.stdout))
    report = agent().judge(prompt, ending)
    assert not report.succeeded
    assert "/nowhere/openclaw" in report.reason


def test_a_provider_of_another_name_has_its_own_form(prompt: Prompt) -> None:
    other = OpenClawAgent(setup("openclaw", provider=ProviderSetup("mine", "anthropic", "https://mine.example")))
    assert provider_of(other.launch(replace(prompt, model="m")))["api"] == "anthropic-messages"
