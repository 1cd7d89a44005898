"""`conductor taskmaster` changes tasks.json as a user asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conductor.cli.taskmaster import DEFAULT_FILE, taskmaster
from conductor.domain.errors import UsageError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / DEFAULT_FILE
    path.parent.mkdir(parents=True)
    tasks = [{"id": 1, "title": "One", "status": "pending", "mine": 1, "subtasks": [{"id": 1, "status": "pending"}]}]
    path.write_text(json.dumps({"master": {"tasks": tasks}}))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(taskmaster, arguments, catch_exceptions=False)


def tasks_in(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())["master"]["tasks"]
    return found


def test_a_task_is_added_and_its_id_is_printed(file: Path) -> None:
    ran = run("add", "Two", "--after", "1", "--priority", "high")

    assert ran.output == "2\n"
    assert [(task["title"], task["dependencies"]) for task in tasks_in(file)[1:]] == [("Two", [1])]


def test_the_status_of_several_is_set(file: Path) -> None:
    run("set-status", "in-progress", "1", "1.1")

    task = tasks_in(file)[0]
    assert (task["status"], task["subtasks"][0]["status"], task["mine"]) == ("in-progress", "in-progress", 1)


def test_a_sub_task_learns(file: Path) -> None:
    run("update-subtask", "1.1", "It works")

    assert "\nIt works\n" in tasks_in(file)[0]["subtasks"][0]["details"]


def test_what_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(UsageError, match="no task '9'"):
        run("set-status", "done", "9")
    with pytest.raises(UsageError, match="no tag 'x'"):
        run("set-status", "done", "1", "--tag", "x")


def test_a_file_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match="with --file"):
        run("set-status", "done", "1")
