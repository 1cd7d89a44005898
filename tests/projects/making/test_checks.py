"""Which command is a project's check, as its files tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.projects.checks import Check, find_check

NPM_DEFAULT = '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'
NODE = '{"scripts": {"test": "vitest"}}'
FILES = (
    "pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", "package.json", "Makefile", "GNUmakefile", "Cargo.toml",
    "go.mod", "tests/test_one.py", "uv.lock", "yarn.lock",
)  # fmt: skip


def found(folder: Path, files: dict[str, str], configured: str = "", tools: tuple[str, ...] = ()) -> Check:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return find_check(str(folder), configured, lambda tool: f"/usr/bin/{tool}" if tool in tools else None)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"tests/test_a.py": ""}, "python3 -m pytest -q"),
        ({"src/shop/deep/cart_test.py": ""}, "python3 -m pytest -q"),
        ({"test_a.py": "", "uv.lock": ""}, "uv run python -m pytest -q"),
        ({"test_a.py": "", "poetry.lock": ""}, "poetry run python -m pytest -q"),
        ({"pyproject.toml": "[tool.pytest.ini_options]\npython_files = ['check_*.py']"}, "python3 -m pytest -q"),
        ({"pytest.ini": "[pytest]\npython_files = spec_*.py"}, "python3 -m pytest -q"),
        ({"package.json": NODE}, "CI=true npm test"),
        ({"package.json": NODE, "pnpm-lock.yaml": ""}, "CI=true pnpm test"),
        ({"package.json": NODE, "yarn.lock": ""}, "CI=true yarn test"),
        ({"package.json": NODE, "bun.lockb": ""}, "CI=true bun run test"),
        ({"package.json": NODE[:-1] + ', "packageManager": "pnpm@9.1.0"}'}, "CI=true pnpm test"),
        ({"package.json": NODE[:-1] + ', "packageManager": "rm -rf /@9"}'}, "CI=true npm test"),
        ({"Cargo.toml": "[package]"}, "cargo test"),
        ({"go.mod": "module x"}, "go test ./..."),
        ({"Makefile": "all:\n\ttrue\ntest: all\n\ttrue\n"}, "make test"),
        ({"Makefile": "lint check:: all\n\ttrue\n"}, "make check"),
        ({"makefile": "check:\n", "Makefile": "test:\n"}, "make check"),
    ],
)
def test_the_files_tell_the_command(tmp_path: Path, files: dict[str, str], command: str) -> None:
    assert found(tmp_path, files, tools=("uv", "poetry")).command == command


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": "test:"},
        {"package.json": NPM_DEFAULT},
        {"package.json": '{"scripts": {"test": "  "}}'},
        {"package.json": '{"scripts": {"test": ["a"]}}'},
        {"package.json": '{"scripts": "test"}'},
        {"package.json": "[]"},
        {"package.json": '{"scripts"'},
        {"package.json": "[" * 100_000},
        {"pyproject.toml": "tool = 1"},
        {"pyproject.toml": "[tool.pytest"},
        {"pytest.ini": "[pytest]\naddopts = -q"},
        {"Makefile": "test := x\ncheck = y\n.PHONY: test\n\ttest:\n# test:\nfoo: test\n"},
        {"node_modules/x/test_a.py": "", ".hidden/test_b.py": "", "venv/lib/test_c.py": ""},
        {"contest.py": "", "test_data.txt": ""},
    ],
)
def test_what_is_no_test_is_not_taken_for_one(tmp_path: Path, files: dict[str, str]) -> None:
    check = found(tmp_path, files)

    assert check.command == ""
    assert check.why


def test_the_configured_command_is_taken_as_it_is(tmp_path: Path) -> None:
    assert found(tmp_path, {"go.mod": ""}, configured="make -j2 all") == Check("make -j2 all", "configured")


def test_the_first_kind_is_taken_and_the_others_are_told(tmp_path: Path) -> None:
    check = found(tmp_path, {"Makefile": "test:\n", "tests/test_a.py": "", "package.json": NODE})

    assert check == Check(
        "python3 -m pytest -q", "pytest, because of tests/test_a.py (there is CI=true npm test, make test too)"
    )


def test_a_configured_pytest_without_a_test_is_no_check_that_fails_for_having_none(tmp_path: Path) -> None:
    assert found(tmp_path, {"pytest.ini": "[pytest]"}) == Check("", "pytest is configured, but there is no test yet")


def test_the_project_s_own_environment_is_used_where_it_is_there(tmp_path: Path) -> None:
    program = tmp_path / ".venv/bin/python"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)

    assert found(tmp_path, {"test_a.py": "", "uv.lock": ""}, tools=("uv",)).command == ".venv/bin/python -m pytest -q"


def test_a_lock_file_of_a_tool_that_is_not_here_changes_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, {"test_a.py": "", "uv.lock": "", "poetry.lock": ""}).command == "python3 -m pytest -q"


def test_pipes_links_and_folders_in_place_of_files_tell_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "package.json")
    os.symlink("/dev/zero", tmp_path / "Makefile")
    (tmp_path / "pyproject.toml").mkdir()
    os.symlink(tmp_path, tmp_path / "round")
    os.mkfifo(tmp_path / "test_pipe.py")

    assert find_check(str(tmp_path)).command == ""
    assert find_check(str(tmp_path / "gone")).command == ""


def test_what_a_link_leads_to_is_not_the_project_s(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/test_a.py").touch()
    (tmp_path / "project").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "project/tests")

    assert find_check(str(tmp_path / "project")).command == ""


@given(files=st.dictionaries(st.sampled_from(FILES), st.binary(max_size=200), max_size=6))
def test_no_content_of_any_file_makes_it_fail_or_gets_into_the_command(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("project")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

    command = find_check(str(folder), which=lambda tool: tool).command

    assert command in {
        "", "python3 -m pytest -q", "uv run python -m pytest -q", "cargo test", "go test ./...", "make test",
        "make check", "CI=true npm test", "CI=true yarn test",
    }  # fmt: skip
