"""Task Master's tasks.json is written back with all that was in it, and no change of anybody is lost."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import LockTimeout, PlanInvalid, UsageError
from conductor.domain.run import StepStatus
from conductor.orchestrator.plans.taskmaster import STATUSES, TaskMasterFile, taskmaster_status
from conductor.orchestrator.plans.taskmaster_lock import STALE_SECONDS, alone_with
from tests.orchestrator.plans.support import shared, written
from tests.support import REPOSITORY

NOON = 1_700_000_000.0
FILE = {
    "future": {"tasks": [{"id": 1, "title": "Other tag", "status": "pending"}]},
    "master": {
        "zeta": "unknown",
        "tasks": [
            {"id": 2, "owner": "ada", "title": "Zwei ä", "status": "pending", "dependencies": [], "subtasks": []},
            {
                "id": 3,
                "title": "Three",
                "status": "pending",
                "subtasks": [{"id": 1, "title": "Part", "status": "pending", "details": "So far"}, {"id": 2}],
                "updatedAt": "then",
            },
        ],
        "metadata": {"updated": "then", "created": "before", "mine": 1},
    },
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return written(tmp_path, "tasks.json", json.dumps(FILE, indent=2, ensure_ascii=False))


def master(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())["master"]
    return found


def test_a_status_is_set_and_nothing_else_is_touched(path: str) -> None:
    before = Path(path).read_text()

    TaskMasterFile(path).set_status("2", "in-progress", now=NOON)

    after = Path(path).read_text()
    lines = list(zip(before.split("\n"), after.split("\n"), strict=True))
    assert [(old.strip(), new.strip()) for old, new in lines if old != new] == [
        ('"status": "pending",', '"status": "in-progress",'),
        ('"updated": "then",', '"updated": "2023-11-14T22:13:20.000Z",'),
    ]


def test_a_sub_task_is_found_by_its_task_and_number(path: str) -> None:
    TaskMasterFile(path).set_status("3.1", "done", now=NOON)

    task = master(path)["tasks"][1]
    assert task["status"] == "pending"
    assert task["subtasks"][0]["status"] == "done"


def test_a_task_that_is_done_has_no_sub_task_that_is_not(path: str) -> None:
    TaskMasterFile(path).set_status("3", "done", now=NOON)

    task = master(path)["tasks"][1]
    assert [part["status"] for part in task["subtasks"]] == ["done", "done"]
    assert task["updatedAt"] == "2023-11-14T22:13:20.000Z"


def test_what_was_learned_is_added_to_a_sub_task(path: str) -> None:
    TaskMasterFile(path).update_subtask("3.1", "It needs a lock", now=NOON)

    stamp = "2023-11-14T22:13:20.000Z"
    assert master(path)["tasks"][1]["subtasks"][0]["details"] == (
        f"So far\n<info added on {stamp}>\nIt needs a lock\n</info added on {stamp}>"
    )


def test_a_new_task_gets_the_next_number_and_names_others_as_they_are(path: str) -> None:
    number = TaskMasterFile(path).add_task("Four", now=NOON, depends_on=["2", "3.1"], priority="high")

    assert number == "4"
    assert master(path)["tasks"][-1] == {
        "id": 4,
        "title": "Four",
        "description": "",
        "details": "",
        "testStrategy": "",
        "status": "pending",
        "dependencies": [2, "3.1"],
        "priority": "high",
        "subtasks": [],
    }


def test_ids_that_are_text_stay_text(tmp_path: Path) -> None:
    path = written(tmp_path, "tasks.json", json.dumps({"tasks": [{"id": "9", "title": "A", "status": "pending"}]}))

    TaskMasterFile(path).add_task("B", now=NOON, depends_on=["9"])

    added = json.loads(Path(path).read_text())["tasks"][1]
    assert (added["id"], added["dependencies"]) == ("10", ["9"])


def test_another_tag_is_changed_alone(path: str) -> None:
    TaskMasterFile(path, "future").set_status("1", "done", now=NOON)

    assert master(path) == FILE["master"]
    assert json.loads(Path(path).read_text())["future"]["tasks"][0]["status"] == "done"


def test_the_file_keeps_its_mode_and_its_line_end_and_leaves_nothing_beside_it(path: str) -> None:
    os.chmod(path, 0o640)
    Path(path).write_text(Path(path).read_text() + "\n")

    TaskMasterFile(path).set_status("2", "done", now=NOON)

    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert Path(path).read_text().endswith("}\n")
    assert os.listdir(os.path.dirname(path)) == ["tasks.json"]


def test_half_a_character_pair_stays_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, "tasks.json", '{"tasks": [{"id": 1, "title": "ä \\ud83d", "status": "pending"}]}')

    TaskMasterFile(path).set_status("1", "done", now=NOON)

    assert Path(path).read_text() == '{"tasks": [{"id": 1, "title": "ä \\ud83d", "status": "done"}]}'


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (lambda file: file.set_status("7", "done", now=NOON), "no task '7'"),
        (lambda file: file.set_status("3.9", "done", now=NOON), "no task '3.9'"),
        (lambda file: file.set_status("2", "finished", now=NOON), "status 'finished': it is one of pending"),
        (lambda file: file.update_subtask("3", "x", now=NOON), "is no sub-task"),
        (lambda file: file.add_task("x", now=NOON, depends_on=["7"]), "no task '7'"),
        (lambda file: file.add_task("x\x1b", now=NOON), "control character"),
        (lambda file: file.add_task("x", now=NOON, priority="urgent"), "priority 'urgent'"),
    ],
)
def test_what_cannot_be_is_refused_and_the_file_stays(path: str, deed: Any, told: str) -> None:
    before = Path(path).read_bytes()

    with pytest.raises(UsageError, match=told):
        deed(TaskMasterFile(path))

    assert Path(path).read_bytes() == before
    assert os.listdir(os.path.dirname(path)) == ["tasks.json"]


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"a": {"b": 1}}'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, "tasks.json", text)

    with pytest.raises(UsageError, match=r"is no tasks\.json"):
        TaskMasterFile(path).set_status("1", "done", now=NOON)


def test_a_broken_file_is_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "tasks.json", '{"tasks": [')

    with pytest.raises(PlanInvalid, match="not JSON"):
        TaskMasterFile(path).set_status("1", "done", now=NOON)


def test_a_lock_that_task_master_holds_is_waited_for(path: str) -> None:
    os.mkdir(f"{path}.lock")

    with pytest.raises(LockTimeout), alone_with(path, deadline_seconds=0.05):
        pass


def test_another_process_of_ours_is_waited_for(path: str) -> None:
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    with pytest.raises(LockTimeout), alone_with(path, deadline_seconds=0.05):
        pass

    os.close(folder)


@pytest.mark.parametrize("make", [os.mkdir, lambda path: Path(path).write_text("{}")])
def test_a_lock_that_task_master_forgot_is_removed(path: str, make: Any) -> None:
    make(f"{path}.lock")
    long_ago = os.stat(path).st_mtime - STALE_SECONDS - 1
    os.utime(f"{path}.lock", (long_ago, long_ago))

    TaskMasterFile(path).set_status("2", "done", now=NOON)

    assert master(path)["tasks"][0]["status"] == "done"


WRITER = """
import sys
from conductor.orchestrator.plans.taskmaster import TaskMasterFile
path, who, count = sys.argv[1:]
file = TaskMasterFile(path)
for number in range(int(count)):
    file.add_task(f"{who} {number}", now=0.0)
    file.update_subtask("3.1", f"{who} {number} was here", now=0.0)
"""


def test_processes_that_write_at_once_lose_nothing(path: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, f"writer{who}", "8"], cwd=REPOSITORY) for who in range(3)
    ]

    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    tasks = master(path)["tasks"]
    wanted = {f"writer{who} {number}" for who in range(3) for number in range(8)}
    assert {task["title"] for task in tasks[2:]} == wanted
    assert sorted(task["id"] for task in tasks) == list(range(2, 28))
    details = tasks[1]["subtasks"][0]["details"]
    assert all(f"{one} was here" in details for one in wanted)


@pytest.mark.parametrize("name", ["collabcanvas.json", "testcraft.json"])
def test_a_real_file_is_written_back_as_it_was_but_for_the_change(tmp_path: Path, name: str) -> None:
    path = shutil.copy(shared(f"taskmaster/{name}"), tmp_path / "tasks.json")
    os.chmod(path, 0o644)
    before = Path(path).read_text().split("\n")
    task_id = str(json.loads("\n".join(before))["master"]["tasks"][-1]["id"])

    TaskMasterFile(str(path)).set_status(task_id, "review", now=NOON)

    after = Path(path).read_text().split("\n")
    changed = [new.strip() for old, new in zip(before, after, strict=True) if old != new]
    assert [line.split(":")[0] for line in changed] == ['"status"', '"updated"']


def test_every_status_of_a_step_has_a_word_there() -> None:
    assert {taskmaster_status(status) for status in StepStatus} <= set(STATUSES)
