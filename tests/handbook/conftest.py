"""A shell like that of somebody who reads the handbook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.home import Home
from tests.handbook.walk import Shell
from tests.support import clean_environment, end_processes_of


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """HOME of the sandbox; the home of conductor is `home` in it."""
    folder = tmp_path / "user"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def sandbox(tmp_path: Path, user: Path) -> Iterator[Shell]:
    """A shell whose HOME is empty, with `conductor` and `conductord` on its PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("conductor", "conductor"), ("conductord", "conductor.cli.daemon")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    environment = clean_environment(
        Home(str(user / "home")), HOME=str(user), GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null"
    )
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    shell = Shell(environment, user)
    try:
        yield shell
    finally:
        shell.close()
        for path in ("home", "new-home"):
            end_processes_of(Home(str(user / path)))
