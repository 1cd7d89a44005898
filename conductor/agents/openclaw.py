"""OpenClaw: one `openclaw agent exec` for each attempt, with a state, a home and a configuration of its own.

`agent exec` needs no gateway and shares no session lock. What its settings confine, truthfully: its file tools stay in
the workspace unless autonomy is `full`, which alone has the web; `read-only` leaves it tools that read and list,
nothing else; a shell command (`workspace`, `full`) has all the rights of the user who runs conductor.

Where conductor reaches the provider for it (a gate), the private HOME keeps one run's "key temporarily disabled" out
of the next. With a login of the user's own, its credentials are in a database under the user's home that OpenClaw
reads, refreshes and locks itself: then only the run's own state is private, and that memory is shared.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from conductor.agents.asking import bare_model, chosen_level, prompt_file, prompt_path
from conductor.agents.judgement import judge_told
from conductor.agents.openclaw_reader import OpenClawReader
from conductor.agents.private_home import home_folder, private_home, shared_cache
from conductor.agents.private_state import private_files, private_tmp
from conductor.agents.shape import PlainAgent
from conductor.domain.agent_setup import THINKING_LEVELS, Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.models import DEFAULT_ALIASES
from conductor.ports import Abilities, AgentReport, Ending, EventReader, Launch, Prompt

_EXEC = ("agent", "exec", "--json", "--message-file", "-", "--timeout", "0")
LONGEST_PROMPT = 4 * 1_048_576
"""Bytes that `--message-file` takes."""
_LEVELS = ("off", "minimal", "low", "medium", "high")
"""That a model has which OpenClaw knows only from our configuration."""
_PROVIDER = "conductor"
_DEFAULT_MODELS = {"anthropic": DEFAULT_ALIASES["primary"]["anthropic"], "openai": DEFAULT_ALIASES["primary"]["codex"]}
"""By provider: OpenClaw has no model of its own for a provider that it knows only from our configuration."""
_JOINED = 'exec "$@" 2>&1'
"""Its log tells why a model call failed, its result hides it: both go to the reader."""
_READ = ["read", "ls"]
_WRITE = ["write", "edit", "apply_patch"]
_RUN = ["exec", "process"]
_NEVER = ["group:messaging", "group:automation", "group:nodes", "group:ui", "group:sessions", "group:media", "ask_user"]
"""For an assistant that has a person and channels beside it."""


class OpenClawAgent(PlainAgent):
    """Options in the settings: `context_window` and `max_tokens` of the model, `retries` of a failed model call by
    OpenClaw itself (none: it sleeps through a limit's whole time)."""

    abilities = Abilities(
        stream=False,
        usage=False,
        limits=True,
        binary="openclaw",
        forms=("anthropic", "openai", "gemini"),
        thinking=THINKING_LEVELS,
        memory_bytes=750 * 1_048_576,  # a short turn without a shell peaked at 593 MB
    )

    def launch(self, prompt: Prompt) -> Launch:
        _check_length(prompt)
        state = prompt.state_directory
        binary = self.setup.binary or prompt.environment.get("OPENCLAW_BIN", "") or "openclaw"
        model, thinking = self._model(prompt), self._thinking(prompt)
        command = [binary, *_EXEC, "--cwd", prompt.workspace]
        command += ["--state-dir", f"{state}/openclaw", "--config", f"{state}/openclaw.json"]
        command += ["--model", model] if model else []
        command += ["--thinking", thinking] if thinking else []
        return Launch(
            argv=("/bin/sh", "-c", _JOINED, "sh", *command),
            env=self._environment(prompt),
            files=(
                prompt_file(prompt),
                (f"{state}/openclaw.json", json.dumps(self._configuration(prompt), indent=1)),
                (f"{state}/openclaw/agents/main/agent/settings.json", json.dumps(self._session_settings())),
                home_folder(prompt),
                *private_files(prompt),
            ),
            stdin=prompt_path(prompt),
            structured=True,
        )

    def reader(self) -> EventReader:
        return OpenClawReader(time.time)

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        return judge_told(prompt, ending)

    def _model(self, prompt: Prompt) -> str:
        if prompt.endpoint is None:
            return prompt.model or self.setup.model
        return f"{_PROVIDER}/{self._provider_model(prompt)}"

    def _provider_model(self, prompt: Prompt) -> str:
        name = self.setup.provider.name if self.setup.provider else ""
        model = bare_model(prompt, self.setup, name) or _DEFAULT_MODELS.get(name, "")
        if not model:
            raise BadTask(f"openclaw has no model of its own for {name or 'this provider'}: name one, with --model")
        return model

    def _thinking(self, prompt: Prompt) -> str:
        levels = _LEVELS if prompt.endpoint is not None else THINKING_LEVELS
        return chosen_level(prompt, self.setup, {level: level for level in levels}, "")

    def _environment(self, prompt: Prompt) -> tuple[tuple[str, str], ...]:
        quick = (
            ("NODE_COMPILE_CACHE", shared_cache(prompt, "node")),  # without it 41 MB of source are compiled each time
            ("OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED", "1"),  # else it starts itself anew with a cache below ours
            ("OPENCLAW_NO_RESPAWN", "1"),
            ("OPENCLAW_OFFLINE", "1"),
            ("DO_NOT_TRACK", "1"),
        )
        if prompt.endpoint is not None:
            state = ("OPENCLAW_STATE_DIR", f"{prompt.state_directory}/home/.openclaw")
            return (*private_home(prompt), state, *quick)
        return (
            ("TMPDIR", private_tmp(prompt)),
            ("OPENCLAW_STATE_DIR", _users_state(prompt.environment)),
            ("OPENCLAW_INCLUDE_ROOTS", os.path.dirname(_users_configuration(prompt.environment))),
            *quick,
        )

    def _configuration(self, prompt: Prompt) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "tools": _tools(prompt.autonomy),
            "skills": {"allowBundled": []},
            "update": {"checkOnStart": False},
            "session": {"maintenance": {"mode": "warn"}},  # two threads for the upkeep of a store that is thrown away
        }
        if prompt.endpoint is None:
            users = _users_configuration(prompt.environment)
            return {**({"$include": users} if os.path.exists(users) else {}), **ours}
        defaults = {
            "model": {"primary": self._model(prompt)},
            "skipBootstrap": True,
            "skills": [],
            "utilityModel": "",
        }
        return {
            **ours,
            "agents": {"defaults": defaults},
            "plugins": {"enabled": False},
            "models": {"mode": "replace", "providers": {_PROVIDER: self._provider(prompt)}},
        }

    def _provider(self, prompt: Prompt) -> dict[str, Any]:
        assert prompt.endpoint is not None
        form = self.setup.provider.form if self.setup.provider else "anthropic"
        name = self.setup.provider.name if self.setup.provider else ""
        api, suffix = _API[form] if (form, name) != ("openai", "openai") else ("openai-responses", "/v1")
        model = self._provider_model(prompt)
        return {
            "baseUrl": prompt.endpoint.url + suffix,
            "api": api,
            "apiKey": prompt.endpoint.key,
            "models": [
                {
                    "id": model,
                    "name": model,
                    "reasoning": self._thinking(prompt) not in ("", "off"),
                    "input": ["text"],
                    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
                    "contextWindow": int(self.setup.options.get("context_window", 200_000)),
                    "maxTokens": int(self.setup.options.get("max_tokens", 32_000)),
                }
            ],
        }

    def _session_settings(self) -> dict[str, Any]:
        return {"retry": {"provider": {"maxRetries": int(self.setup.options.get("retries", 0))}}}


_API = {
    "anthropic": ("anthropic-messages", ""),
    "openai": ("openai-completions", "/v1"),
    "gemini": ("google-generative-ai", "/v1beta"),
}


def _check_length(prompt: Prompt) -> None:
    size = len(prompt_file(prompt)[1].encode("utf-8", "surrogatepass"))
    if size > LONGEST_PROMPT:
        raise BadTask(f"the prompt has {size} bytes, openclaw takes at most {LONGEST_PROMPT}: put the rest into files")


def _tools(autonomy: Autonomy) -> dict[str, Any]:
    """Allow and deny both, so that a configuration of the user's own, which lists are joined to, can't widen them."""
    if autonomy is Autonomy.FULL:
        return {"profile": "coding", "deny": _NEVER, "fs": {"workspaceOnly": False}, "exec": {"mode": "full"}}
    confined = {
        "profile": "coding",
        "fs": {"workspaceOnly": True},
        "loopDetection": {"enabled": True},
        "toolSearch": {"enabled": False},  # there are few enough to be told
    }
    if autonomy is Autonomy.READ_ONLY:
        return {**confined, "allow": _READ, "deny": [*_NEVER, *_WRITE, *_RUN, "group:web"]}
    return {**confined, "allow": [*_READ, *_WRITE, *_RUN], "deny": _NEVER, "exec": {"mode": "full"}}


def _users_state(environment: Mapping[str, str]) -> str:
    return environment.get("OPENCLAW_STATE_DIR", "") or f"{environment.get('HOME', '')}/.openclaw"


def _users_configuration(environment: Mapping[str, str]) -> str:
    return environment.get("OPENCLAW_CONFIG_PATH", "") or f"{_users_state(environment)}/openclaw.json"
