"""OpenCode: one `opencode run` for each attempt, with folders of its own for all that it keeps.

OpenCode has no sandbox. What its permissions confine, truthfully: its file tools stay in the workspace unless autonomy
is `full`; `read-only` leaves it tools that read and search, no shell, no web; a shell command (`workspace`, `full`) has
all the rights of the user who runs conductor. Every class of permission is said: one that would be asked about hangs.

It tries a failed call five times more by itself (40 to 90 s; nothing can be configured) and sleeps through a limit's
`retry-after` without a word, were it an hour: until it gives up, only the gate knows.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from conductor.agents.asking import bare_model, chosen_level, prompt_file, prompt_path
from conductor.agents.judgement import judge_told
from conductor.agents.opencode_reader import OpenCodeReader
from conductor.agents.private_home import home_folder, private_home
from conductor.agents.private_state import Login, private_files, take_home, user_folder
from conductor.agents.shape import PlainAgent
from conductor.domain.agent_setup import Autonomy
from conductor.ports import Abilities, AgentReport, Ending, EventReader, Launch, Prompt

_RUN = ("run", "--format", "json", "--agent", "build")
_LEVELS = ("minimal", "low", "medium", "high", "xhigh", "max")
"""Its variants of a model. One that the model does not have is left out by OpenCode without a word."""
_LONGEST_SILENCE_MS = 180_000
"""Between two pieces of a model's answer: without it a cut stream hangs it for five minutes."""
_SECRETS = {"*": "allow", "*.env": "deny", "*.env.*": "deny", "*.env.example": "allow"}
_SILENT = "AUTOUPDATE MODELS_FETCH LSP_DOWNLOAD SHARE CLAUDE_CODE EXTERNAL_SKILLS EMBEDDED_WEB_UI PRUNE DEFAULT_PLUGINS"
"""What of OPENCODE_DISABLE_... is set: nothing but the model is asked over the network."""


class OpenCodeAgent(PlainAgent):
    """Tells usage and cost after each step, and a failed call's status and headers."""

    abilities = Abilities(
        stream=True,
        usage=True,
        limits=True,
        binary="opencode",
        forms=("anthropic", "openai", "gemini"),
        thinking=_LEVELS,
        memory_bytes=590 * 1_048_576,
    )

    def launch(self, prompt: Prompt) -> Launch:
        model, thinking = self._model(prompt), chosen_level(prompt, self.setup, {level: level for level in _LEVELS}, "")
        options = ["--model", model] if model else []
        options += ["--variant", thinking] if thinking else []
        binary = self.setup.binary or "opencode"
        return Launch(
            # a title of ours saves the model call that would make one
            argv=(binary, *_RUN, "--title", prompt.spec.id, "--dir", prompt.workspace, *options),
            env=self._environment(prompt),
            files=(prompt_file(prompt), home_folder(prompt), *private_files(prompt, _logins(prompt))),
            stdin=prompt_path(prompt),
            structured=True,
        )

    def reader(self) -> EventReader:
        return OpenCodeReader(time.time)

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        return judge_told(prompt, ending)

    def settle(self, prompt: Prompt) -> None:
        take_home(prompt, _logins(prompt))

    def _model(self, prompt: Prompt) -> str:
        """`provider/model`, the provider by OpenCode's name for it; empty: its own default."""
        asked = prompt.model or self.setup.model
        if prompt.endpoint is None or not asked:
            return asked
        return f"{self._provider_id()}/{bare_model(prompt, self.setup, self._provider_id())}"

    def _provider_id(self) -> str:
        provider = self.setup.provider
        form, name = (provider.form, provider.name) if provider else ("anthropic", "")
        if form == "openai" and name != "openai":
            return "conductor"
        return "google" if form == "gemini" else form

    def _environment(self, prompt: Prompt) -> tuple[tuple[str, str], ...]:
        project = () if prompt.autonomy is Autonomy.FULL else (("OPENCODE_DISABLE_PROJECT_CONFIG", "1"),)
        return (
            *private_home(prompt),
            *((f"OPENCODE_DISABLE_{name}", "1") for name in _SILENT.split()),
            *project,  # a repository's own configuration could start programs and move the provider
            *(() if prompt.endpoint is not None else self._users_configuration(prompt)),
            ("OPENCODE_CONFIG_CONTENT", json.dumps(self._configuration(prompt))),
        )

    def _users_configuration(self, prompt: Prompt) -> tuple[tuple[str, str], ...]:
        folder = user_folder(prompt, "XDG_CONFIG_HOME", ".config")
        paths = [prompt.environment.get("OPENCODE_CONFIG", "")]
        paths += [f"{folder}/opencode/{name}" for name in ("opencode.jsonc", "opencode.json", "config.json")]
        return next(((("OPENCODE_CONFIG", path),) for path in paths if path and os.path.exists(path)), ())

    def _configuration(self, prompt: Prompt) -> dict[str, Any]:
        """Wins over every other configuration. Permissions count in the order of their names, and a name that the
        user's own has too stays where it stands there: an agent's own come after all of those."""
        permission = _permission(prompt.autonomy)
        ours: dict[str, Any] = {
            "autoupdate": False,
            "share": "disabled",
            "snapshot": False,
            "permission": permission,
            "agent": {name: {"permission": permission} for name in ("build", "general")},
        }
        if prompt.endpoint is None:
            return ours
        identity = self._provider_id()
        model = self._model(prompt)
        provider: dict[str, Any] = {
            "options": {
                "baseURL": prompt.endpoint.url + ("/v1beta" if identity == "google" else "/v1"),
                "apiKey": prompt.endpoint.key,
                "chunkTimeout": _LONGEST_SILENCE_MS,
            },
        }
        if identity == "conductor":
            provider.update(npm="@ai-sdk/openai-compatible", name="conductor")
        if model:
            provider["models"] = {model.partition("/")[2]: {}}
            ours["small_model"] = model
        return {**ours, "enabled_providers": [identity], "provider": {identity: provider}}


def _logins(prompt: Prompt) -> tuple[Login, ...]:
    """The user's, where the agent finds its own way to its provider."""
    users = user_folder(prompt, "XDG_DATA_HOME", ".local/share")
    if prompt.endpoint is not None or not users:
        return ()
    private = f"{prompt.state_directory}/data/opencode/auth.json"
    return (Login(f"{users}/opencode/auth.json", private, renewed=("*", "expires")),)


def _permission(autonomy: Autonomy) -> dict[str, Any]:
    if autonomy is Autonomy.FULL:
        return {"*": "allow", "external_directory": "allow", "question": "deny", "doom_loop": "deny"}
    reading = dict.fromkeys(("glob", "grep", "list", "lsp", "todowrite", "skill"), "allow")
    refused = dict.fromkeys(("*", "external_directory", "question", "doom_loop"), "deny")
    may = "allow" if autonomy is Autonomy.WORKSPACE else "deny"
    changing = dict.fromkeys(("edit", "bash", "task", "webfetch", "websearch"), may)
    return {**refused, "read": _SECRETS, **reading, **changing}
