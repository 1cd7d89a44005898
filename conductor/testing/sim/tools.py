"""Which of the offered tools does a step, and how it is called: every CLI names its tools in its own way."""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Sequence
from typing import Any

from conductor.testing.sim.asked import Asked, Call, Tool
from conductor.testing.sim.directives import Step
from conductor.testing.sim.samples import instance_of

_WRITE = ("write", "write_file", "create_file", "writefile")
_READ = ("read", "read_file", "readfile", "view")
_EDITOR = ("str_replace_based_edit_tool", "str_replace_editor")
_SHELL = (
    *("bash", "exec_command", "shell", "shell_command", "run_shell_command", "exec", "container.exec"),
    *("run_command", "execute_command", "run", "terminal"),
)
_PATHS = ("file_path", "filePath", "absolute_path", "path", "filename", "file")
_CONTENTS = ("content", "contents", "text", "file_text")
_NEEDS_WHOLE_PATH = frozenset({"file_path", "filePath", "absolute_path"})
_WAITS = {"timeout_ms": 600_000, "yield_time_ms": 30_000, "yieldMs": 110_000}
_PATIENT = ("Bash", "bash")
"""Their `timeout` is in milliseconds and may be ten minutes."""


def call_for(step: Step, asked: Asked) -> Call | None:
    """The call that does `step`, None when nothing that is offered can."""
    match step.deed:
        case "write":
            return _writing(step, asked)
        case "read":
            return _reading(step, asked)
        case "run":
            return _shell(step.subject, asked.tools)
    return None


def _writing(step: Step, asked: Asked) -> Call | None:
    if tool := _first(_WRITE, asked.tools):
        key = _known(_CONTENTS, tool)
        return _called(tool, {**_path(tool, step.subject, asked), key: step.content})
    if tool := _first(_EDITOR, asked.tools):
        return Call(tool.name, {"command": "create", "path": step.subject, "file_text": step.content})
    if call := _shell(_command_that_writes(step.subject, step.content), asked.tools):
        return call
    tool = _first(("apply_patch",), asked.tools)
    return _patch(tool, step) if tool else None


def _command_that_writes(path: str, content: str) -> str:
    folder = posixpath.dirname(path)
    made = f"mkdir -p {shlex.quote(folder)} && " if folder else ""
    return f"{made}printf %s {shlex.quote(content)} > {shlex.quote(path)}"


def _patch(tool: Tool, step: Step) -> Call:
    lines = "".join(f"+{line}\n" for line in step.content.splitlines())
    patch = f"*** Begin Patch\n*** Add File: {step.subject}\n{lines}*** End Patch\n"
    return Call(tool.name, patch if tool.custom else {"input": patch})


def _reading(step: Step, asked: Asked) -> Call | None:
    if tool := _first(_READ, asked.tools):
        return _called(tool, _path(tool, step.subject, asked))
    if tool := _first(_EDITOR, asked.tools):
        return Call(tool.name, {"command": "view", "path": step.subject})
    return _shell(f"cat {shlex.quote(step.subject)}", asked.tools)


def _shell(command: str, tools: Sequence[Tool]) -> Call | None:
    tool = _first(_SHELL, tools)
    if tool is None:
        return None
    if tool.custom:  # a tool that takes JavaScript
        return Call(tool.name, f"const r = await tools.exec_command({{cmd: {json.dumps(command)}}}); text(r);")
    key = "cmd" if "cmd" in tool.properties else "command"
    is_list = str((tool.properties.get(key) or {}).get("type")).lower() == "array"
    waits = {name: wait for name, wait in _WAITS.items() if name in tool.properties}
    if tool.name in _PATIENT and "timeout" in tool.properties:
        waits["timeout"] = 600_000
    return _called(tool, {key: ["bash", "-lc", command] if is_list else command, **waits})


def _first(names: Sequence[str], tools: Sequence[Tool]) -> Tool | None:
    by_name = {tool.name.lower(): tool for tool in reversed(tools)}
    return next((by_name[name] for name in names if name in by_name), None)


def _known(keys: Sequence[str], tool: Tool) -> str:
    return next((key for key in keys if key in tool.properties), keys[-1] if not tool.properties else keys[0])


def _path(tool: Tool, path: str, asked: Asked) -> dict[str, Any]:
    key = next((key for key in _PATHS if key in tool.properties), "path")
    return {key: posixpath.join(asked.folder, path) if key in _NEEDS_WHOLE_PATH else path}


def _called(tool: Tool, given: dict[str, Any]) -> Call:
    """The call with `given`, and whatever else the tool insists on."""
    rest = instance_of({"type": "object", **tool.schema})
    needed = {name: one for name, one in rest.items() if name in (tool.schema.get("required") or ())}
    return Call(tool.name, {**needed, **given})
