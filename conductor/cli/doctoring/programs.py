"""Python, and git where projects need it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

from conductor import __version__
from conductor.agents.presence import find_program
from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.service import environment_of_service
from conductor.cli.doctoring.sign import Sign, ok, warning, wrong

_OLDEST_GIT = (2, 38)
"""`git merge-tree --write-tree`."""
_OLDEST_PYTHON = (3, 11)
_PATIENCE_SECONDS = 2.0


def look_at_programs(case: Case) -> Iterator[Sign]:
    yield judge_python(sys.version_info[:3], sys.executable)
    _, theirs = environment_of_service(case)
    path = find_program("git", theirs)
    yield judge_git(_git_version(path) if path else "", path, has_projects=_has_projects(case))


def judge_python(version: tuple[int, int, int], path: str) -> Sign:
    told = f"Python {'.'.join(map(str, version))} at {path}, conductor {__version__}"
    if version[:2] < _OLDEST_PYTHON:
        return wrong("python", told, "install conductor for Python 3.11 or later")
    return ok("python", told)


def judge_git(version: str, path: str, *, has_projects: bool) -> Sign:
    """`version`: as git says it; empty: it says none."""
    grade = wrong if has_projects else warning
    if not path:
        return grade("git", "git is not on the service's PATH: there can be no projects", "install git")
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers is None:
        return grade("git", f"{path} does not say its version", f"run `{path} --version`, and mend it")
    if (int(numbers[1]), int(numbers[2])) < _OLDEST_GIT:
        return grade("git", f"{path} is {numbers[0]}: merging steps needs 2.38", "update git")
    return ok("git", f"git {numbers[0]} at {path}")


def _git_version(path: str) -> str:
    command, env = [path, "--version"], {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:200].decode("utf-8", "replace")


def _has_projects(case: Case) -> bool:
    try:
        return any(os.scandir(case.home.projects))
    except OSError:
        return False
