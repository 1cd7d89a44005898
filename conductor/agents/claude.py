"""Claude Code, headless: `claude -p` with its stream of JSON lines."""

from __future__ import annotations

import os

from conductor.agents.asking import bare_model, chosen_level, prompt_file, prompt_path
from conductor.agents.claude_events import ClaudeReader
from conductor.agents.judgement import judge_told
from conductor.agents.private_state import Login, private_files, private_tmp, take_home, user_folder
from conductor.agents.shape import PlainAgent
from conductor.domain.agent_setup import Autonomy
from conductor.ports import Abilities, AgentReport, Ending, Launch, Prompt

_LEVELS: dict[str, tuple[str, str]] = {
    "off": ("", "0"),
    "minimal": ("low", "1024"),
    "low": ("low", "4096"),
    "medium": ("medium", "10000"),
    "high": ("high", "31999"),
    "xhigh": ("xhigh", "31999"),
    "max": ("max", "31999"),
    "adaptive": ("", ""),
}
"""Level: (--effort, MAX_THINKING_TOKENS). Newer models heed the effort and older ones the tokens; each ignores the
other, but for 0, which all heed."""

_POINTLESS = "CronCreate,CronDelete,CronList,ScheduleWakeup,EnterWorktree,ExitWorktree,AskUserQuestion"
"""Tools that make no sense in a run that answers once and ends."""

_AUTONOMY = {
    Autonomy.READ_ONLY: (
        "--permission-mode=dontAsk",
        "--tools=Read,Glob,Grep,WebFetch,WebSearch,Task,TodoWrite",
        "--allowedTools=WebFetch,WebSearch",
        "--setting-sources=user",
        "--strict-mcp-config",
    ),
    Autonomy.WORKSPACE: (
        "--permission-mode=acceptEdits",
        "--allowedTools=Bash,WebFetch,WebSearch,Skill",
        f"--disallowedTools={_POINTLESS}",
    ),
    Autonomy.FULL: ("--dangerously-skip-permissions", f"--disallowedTools={_POINTLESS}"),
}

_QUIET = (
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1"),
    ("CLAUDE_CODE_MAX_RETRIES", "2"),
)
"""Nothing asked but the model. Two retries live through a hiccup; what is longer the queue does better."""


class ClaudeAgent(PlainAgent):
    """`read-only` has no tool that writes or runs anything, and heeds no settings, hooks or servers of the project.
    `workspace` edits files inside the workspace and the attempt's folder alone, but the commands that it runs there are
    confined by nothing except the user's own rights. `full` asks for nothing.

    Option `max_turns`: the most turns of one run.
    """

    abilities = Abilities(
        stream=True,
        usage=True,
        limits=True,
        binary="claude",
        forms=("anthropic",),
        thinking=tuple(_LEVELS),
        memory_bytes=220 << 20,
    )

    def launch(self, prompt: Prompt) -> Launch:
        effort, tokens = chosen_level(prompt, self.setup, _LEVELS, ("", ""))
        return Launch(
            argv=(*self._command(prompt), *((f"--effort={effort}",) if effort else ())),
            env=(*self._environment(prompt), *((("MAX_THINKING_TOKENS", tokens),) if tokens else ())),
            files=(prompt_file(prompt), *private_files(prompt, self._logins(prompt))),
            stdin=prompt_path(prompt),
            structured=True,
        )

    def reader(self) -> ClaudeReader:
        return ClaudeReader()

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        return judge_told(prompt, ending)

    def settle(self, prompt: Prompt) -> None:
        take_home(prompt, self._logins(prompt))

    def _command(self, prompt: Prompt) -> tuple[str, ...]:
        model = bare_model(prompt, self.setup, "anthropic")
        turns = self.setup.options.get("max_turns")
        return (
            self.setup.binary or "claude",
            "--print",
            "--output-format=stream-json",
            "--verbose",
            "--include-partial-messages",
            "--no-session-persistence",
            f"--add-dir={prompt.attempt_directory}",
            *_AUTONOMY[prompt.autonomy],
            *((f"--model={model}",) if model else ()),
            *((f"--max-turns={int(turns)}",) if turns else ()),
        )

    def _environment(self, prompt: Prompt) -> tuple[tuple[str, str], ...]:
        env = [*_QUIET, ("CLAUDE_CONFIG_DIR", f"{prompt.state_directory}/claude"), ("TMPDIR", private_tmp(prompt))]
        if prompt.endpoint is not None:
            env += [("ANTHROPIC_BASE_URL", prompt.endpoint.url), ("ANTHROPIC_API_KEY", prompt.endpoint.key)]
        elif token := prompt.environment.get("CLAUDE_CODE_OAUTH_TOKEN"):
            env.append(("CLAUDE_CODE_OAUTH_TOKEN", token))
        if prompt.autonomy is Autonomy.FULL and os.geteuid() == 0:
            env.append(("IS_SANDBOX", "1"))  # else it refuses to skip permissions as root
        return tuple(env)

    def _logins(self, prompt: Prompt) -> tuple[Login, ...]:
        """What logs the user in, when there is no endpoint: the token, and whose account it is."""
        folder = user_folder(prompt, "CLAUDE_CONFIG_DIR", ".claude")
        if prompt.endpoint is not None or not folder:
            return ()
        private = f"{prompt.state_directory}/claude"
        beside = user_folder(prompt, "CLAUDE_CONFIG_DIR", ".")
        return (
            Login(
                f"{folder}/.credentials.json", f"{private}/.credentials.json", renewed=("claudeAiOauth", "expiresAt")
            ),
            Login(
                f"{beside}/.claude.json",
                f"{private}/.claude.json",
                keys=("oauthAccount", "userID", "hasCompletedOnboarding"),
            ),
        )
