"""What `import conductor` costs and offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import conductor
from tests.support import REPOSITORY


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_importing_conductor_loads_nothing_else_of_it() -> None:
    loaded = python("import conductor, sys; print(*sorted(m for m in sys.modules if m.startswith('conductor')))")

    assert loaded.split() == ["conductor"]


def test_the_library_loads_neither_the_command_line_nor_what_runs_need() -> None:
    heavy = "click rich sqlalchemy alembic pydantic jinja2 structlog psutil anthropic conductor.cli"

    found = python(f"import sys; from conductor import Conductor; print(*set('{heavy}'.split()) & set(sys.modules))")

    assert found.split() == []


def test_every_name_that_is_offered_is_there() -> None:
    assert all(getattr(conductor, name) for name in conductor.__all__)
    with pytest.raises(AttributeError):
        conductor.nothing_of_that_name  # noqa: B018


def test_types_are_shipped_and_the_example_is_typed_strictly(tmp_path: Path) -> None:
    assert (REPOSITORY / "conductor" / "py.typed").is_file()
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from conductor import Conductor\nConductor().submit('x', retries='two').wait().text.foo\n")

    def checked(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent", str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=REPOSITORY)

    example = checked(REPOSITORY / "examples" / "library.py")
    assert example.returncode == 0, example.stdout
    told = checked(wrong)
    assert 'Argument "retries"' in told.stdout
    assert '"str" has no attribute "foo"' in told.stdout
