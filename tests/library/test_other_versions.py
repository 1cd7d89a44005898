"""A command line of another version than the conductord that runs, each the real program from a tree of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conductor import __version__
from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.support import REPOSITORY, clean_environment, run_cli

Tree = Callable[..., str]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes a copy of the package that says it is of another version, with texts of files replaced."""

    def make(version: str, *changes: tuple[str, str, str]) -> str:
        root = tmp_path / f"tree-{version}"
        shutil.copytree(REPOSITORY / "conductor", root / "conductor", ignore=shutil.ignore_patterns("__pycache__"))
        for path, old, new in (("__init__.py", f'"{__version__}"', f'"{version}"'), *changes):
            changed = root / "conductor" / path
            text = changed.read_text()
            assert old in text, f"{old} is not in {path}"
            changed.write_text(text.replace(old, new))
        return str(root)

    return make


def other_cli(home: Home, root: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`conductor` of the copy."""
    return subprocess.run(
        [sys.executable, "-m", "conductor", *arguments],
        env=clean_environment(home, PYTHONPATH=root),
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_newer_command_line_works_with_the_daemon_that_runs_and_says_what_runs(
    daemon: DaemonFactory, home: Home, tree: Tree
) -> None:
    daemon()
    newer = tree("99.1")
    assert other_cli(home, newer, "--version").stdout == "conductor, version 99.1\n"

    submitted = other_cli(home, newer, "submit", "--agent", "command", "echo fine")
    waited = other_cli(home, newer, "wait", submitted.stdout.strip(), "--timeout", "30s")
    told = other_cli(home, newer, "status")

    assert (submitted.returncode, waited.returncode, told.returncode) == (0, 0, 0), waited.stderr
    assert submitted.stderr == "", "a loop of thousands would say it thousands of times"
    assert f"conductord is {__version__} and this is 99.1" in told.stderr
    assert "conductord" in told.stdout


def test_an_older_daemon_that_knows_less_is_understood_and_named(daemon: DaemonFactory, home: Home, tree: Tree) -> None:
    older = tree(
        "0.0.9",
        ("supervisor/boot.py", 'case "scale":', 'case "scale-of-later":'),
        ("supervisor/boot.py", '"orchestrators": self._services.status(now),', ""),
        ("supervisor/boot.py", '"limits": self._in_force.limits(),', ""),
    )
    daemon(env={"PYTHONPATH": older})

    submitted = run_cli(home, "submit", "--agent", "command", "echo fine", "--wait")
    told = run_cli(home, "status")
    scaled = run_cli(home, "scale", "2")

    assert submitted.returncode == 0, submitted.stderr
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("conductord 0.0.9 ")
    assert f"conductord is 0.0.9 and this is {__version__}" in told.stderr
    assert scaled.returncode == 2
    assert "does not know 'scale'" in scaled.stderr
    assert "0.0.9" in scaled.stderr
    assert "restart conductord with this version" in scaled.stderr


def test_one_version_says_nothing_of_versions(daemon: DaemonFactory, home: Home) -> None:
    daemon()

    assert run_cli(home, "status").stderr == ""
