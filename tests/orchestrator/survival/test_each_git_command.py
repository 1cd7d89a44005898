"""The orchestrator killed before, during and after each of its git commands, and kept alive by conductord.

The suite takes a sample of the commands; with CONDUCTOR_FAULTS=all it takes them all.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DaemonFactory
from tests.orchestrator.survival.house import GIT_SETTINGS, RESTLESS, House, as_depends, git, step
from tests.support import eventually

EVERYTHING = os.environ.get("CONDUCTOR_FAULTS") == "all"
SAMPLE = 101
"""Every so many commands of the run."""
SETTINGS: dict[str, Any] = {**RESTLESS, "workers": 2, "orchestrator": {"check": "test -f shared.txt"}}
GIT_THAT_KILLS = """#!/bin/sh
# Counts what the orchestrator asks of git; at the wanted command it kills the orchestrator.
read -r caller </proc/$PPID/comm
[ "$caller" = orchestrator ] || exec {git} "$@"
read -r seen <{folder}/seen
read -r wanted moment <{folder}/wanted
seen=$((seen + 1))
echo $seen >{folder}/seen
[ $seen -eq $wanted ] || exec {git} "$@"
echo "$*" >{folder}/killed
case $moment in
    before) kill -9 $PPID; exit 1 ;;
    during) kill -9 $PPID; exec {git} "$@" ;;
    after) {git} "$@"; kill -9 $PPID ;;
esac
"""


class KillingGit:
    """Stands before git on the PATH."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.aim(0, "after")
        (folder / "git").write_text(GIT_THAT_KILLS.format(git=shutil.which("git"), folder=folder))
        (folder / "git").chmod(0o755)

    @property
    def path(self) -> str:
        return f"{self._folder}:/usr/local/bin:/usr/bin:/bin"

    def aim(self, number: int, moment: str) -> None:
        """0: at none."""
        (self._folder / "wanted").write_text(f"{number} {moment}\n")
        (self._folder / "seen").write_text("0\n")
        (self._folder / "killed").unlink(missing_ok=True)

    @property
    def seen(self) -> int:
        return int((self._folder / "seen").read_text())

    @property
    def killed_at(self) -> str:
        """The arguments, with our settings before them; empty: nobody was killed."""
        path = self._folder / "killed"
        return path.read_text().strip() if path.exists() else ""


def _steps(number: int) -> list[dict[str, Any]]:
    """The first two conflict: whoever comes second is sent back and done on top of the other's line."""
    return [
        step("a", f"echo a{number} >>shared.txt"),
        step("b", f"echo b{number} >>shared.txt"),
        step("c", f"echo c{number} >c{number}.txt", "a", "b"),
    ]


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_an_orchestrator_killed_at_a_git_command_ends_its_run_as_if_it_had_not_been(
    daemon: DaemonFactory, house: House, tmp_path: Path, moment: str
) -> None:
    # given how many commands a run takes that nothing happens to
    killing = KillingGit(tmp_path / "bin")
    daemon(env={**GIT_SETTINGS, "PATH": killing.path}, **SETTINGS)
    _check_run(house, 0)
    commands = killing.seen
    assert commands > 50

    # when one after another is the last that an orchestrator comes to
    first = {"before": 2, "during": 12, "after": 22}[moment]
    numbers = range(1, commands + 1) if EVERYTHING else range(first, commands + 1, SAMPLE)
    for number in numbers:
        killing.aim(number, moment)
        _check_run(house, number, lambda number=number: f"killed {moment} command {number}: {killing.killed_at}")  # type: ignore[misc]
        assert killing.killed_at


def _check_run(house: House, number: int, seen: Any = lambda: "unharmed") -> None:
    steps = _steps(number)
    run_id = house.run(*steps)
    house.wait(run_id)
    eventually(lambda: not (house.folder / "service").exists(), what="the orchestrator leaves when all is done")
    house.check_whole(run_id, as_depends(steps), seen())
    lines = [line for line in house.show("shared.txt").split("\n") if line[1:] == str(number)]
    assert sorted(lines) == [f"a{number}", f"b{number}"], seen()
    assert git(house.workspace, "log", "-1", "--format=%s") == "feat: demo - 3 tasks completed"
