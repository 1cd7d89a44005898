"""Gemini CLI, headless: the prompt on standard input, its stream of JSON lines, settings of its own."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

from conductor.agents.asking import bare_model, chosen_level, prompt_file, prompt_path
from conductor.agents.gemini_events import GeminiReader
from conductor.agents.judgement import judge_told
from conductor.agents.private_home import shared_cache
from conductor.agents.private_state import Login, private_files, private_tmp, take_home
from conductor.agents.shape import PlainAgent
from conductor.domain.agent_events import Limit
from conductor.domain.agent_setup import Autonomy
from conductor.domain.failure import Failure, status_failure
from conductor.ports import Abilities, AgentReport, Ending, Launch, Prompt

_THINKING: dict[str, tuple[int | None, str]] = {
    "off": (0, "MINIMAL"),
    "minimal": (512, "MINIMAL"),
    "low": (2048, "LOW"),
    "medium": (8192, "MEDIUM"),
    "high": (24576, "HIGH"),
    "adaptive": (-1, ""),
}
"""Level: (tokens for 2.5 and older, the level's name for 3 and newer, which can't be turned off)."""

_APPROVAL = {Autonomy.READ_ONLY: "plan", Autonomy.WORKSPACE: "auto_edit", Autonomy.FULL: "yolo"}

_SHELL_RULE = '[[rule]]\ntoolName = "run_shell_command"\ndecision = "allow"\npriority = 100\n'
"""A policy of the user's folder, which old versions skip: the flag for it warns today and goes in 1.0."""

_LOGIN_VARIABLES = (
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_PROJECT_ID",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_APPLICATION_CREDENTIALS",
)

_EXITS = {
    41: Failure.BAD_KEY,
    42: Failure.BAD_REQUEST,
    44: Failure.BAD_CONFIG,
    52: Failure.BAD_CONFIG,
    53: Failure.BUDGET,
    55: Failure.BAD_CONFIG,
}
_STATUSES = {status % 256: status for status in (400, 401, 403, 404, 429, 500, 502, 503, 504, 529)}
"""Of an error of the API it makes the exit code modulo 256."""
_STATUS_SAID = re.compile(r"^\s*(?:status|code): (\d{3}),?$", re.MULTILINE)


class GeminiAgent(PlainAgent):
    """`read-only` is its plan mode: no shell, and files are written into its private folder alone. `workspace` edits
    files in the workspace and the attempt's folder alone, but the commands that it runs are confined by nothing except
    the user's own rights. `full` asks for nothing. In each of them the project's own `.gemini` settings are heeded,
    hooks and servers too, for it runs headless in trusted folders only.

    Option `max_turns`: the most turns of one run.
    """

    abilities = Abilities(
        stream=True,
        input_includes_cached=True,
        binary="gemini",
        forms=("gemini",),
        thinking=tuple(_THINKING),
        memory_bytes=240 << 20,
    )

    def launch(self, prompt: Prompt) -> Launch:
        model = bare_model(prompt, self.setup, "gemini")
        argv = (
            self.setup.binary or "gemini",
            "--output-format=stream-json",
            "--skip-trust",
            f"--approval-mode={_APPROVAL[prompt.autonomy]}",
            f"--include-directories={prompt.attempt_directory}",
            *((f"--model={model}",) if model else ()),
        )
        return Launch(
            argv, self._environment(prompt), (prompt_file(prompt), *self._files(prompt)), prompt_path(prompt), True
        )

    def reader(self) -> GeminiReader:
        return GeminiReader(time.time)

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        """Its own words first, then the status that its trace on standard error ends with, then the exit code."""
        report = judge_told(prompt, ending)
        if report.succeeded or report.failure not in (Failure.NONE, Failure.CUT):
            return report
        said = _STATUS_SAID.findall(ending.tail)
        status = int(said[-1]) if said else _STATUSES.get(ending.exit_code or 0)
        if status is not None:
            failure = status_failure(status, report.reason)
            limit = Limit(said=report.reason[:200]) if failure is Failure.LIMIT else None
            return replace(report, failure=failure, limit=limit)
        return replace(report, failure=_EXITS.get(ending.exit_code or 0, report.failure))

    def settle(self, prompt: Prompt) -> None:
        take_home(prompt, self._logins(prompt))

    def _home(self, prompt: Prompt) -> str:
        return f"{prompt.state_directory}/gemini"

    def _environment(self, prompt: Prompt) -> tuple[tuple[str, str], ...]:
        env = [
            ("GEMINI_CLI_HOME", self._home(prompt)),
            ("GEMINI_CLI_NO_RELAUNCH", "true"),  # relaunched it takes a second more and outlives a TERM
            ("NODE_COMPILE_CACHE", shared_cache(prompt, "node")),  # compiled code alone: a second less CPU a turn
            ("NO_BROWSER", "true"),
            ("TMPDIR", private_tmp(prompt)),
        ]
        if prompt.endpoint is not None:
            return (
                *env,
                ("GOOGLE_GEMINI_BASE_URL", prompt.endpoint.url),
                ("GEMINI_API_KEY", prompt.endpoint.key),
            )
        own = prompt.environment
        return (*env, *((name, own[name]) for name in _LOGIN_VARIABLES if name in own))

    def _files(self, prompt: Prompt) -> tuple[tuple[str, str], ...]:
        folder = f"{self._home(prompt)}/.gemini"
        settings = (f"{folder}/settings.json", json.dumps(self._settings(prompt), indent=1))
        rules = [(f"{folder}/policies/conductor.toml", _SHELL_RULE)] if prompt.autonomy is Autonomy.WORKSPACE else []
        return (settings, *rules, *private_files(prompt, self._logins(prompt)))

    def _settings(self, prompt: Prompt) -> dict[str, Any]:
        way = "gemini-api-key" if prompt.endpoint is not None else _login_way(prompt)
        turns = self.setup.options.get("max_turns")
        return {
            "security": {"auth": {"selectedType": way}},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 2},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
            "model": {"maxSessionTurns": int(turns)} if turns else {},
            "modelConfigs": {"customOverrides": self._overrides(prompt)},
        }

    def _overrides(self, prompt: Prompt) -> list[dict[str, Any]]:
        """Its thinking settings hang on families of models, whatever name one is asked for by."""
        tokens, level = chosen_level(prompt, self.setup, _THINKING, (None, ""))
        configs = (
            ("chat-base-2.5", {"thinkingBudget": tokens} if tokens is not None else {}),
            ("chat-base-3", {"thinkingLevel": level} if level else {}),
        )
        return [
            {"match": {"model": family}, "modelConfig": {"generateContentConfig": {"thinkingConfig": config}}}
            for family, config in configs
            if config
        ]

    def _logins(self, prompt: Prompt) -> tuple[Login, ...]:
        own = _own_folder(prompt)
        if prompt.endpoint is not None or not own:
            return ()
        private = f"{self._home(prompt)}/.gemini"
        return (
            Login(f"{own}/oauth_creds.json", f"{private}/oauth_creds.json", renewed=("expiry_date",)),
            Login(f"{own}/google_accounts.json", f"{private}/google_accounts.json"),
        )


def _own_folder(prompt: Prompt) -> str:
    home = prompt.environment.get("GEMINI_CLI_HOME") or prompt.environment.get("HOME", "")
    return f"{home}/.gemini" if home else ""


def _login_way(prompt: Prompt) -> str:
    """How the user logs in, as the user's own settings have it; by a Google account where they don't say."""
    try:
        with open(f"{_own_folder(prompt)}/settings.json", encoding="utf-8") as file:
            return str(json.load(file)["security"]["auth"]["selectedType"])
    except (OSError, ValueError, KeyError, TypeError):
        return "oauth-personal"
