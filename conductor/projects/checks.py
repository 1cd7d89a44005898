"""Which command is a project's check: the configured one, or what its own files tell."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conductor.kit.durable import read_bytes

Which = Callable[[str], str | None]
"""Where a program is, or None: `shutil.which`."""

_LARGEST_FILE = 1 << 20
_MOST_ENTRIES = 20_000
_DEEPEST = 8
_PASSED_BY = frozenset(
    {"node_modules", "venv", "env", "build", "dist", "target", "vendor", "__pycache__", "site-packages"}
)
_NO_SCRIPT = re.compile(r"no test specified")
_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py")
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_RULE = re.compile(r"^([^\s#:=.][^:=#\n]*?)\s*::?(?!=)", re.MULTILINE)
_NODE_LOCKS = (
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
)
_NODE_COMMANDS = {"pnpm": "pnpm test", "yarn": "yarn test", "bun": "bun run test", "npm": "npm test"}


@dataclass(frozen=True, slots=True)
class Check:
    command: str
    """For /bin/sh, in the project's folder; empty: there is none."""
    why: str
    """What told it, for a person."""


def find_check(folder: str, configured: str = "", which: Which = shutil.which) -> Check:
    """The check of what is in `folder` now. Files that can't be read or understood tell nothing; nothing is run.

    Where several kinds of tests are there, the first of pytest, npm, cargo, go, make is taken and the others are told.
    """
    if configured.strip():
        return Check(configured, "configured")
    found = [check for look in _KINDS if (check := look(folder, which))]
    runnable = [check for check in found if check.command]
    if not runnable:
        return Check("", "; ".join([check.why for check in found]) or "no tests were found: set `check` to have one")
    others = ", ".join(check.command for check in runnable[1:])
    return Check(runnable[0].command, runnable[0].why + (f" (there is {others} too)" if others else ""))


def _python(folder: str, which: Which) -> Check | None:
    configured = _pytest_configuration(folder)
    tests = next(_python_tests(folder), "")
    if not tests and "python_files" not in configured:
        return Check("", "pytest is configured, but there is no test yet") if configured else None
    told = tests or "its configuration"
    return Check(f"{_python_program(folder, which)} -m pytest -q", f"pytest, because of {told}")


def _python_program(folder: str, which: Which) -> str:
    """The project's own environment, where it has one and the tool that keeps it is here."""
    if os.access(f"{folder}/.venv/bin/python", os.X_OK):
        return ".venv/bin/python"
    for lock, tool in (("uv.lock", "uv"), ("poetry.lock", "poetry")):
        if os.path.isfile(f"{folder}/{lock}") and which(tool):
            return f"{tool} run python"
    return "python3"


def _pytest_configuration(folder: str) -> str:
    """The text in which pytest is configured, or an empty one."""
    try:
        if "pytest" in tomllib.loads(_text(folder, "pyproject.toml")).get("tool", {}):
            return _text(folder, "pyproject.toml")
    except (tomllib.TOMLDecodeError, AttributeError, TypeError, RecursionError):
        pass
    for name, section in (("pytest.ini", "[pytest]"), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]")):
        if section in (text := _text(folder, name)):
            return text
    return ""


def _python_tests(folder: str) -> Iterator[str]:
    """Paths of test files, relative; within limits, so that a huge or endless tree holds up nobody."""
    waiting, seen = [("", 0)], 0
    while waiting:
        below, depth = waiting.pop(0)
        for entry in _entries(f"{folder}/{below}"):
            seen += 1
            if seen > _MOST_ENTRIES:
                return
            if entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST and not entry.name.startswith(".") and entry.name not in _PASSED_BY:
                    waiting.append((f"{below}{entry.name}/", depth + 1))
            elif _TEST_FILE.fullmatch(entry.name) and entry.is_file():
                yield below + entry.name


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _node(folder: str, which: Which) -> Check | None:
    try:
        package = json.loads(_text(folder, "package.json") or "{}")
        script = package["scripts"]["test"]
        manager = str(package.get("packageManager", "")).partition("@")[0]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(script, str) or not script.strip() or _NO_SCRIPT.search(script):
        return None
    for lock, tool in _NODE_LOCKS:
        if os.path.isfile(f"{folder}/{lock}"):
            manager = tool
            break
    # CI: test runners that would watch for changes run once and end.
    return Check(f"CI=true {_NODE_COMMANDS.get(manager, 'npm test')}", "the test script of package.json")


def _cargo(folder: str, which: Which) -> Check | None:
    return Check("cargo test", "Cargo.toml") if os.path.isfile(f"{folder}/Cargo.toml") else None


def _go(folder: str, which: Which) -> Check | None:
    return Check("go test ./...", "go.mod") if os.path.isfile(f"{folder}/go.mod") else None


def _make(folder: str, which: Which) -> Check | None:
    """make itself reads the first of these files alone."""
    for name in _MAKEFILES:
        if text := _text(folder, name):
            targets = {target for rule in _RULE.findall(text) for target in rule.split()}
            wanted = next((target for target in ("test", "check") if target in targets), "")
            return Check(f"make {wanted}", f"the target {wanted} in {name}") if wanted else None
    return None


def _text(folder: str, name: str) -> str:
    """Of a regular file, its first MiB; empty where there is none that can be read."""
    try:
        return read_bytes(f"{folder}/{name}", _LARGEST_FILE).decode("utf-8", "replace")
    except OSError:
        return ""


_KINDS: tuple[Callable[[str, Which], Check | None], ...] = (_python, _node, _cargo, _go, _make)
