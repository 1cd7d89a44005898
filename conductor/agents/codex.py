"""Codex, headless: `codex exec --json`, set up by a config.toml of its own."""

from __future__ import annotations

import json
import time

from conductor.agents.asking import bare_model, chosen_level, prompt_file, prompt_path
from conductor.agents.codex_events import CodexReader
from conductor.agents.judgement import judge_told
from conductor.agents.private_state import Login, private_files, private_tmp, take_home, user_folder
from conductor.agents.shape import PlainAgent
from conductor.domain.agent_setup import Autonomy
from conductor.ports import Abilities, AgentReport, Ending, Launch, Prompt

_EFFORTS = {
    "off": "none",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
    "adaptive": "",
}
"""Level: model_reasoning_effort. Which of them a model takes is known to its provider alone."""

_SANDBOX = {
    Autonomy.READ_ONLY: "read-only",
    Autonomy.WORKSPACE: "workspace-write",
    Autonomy.FULL: "danger-full-access",
}

_KEY_VARIABLE = "CODEX_PROVIDER_KEY"

_SETTINGS = """\
approval_policy = "never"
check_for_update_on_startup = false
model_provider = "conductor"
{more}
[model_providers.conductor]
{provider}
wire_api = "responses"
supports_websockets = false
request_max_retries = 1
stream_max_retries = 2

[sandbox_workspace_write]
network_access = {network}

[features]
daemon_auto_start = false
apps = false

[analytics]
enabled = false
"""
"""A provider of our own, for the built-in one tries WebSockets for ten seconds first and retries as it likes."""


class CodexAgent(PlainAgent):
    """`read-only` and `workspace` run each command in Codex's own sandbox: it reads all that the user may read, has no
    network, and writes nothing, or the workspace, the attempt's folder and temporary folders alone. `full` has no
    sandbox. What the sandbox refuses, only the model is told: the stream has no sign of it.

    Option `network: true`: commands in `workspace` reach the network.
    """

    abilities = Abilities(
        stream=True,
        limits=True,
        input_includes_cached=True,
        binary="codex",
        forms=("openai",),
        thinking=tuple(_EFFORTS),
        memory_bytes=150 << 20,
    )

    def launch(self, prompt: Prompt) -> Launch:
        model = bare_model(prompt, self.setup, "openai")
        argv = (
            self.setup.binary or "codex",
            "exec",
            "--json",
            "--color=never",
            "--skip-git-repo-check",
            "--ephemeral",
            f"--sandbox={_SANDBOX[prompt.autonomy]}",
            f"--cd={prompt.workspace}",
            f"--add-dir={prompt.attempt_directory}",
            *((f"--model={model}",) if model else ()),
            "-",
        )
        env = [("CODEX_HOME", self._home(prompt)), ("TMPDIR", private_tmp(prompt))]
        if prompt.endpoint is not None:
            env.append((_KEY_VARIABLE, prompt.endpoint.key))
        settings = (f"{self._home(prompt)}/config.toml", self._settings(prompt))
        files = (prompt_file(prompt), settings, *private_files(prompt, self._logins(prompt)))
        return Launch(argv, tuple(env), files, stdin=prompt_path(prompt), structured=True)

    def reader(self) -> CodexReader:
        return CodexReader(time.time)

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        return judge_told(prompt, ending)

    def settle(self, prompt: Prompt) -> None:
        take_home(prompt, self._logins(prompt))

    def _home(self, prompt: Prompt) -> str:
        return f"{prompt.state_directory}/codex"

    def _settings(self, prompt: Prompt) -> str:
        effort = chosen_level(prompt, self.setup, _EFFORTS, "")
        if prompt.endpoint is not None:
            provider = [
                'name = "conductor"',
                f"base_url = {json.dumps(f'{prompt.endpoint.url}/v1')}",
                f'env_key = "{_KEY_VARIABLE}"',
            ]
        else:
            provider = ['name = "OpenAI"', "requires_openai_auth = true"]
        return _SETTINGS.format(
            more=f"model_reasoning_effort = {json.dumps(effort)}\n" if effort else "",
            provider="\n".join(provider),
            network=json.dumps(bool(self.setup.options.get("network"))),
        )

    def _logins(self, prompt: Prompt) -> tuple[Login, ...]:
        folder = user_folder(prompt, "CODEX_HOME", ".codex")
        if prompt.endpoint is not None or not folder:
            return ()
        private = f"{self._home(prompt)}/auth.json"
        return (Login(f"{folder}/auth.json", private, renewed=("last_refresh",), account=("tokens", "account_id")),)
