"""A project as an agent of OpenClaw, so that one can talk to it there: its workspace under the project's name.

OpenClaw's own command is asked where it is installed: it knows its present format and whether a gateway runs. Where
it is not, but its settings are, the entry is written into them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import Any

from conductor.domain.errors import RepositoryBroken, UsageError
from conductor.kit.durable import replace_file
from conductor.kit.lock import QuickLock
from conductor.projects.tool import Tools

_LARGEST = 16 * (1 << 20)
_EXISTS = re.compile(r"already exists", re.IGNORECASE)


def register_agent(name: str, workspace: str, tools: Tools) -> str:
    """Where it is registered, for a person. Done already: stays as it is."""
    agent = agent_id(name)
    program = tools.environment.get("OPENCLAW_BIN") or "openclaw"
    if shutil.which(program, path=tools.environment.get("PATH", "")):
        return _ask_openclaw(program, agent, workspace, tools)
    settings = _settings_path(tools)
    if not os.path.exists(settings):
        raise UsageError(f"OpenClaw is not here, neither its command nor {settings}: install it, then do this again")
    return _write_entry(settings, agent, workspace)


def agent_id(name: str) -> str:
    """As OpenClaw takes it: lower case, `main` is its own."""
    agent = re.sub(r"[^a-z0-9_-]", "-", name.lower())
    if agent == "main":
        raise UsageError("OpenClaw has an agent called main already: choose another name for the project")
    return agent


def _ask_openclaw(program: str, agent: str, workspace: str, tools: Tools) -> str:
    made = tools.run(program, "agents", "add", agent, "--workspace", workspace, "--non-interactive", "--json")
    if made.code and not _EXISTS.search(made.out + made.told):
        raise RepositoryBroken(f"openclaw made no agent {agent}: {made.fault}")
    return f"agent {agent} of OpenClaw"


def _settings_path(tools: Tools) -> str:
    variables = tools.environment
    folder = variables.get("OPENCLAW_STATE_DIR") or os.path.join(variables.get("HOME", "/"), ".openclaw")
    return os.path.realpath(variables.get("OPENCLAW_CONFIG_PATH") or f"{folder}/openclaw.json")


def _write_entry(path: str, agent: str, workspace: str) -> str:
    with QuickLock(f"{path}.conductor-lock"):
        settings = _read(path)
        if _add(settings, agent, workspace, path):
            content = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
            replace_file(path, content.encode("utf-8", "surrogatepass"), os.stat(path).st_mode & 0o777, synced=True)
    return f"agent {agent} in {path}; `openclaw gateway restart` makes a running gateway see it"


def _read(path: str) -> dict[str, Any]:
    """Only what can be written back without losing anything: JSON5 may hold comments."""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is left alone, it is no plain JSON ({error}): add the agent there by hand") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} is left alone, it holds no object: add the agent there by hand")
    return found


def _add(settings: dict[str, Any], agent: str, workspace: str, path: str) -> bool:
    """In the form that the file has: `agents.list`, or `agents.entries` of the newer ones; whether it was not there."""
    agents = settings.setdefault("agents", {})
    if not isinstance(agents, dict):
        raise UsageError(f"{path} is left alone, its `agents` is no object: add the agent there by hand")
    entry = {"name": agent, "workspace": workspace}
    listed = agents.get("list")
    if isinstance(listed, list) and "entries" not in agents:
        if any(isinstance(one, dict) and one.get("id") == agent for one in listed):
            return False
        listed.append({"id": agent, **entry})
        return True
    entries = agents.setdefault("entries", {})
    if not isinstance(entries, dict):
        raise UsageError(f"{path} is left alone, its `agents.entries` is no object: add the agent there by hand")
    return entries.setdefault(agent, entry) is entry
