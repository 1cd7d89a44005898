"""Every command of the handbook is run, in its order, on a home of its own with a real conductord."""

from __future__ import annotations

import os
import re
import socket
from fnmatch import fnmatch
from pathlib import Path

from conductor.domain.exits import CliExit, DaemonExit, WorkerExit
from conductor.domain.home import Home
from conductor.queue.layout import Layout
from tests.handbook.walk import Block, Shell, blocks, lacking
from tests.support import REPOSITORY

HANDBOOK = REPOSITORY / "docs" / "handbook.md"
ELSEWHERE = {
    "systemd": "a test has no systemd of its own; tests/processes/test_systemd.py looks at the units",
    "installing": "a test installs nothing from a package index",
}
"""Blocks that can't run here, and why."""
MOST_ELSEWHERE = 4
"""Commands."""


def told() -> str:
    return HANDBOOK.read_text(encoding="utf-8")


def console() -> list[Block]:
    return [block for block in blocks(told()) if block.kind in ("console", "sh")]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def test_every_command_does_what_the_handbook_says(sandbox: Shell, tmp_path: Path) -> None:
    port = str(free_port())
    seen: set[str] = set()

    for block in console():
        if block.elsewhere:
            continue
        for command in block.commands():
            code, output = sandbox.run(command.text.replace("8199", port))
            assert code == command.exit_code, f"$ {command.text}\n{output}"
            assert lacking(command, output) == [], f"$ {command.text}\n{output}"
            seen |= paths_of(tmp_path / "user" / "home")

    assert {path for path in seen if not is_told(path)} == set(), "files of a home that the handbook does not tell of"


def paths_of(home: Path) -> set[str]:
    """What lies in a home, without what is below the folders that hold many of one kind."""
    found = set()
    for folder, folders, files in os.walk(home):
        inside = os.path.relpath(folder, home)
        found.update(os.path.normpath(f"{inside}/{name}") for name in (*folders, *files))
        if inside.count("/") >= 1 or inside == "templates":
            folders.clear()
    return found


def is_told(path: str) -> bool:
    """Whether a row of the table of files is about it or about a folder that it is in."""
    rows = re.findall(r"^\| (`[^|]*`[^|]*) \|", told(), re.MULTILINE)
    names = [name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)]
    patterns = [re.sub(r"<[^>]+>", "*", name) for name in names]
    patterns += [
        "conductor.db-*",
        "conductord.lock.pid",
        "queue",
        "tasks",
        "projects",
        "state",
        "tasks/*",
        "projects/*",
    ]
    return any(fnmatch(path, pattern) or fnmatch(path, pattern + "/*") for pattern in patterns)


def test_every_name_that_the_code_knows_in_a_home_is_told() -> None:
    home = Home("/home")
    properties = [name for name, value in vars(Home).items() if isinstance(value, property)]
    known = [*(getattr(home, name) for name in properties), *vars(Layout(home)).values()]

    paths = {path.removeprefix("/home/") for path in known if isinstance(path, str)}

    assert {"conductor.db", "shared.sock", "queue/finishing"} <= paths
    assert {path for path in paths if not is_told(path)} == set()


def test_few_commands_cannot_be_run_and_each_has_its_reason() -> None:
    left_out = [block for block in console() if block.elsewhere]

    assert {block.elsewhere for block in left_out} == set(ELSEWHERE)
    assert sum(len(list(block.commands())) for block in left_out) <= MOST_ELSEWHERE


def test_no_command_stands_outside_of_the_blocks_that_are_run() -> None:
    kinds = {block.kind for block in blocks(told())}

    assert kinds <= {"console", "yaml"}
    for block in console():
        assert block.text.startswith("$ ")


def test_the_exit_codes_are_those_of_the_code() -> None:
    section = told().split("## Exit codes")[1].split("\n## ")[0]
    tables = [
        set(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE)))
        for table in section.split("\n\n")
        if "|---" in table
    ]

    assert tables == [set(map(int, CliExit)), set(map(int, DaemonExit)), set(map(int, WorkerExit))]


def test_every_link_leads_to_a_heading_or_a_file() -> None:
    text = told()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }

    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings
        else:
            assert (HANDBOOK.parent / target).exists(), target
