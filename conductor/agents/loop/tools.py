"""The tools that a model may call, and what becomes of a call.

Calls of one answer run in the order in which they were made, not at once: what lasts are commands, which would get
into each other's way; and a call may stand on what the one before it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from conductor.agents.loop import file_tools
from conductor.agents.loop.exchange import ToolOutcome, ToolUse
from conductor.agents.loop.search import search
from conductor.agents.loop.shell import Shell
from conductor.agents.loop.workspace import ToolFailed, Workspace
from conductor.domain.agent_setup import Autonomy

LONGEST_RESULT = 50_000
"""Characters of a result that go to the model."""


@dataclass(frozen=True, slots=True)
class Tool:
    """`fields`: name to (type, what it is, required); types are those of JSON schema."""

    name: str
    description: str
    fields: Mapping[str, tuple[str, str, bool]]
    run: Callable[[Mapping[str, Any]], str]

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {name: {"type": kind, "description": what} for name, (kind, what, _) in self.fields.items()},
            "required": [name for name, (_, _, required) in self.fields.items() if required],
        }


_PYTHON = {"string": str, "integer": int, "boolean": bool}


class Toolbox:
    """The tools of one attempt."""

    def __init__(self, tools: tuple[Tool, ...]) -> None:
        self.tools = tools
        self._by_name = {tool.name: tool for tool in tools}

    def use(self, use: ToolUse) -> ToolOutcome:
        """Never raises for what a model can ask: it is told what was wrong and may go on."""
        try:
            text = self._run(use)
        except ToolFailed as failed:
            return ToolOutcome(use.id, str(failed), ok=False, denied=failed.denied)
        except OSError as error:
            return ToolOutcome(use.id, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), ok=False)
        except (ValueError, RecursionError, MemoryError) as error:
            return ToolOutcome(use.id, f"{type(error).__name__}: {error}"[:500], ok=False)
        return ToolOutcome(use.id, shortened(text, LONGEST_RESULT) or "(nothing)")

    def _run(self, use: ToolUse) -> str:
        tool = self._by_name.get(use.name)
        if tool is None:
            raise ToolFailed(f"no tool {use.name!r} here: there is {', '.join(self._by_name) or 'none'}")
        if use.input is None:
            raise ToolFailed("its input broke off or is no JSON object: call it again, in smaller steps if it was long")
        return tool.run(_checked(tool, use.input))


def _checked(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that it has, each of its type. Raises ToolFailed."""
    checked: dict[str, Any] = {}
    for name, (kind, _, required) in tool.fields.items():
        value = given.get(name)
        if value is None:
            if required:
                raise ToolFailed(f"{tool.name}: {name} is missing")
        elif not isinstance(value, _PYTHON[kind]) or (kind == "integer" and isinstance(value, bool)):
            raise ToolFailed(f"{tool.name}: {name} must be of type {kind}")
        else:
            checked[name] = value
    return checked


def shortened(text: str, most: int) -> str:
    """Head and tail of `text`, `most` characters in all."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def toolbox(workspace: Workspace, shell: Shell, autonomy: Autonomy) -> Toolbox:
    """`read-only`: nothing that changes anything."""
    tools = _looking(workspace)
    if autonomy is not Autonomy.READ_ONLY:
        tools += _changing(workspace, shell)
    return Toolbox(tools)


_PATH = ("string", "relative to the workspace", True)


def _looking(workspace: Workspace) -> tuple[Tool, ...]:
    return (
        Tool(
            "read",
            "Reads a text file.",
            {
                "path": _PATH,
                "offset": ("integer", "the first line wanted, from 1", False),
                "limit": ("integer", "how many lines; 2000 unless told", False),
            },
            lambda given: file_tools.read(workspace, **given),
        ),
        Tool(
            "list",
            "Lists a folder: one entry a line, folders with a slash at their end.",
            {
                "path": ("string", "relative to the workspace; the workspace itself unless told", False),
                "recursive": ("boolean", "with everything below it", False),
            },
            lambda given: file_tools.list_folder(workspace, **given),
        ),
        Tool(
            "search",
            "Searches files for a regular expression (Python's): path:line: text.",
            {
                "pattern": ("string", "the regular expression", True),
                "path": ("string", "a file or folder; the workspace itself unless told", False),
                "glob": ("string", "only files whose name fits, such as *.py", False),
            },
            lambda given: search(workspace, **given),
        ),
    )


def _changing(workspace: Workspace, shell: Shell) -> tuple[Tool, ...]:
    return (
        Tool(
            "write",
            "Writes a whole file, in place of what it was. Missing folders are made.",
            {"path": _PATH, "content": ("string", "all of it", True)},
            lambda given: file_tools.write(workspace, **given),
        ),
        Tool(
            "edit",
            "Replaces text in a file. `old` must stand there exactly once, unless `all`.",
            {
                "path": _PATH,
                "old": ("string", "exactly as it stands there, whitespace included", True),
                "new": ("string", "what takes its place", True),
                "all": ("boolean", "every occurrence", False),
            },
            lambda given: file_tools.edit(workspace, **given),
        ),
        Tool(
            "shell",
            "Runs a command line with /bin/sh -c in the workspace: output and exit code. Nothing can be typed into it.",
            {
                "command": ("string", "the command line", True),
                "timeout_seconds": ("integer", "120 unless told, at most 1800", False),
            },
            lambda given: shell.run(**given),
        ),
    )
