"""What of an agent is on this machine: its program and its version, and the login that its user made."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from conductor.domain.agent_setup import AgentSetup

PROBE_SECONDS = 30.0
"""For all programs together: the slowest one known takes 3 s on a quiet machine."""

_MOST_OUTPUT = 4096
_VERSION = re.compile(r"\d+(?:\.\d+)+[A-Za-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class Login:
    """Where a program keeps its user's login: `file` in the folder that `variable` names, else in HOME's `folder`."""

    variable: str
    folder: str
    file: str
    tokens: tuple[str, ...] = ()
    """Variables that log in by themselves."""


PROGRAMS = {"claude": "claude", "codex": "codex", "gemini": "gemini", "opencode": "opencode", "openclaw": "openclaw"}
"""What the programs of the kinds known here are called."""

LOGINS = {
    "claude": Login("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json", ("CLAUDE_CODE_OAUTH_TOKEN",)),
    "codex": Login("CODEX_HOME", ".codex", "auth.json"),
    "gemini": Login("GEMINI_CLI_HOME", "", ".gemini/oauth_creds.json"),
    "opencode": Login("XDG_DATA_HOME", ".local/share", "opencode/auth.json"),
    "openclaw": Login("OPENCLAW_STATE_DIR", ".openclaw", "openclaw.json"),
}

INSTALL = {
    "claude": "npm install -g @anthropic-ai/claude-code",
    "codex": "npm install -g @openai/codex",
    "gemini": "npm install -g @google/gemini-cli",
    "opencode": "npm install -g opencode-ai",
    "openclaw": "npm install -g openclaw   # needs Node 24",
}


def program_of(setup: AgentSetup, declared: str, environment: Mapping[str, str]) -> str:
    """The name or path under which `setup`'s program is looked for; empty where its kind has none. `declared` is the
    adapter's own word (`Abilities.binary`)."""
    if setup.binary:
        return setup.binary
    if setup.kind == "openclaw" and environment.get("OPENCLAW_BIN"):
        return environment["OPENCLAW_BIN"]
    return declared or PROGRAMS.get(setup.kind, "")


def find_program(name: str, environment: Mapping[str, str]) -> str:
    """The absolute path of an executable file: `name` itself where it is a path, else on the PATH; empty: not here."""
    if not name:
        return ""
    if "/" in name:
        path = os.path.abspath(os.path.expanduser(name))
        return path if _is_program(path) else ""
    folders = environment.get("PATH", "").split(":")
    return next((path for folder in folders if folder and _is_program(path := f"{folder}/{name}")), "")


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def find_login(kind: str, environment: Mapping[str, str]) -> str:
    """Where the user's login for `kind` is: `env:NAME`, or the path of a file; empty: there is none. What is in it, and
    whether it still holds, only a turn can tell."""
    login = LOGINS.get(kind)
    if login is None:
        return ""
    for token in login.tokens:
        if environment.get(token):
            return f"env:{token}"
    path = login_path(kind, environment)
    return path if path and os.path.isfile(path) else ""


def login_path(kind: str, environment: Mapping[str, str]) -> str:
    """Where the login file of `kind` would be; empty where there is no HOME or no such kind."""
    login, home = LOGINS.get(kind), environment.get("HOME", "")
    if login is None or not (home or environment.get(login.variable)):
        return ""
    folder = environment.get(login.variable) or os.path.join(home, login.folder)
    return os.path.join(folder, login.file)


def probe_versions(programs: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What `--version` says, by the name that each path was given under; empty where nothing came in time.

    They run side by side, each without the user's environment and in a home that is thrown away: some of them write
    into their home even for that.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="conductor-probe-", ignore_cleanup_errors=True) as scratch:
        env = {"PATH": environment.get("PATH", "/usr/local/bin:/usr/bin:/bin"), "HOME": scratch, "TMPDIR": scratch}
        started = {name: _start(path, env, scratch) for name, path in programs.items()}
        deadline = time.monotonic() + PROBE_SECONDS
        for name, process in started.items():
            found[name] = _version(process, deadline) if process else ""
    return found


def _start(path: str, env: Mapping[str, str], cwd: str) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            [path, "--version"],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None


def _version(process: subprocess.Popen[bytes], deadline: float) -> str:
    """Reads until its end or the deadline; nothing of its process group is left."""
    try:
        output = process.communicate(timeout=max(0.0, deadline - time.monotonic()))[0]
    except subprocess.TimeoutExpired:
        output = b""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its pipe, waits for its end
        pass
    text = output[:_MOST_OUTPUT].decode("utf-8", "replace")
    match = _VERSION.search(text)
    return match[0] if match else " ".join(text.split())[:40]
