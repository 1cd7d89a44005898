"""Which tool does a step, for the tools that each agent really offers."""

from __future__ import annotations

from typing import Any

import pytest

from conductor.testing.sim.asked import Asked, Tool, Turn
from conductor.testing.sim.directives import Step
from conductor.testing.sim.tools import call_for
from tests.sim.asking import schema

WRITE = Step("write", "d/a.txt", "hi\n")
RUN = Step("run", "ls")
READ = Step("read", "a.txt")
COMMAND = "mkdir -p d && printf %s 'hi\n' > d/a.txt"
ARRAY = {"type": "object", "properties": {"command": {"type": "array"}}}


def tool(name: str, custom: bool = False, **properties: str) -> Tool:
    return Tool(name, schema(**properties), custom)


CLAUDE = (
    tool("Read", file_path="string"),
    tool("Write", file_path="string", content="string"),
    tool("Bash", command="string"),
)
CODEX = (tool("exec_command", cmd="string"),)
CODEX_OLD = (Tool("shell", ARRAY),)
CODEX_CODE = (Tool("exec", custom=True),)
GEMINI = (tool("write_file", file_path="string", content="string"), tool("run_shell_command", command="string"))
OPENCODE = (tool("write", filePath="string", content="string"), tool("bash", command="string", timeout="number"))
OPENCLAW = (tool("write", path="string", content="string"), tool("exec", command="string", yieldMs="number"))
EDITOR = (Tool("str_replace_based_edit_tool"),)
SCRIPTED = 'const r = await tools.exec_command({cmd: "ls"}); text(r);'
CASES: list[tuple[tuple[Tool, ...], Step, str, Any]] = [
    (CLAUDE, WRITE, "Write", {"file_path": "/w/d/a.txt", "content": "hi\n"}),
    (CLAUDE, RUN, "Bash", {"command": "ls"}),
    (CLAUDE, READ, "Read", {"file_path": "/w/a.txt"}),
    (CODEX, WRITE, "exec_command", {"cmd": COMMAND}),
    (CODEX, READ, "exec_command", {"cmd": "cat a.txt"}),
    (CODEX_OLD, RUN, "shell", {"command": ["bash", "-lc", "ls"]}),
    (CODEX_CODE, RUN, "exec", SCRIPTED),
    (GEMINI, WRITE, "write_file", {"file_path": "/w/d/a.txt", "content": "hi\n"}),
    (GEMINI, RUN, "run_shell_command", {"command": "ls"}),
    (OPENCODE, WRITE, "write", {"filePath": "/w/d/a.txt", "content": "hi\n"}),
    (OPENCODE, RUN, "bash", {"command": "ls", "timeout": 600_000}),
    (OPENCLAW, WRITE, "write", {"path": "d/a.txt", "content": "hi\n"}),
    (OPENCLAW, RUN, "exec", {"command": "ls", "yieldMs": 110_000}),
    (EDITOR, WRITE, EDITOR[0].name, {"command": "create", "path": "d/a.txt", "file_text": "hi\n"}),
]


@pytest.mark.parametrize(("tools", "step", "name", "given"), CASES)
def test_a_step_is_done_by_the_fitting_tool(tools: tuple[Tool, ...], step: Step, name: str, given: Any) -> None:
    call = call_for(step, asked(tools))
    assert call is not None
    assert (call.name, call.input) == (name, given)


def asked(tools: tuple[Tool, ...], told: str = "Working directory: /w\n") -> Asked:
    return Asked("m", (Turn(by_model=False, text="do it"),), instructions=told, tools=tools)


def test_whatever_else_a_tool_insists_on_is_filled_in() -> None:
    call = call_for(RUN, asked((tool("shell", command="string", why="string", count="integer"),)))
    assert call is not None
    assert call.input == {"command": "ls", "why": "simulated", "count": 1}


def test_no_tool_no_call() -> None:
    assert call_for(WRITE, asked((tool("search", query="string"),))) is None


@pytest.mark.parametrize(
    "told",
    [
        "<env>\n  Working directory: /w\n</env>",
        "<cwd>/w</cwd>",
        "I'm currently working in the directory: /w\n",
        " - Primary working directory: /w\n - Is a git repository: true",
        "The current working directory is `/w`.",
    ],
)
def test_the_folder_is_found_where_the_clis_tell_it(told: str) -> None:
    assert asked((), told).folder == "/w"
