"""What examples/ shows of the library and of plain shell, done as a reader would do it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.support import REPOSITORY, clean_environment, result_lines
from tests.test_examples import shell

EXAMPLES = REPOSITORY / "examples"


def test_the_library_example_runs_as_it_is(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon()

    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "library.py")], env=clean_environment(home), cwd=tmp_path,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("SUCCESS Linux")
    assert sorted(line.split()[-1] for line in lines[1:6]) == ["1", "16", "25", "4", "9"]
    assert lines[6] == "[0, 3]"
    assert "is taken" in lines[7]


def test_the_example_of_many_files_tells_of_those_that_failed(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    daemon()
    names = ["good.json", "it's bad.json", "$(touch stolen).json"]
    for name in names:
        (tmp_path / name).write_text("{" if "bad" in name else "{}")
    script = EXAMPLES / "fan-out.sh"

    ran = shell(home, f'{script} "{sys.executable} -m json.tool" *.json', tmp_path)

    assert ran.returncode == 1
    assert "Expecting property name" in ran.stdout
    assert len({line.task_id for line in result_lines(home)}) == 3
    assert [line.status.value for line in result_lines(home)].count("SUCCESS") == 2
    assert not (tmp_path / "stolen").exists()
    assert shell(home, f'{script} "{sys.executable} -m json.tool" good.json', tmp_path).returncode == 0
