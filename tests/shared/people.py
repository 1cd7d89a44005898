"""Real other users: a conductord that runs as a service's user, and members who ask it. Needs root."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from conductor.domain.home import Home
from tests.support import REPOSITORY, Conductord, check_nothing_left, clean_environment, write_settings

PYTHON_PATH = {
    "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, sys.path)]),
    "PYTHONDONTWRITEBYTECODE": "1",
}
SERVICE, ANN, BOB, OPERATOR, STRANGER = 61_000, 61_001, 61_002, 61_003, 61_004


def two_groups() -> tuple[grp.struct_group, grp.struct_group]:
    """Groups that this machine knows by name, for members and for operators."""
    found = sorted((group for group in grp.getgrall() if 0 < group.gr_gid < 60_000), key=lambda group: group.gr_gid)
    if len(found) < 2:
        pytest.skip("this machine has no two groups beside root's")
    return found[0], found[1]


def as_user(uid: int, *groups: int) -> tuple[str, ...]:
    """In front of a command line: that user, alone in a group of the same number and in `groups`."""
    further = ("--groups", ",".join(map(str, groups))) if groups else ("--clear-groups",)
    return ("setpriv", "--reuid", str(uid), "--regid", str(uid), *further)


@cache
def python_of_others() -> str:
    """An interpreter that other users can run conductor with; skips where there is none, or we can't become others."""
    if os.geteuid() != 0:
        pytest.skip("only root can become other users")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not here")
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import conductor.cli.main'], check=True)"
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(python):
            command = [*as_user(STRANGER), python, "-c", nested]
            if subprocess.run(command, env=PYTHON_PATH, cwd="/", capture_output=True, timeout=60).returncode == 0:
                return python
    pytest.skip(f"other users can't run {sys.executable} or conductor from {REPOSITORY}")


class Place:
    """A service's home, and the people around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(str(folder / "home"))
        self.python = python_of_others()
        self.members, self.operators = two_groups()
        self.service_groups: tuple[int, ...] = (self.members.gr_gid,)
        os.mkdir(self.home.path, 0o700)
        os.chown(self.home.path, SERVICE, SERVICE)
        self.conductord = Conductord(self.home, {"HOME": self.home.path, **PYTHON_PATH})

    def start(self, *, shared: bool = True, launch_only: bool = False) -> None:
        groups = {"group": self.members.gr_name, "operators": self.operators.gr_name} if shared else {}
        write_settings(self.home, workers=1, shared=groups)
        os.chown(self.home.settings_file, SERVICE, SERVICE)
        ours_not_theirs = ("sh", "-c", 'shift; exec "$0" "$@"', self.python)
        self.conductord.launch(prefix=(*as_user(SERVICE, *self.service_groups), *ours_not_theirs))
        if not launch_only:
            self.conductord.wait_until_settled()

    def call(self, uid: int, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`conductor <arguments>` of that person."""
        groups = {
            ANN: (self.members.gr_gid,),
            BOB: (self.members.gr_gid,),
            OPERATOR: (self.members.gr_gid, self.operators.gr_gid),
        }
        return self.run(uid, groups.get(uid, ()), self.python, "-m", "conductor", *arguments, stdin=stdin)

    def run(
        self, uid: int, groups: tuple[int, ...], *command: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*as_user(uid, *groups), *command],
            env=clean_environment(self.home, HOME="/nonexistent", **PYTHON_PATH),
            cwd="/",
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def close(self) -> None:
        self.conductord.close()
        check_nothing_left({self.home})


@contextmanager
def a_place(below: str = "") -> Iterator[Place]:
    """In a folder that everybody may pass through, as pytest's own is not, and as far `below` it as is said."""
    python_of_others()
    folder = Path(tempfile.mkdtemp(prefix="conductor-shared-"))
    try:
        folder.chmod(0o755)
        where = folder / below
        where.mkdir(exist_ok=True)
        place = Place(where)
        try:
            yield place
        finally:
            place.close()
    finally:
        shutil.rmtree(folder)
