"""Writing back into Task Master's tasks.json: its owner's other fields, order and ids stay as they are."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from conductor.domain.errors import UsageError
from conductor.domain.lines import format_timestamp
from conductor.domain.run import StepStatus
from conductor.kit.durable import replace_file
from conductor.orchestrator.plans.loading import load_json, read_text
from conductor.orchestrator.plans.taskmaster_form import choose_tag, is_taskmaster
from conductor.orchestrator.plans.taskmaster_lock import alone_with
from conductor.orchestrator.plans.values import check_text, quoted

STATUSES = ("pending", "in-progress", "done", "review", "deferred", "cancelled", "blocked")
PRIORITIES = ("critical", "high", "medium", "low")
_AS_TASKMASTER_SAYS = {
    StepStatus.PENDING: "pending",
    StepStatus.IN_PROGRESS: "in-progress",
    StepStatus.COMPLETED: "done",
    StepStatus.FAILED: "pending",
    StepStatus.NEEDS_REVIEW: "review",
    StepStatus.BLOCKED: "pending",
    StepStatus.CANCELLED: "cancelled",
}

Task = dict[str, Any]


def taskmaster_status(status: StepStatus) -> str:
    """What Task Master calls it: it has no word for a failure, so what failed or waits for that is still to be done."""
    return _AS_TASKMASTER_SAYS[status]


class TaskMasterFile:
    """One tasks.json, and one tag in it; empty: `master`, or the only one there is.

    Each change is one reading and one writing with everybody else kept out, so none is lost. `now` is in epoch seconds.
    Raises UsageError where there is no such task or the file can't be used, PlanInvalid where it is no tasks.json,
    LockTimeout.
    """

    def __init__(self, path: str, tag: str = "") -> None:
        self._path = os.path.realpath(path)
        self._tag = tag

    def add_task(
        self, title: str, *, now: float, description: str = "", depends_on: Iterable[str] = (), priority: str = "medium"
    ) -> str:
        """Pending, at the end of the tag; its id, the next number."""
        _check_word("priority", priority, PRIORITIES)
        _check_texts(title, description)
        with self._tasks(now) as tasks:
            number = 1 + max((int(str(task["id"])) for task in tasks if str(task.get("id")).isdecimal()), default=0)
            as_text = bool(tasks) and all(isinstance(task.get("id"), str) for task in tasks)
            task: Task = {
                "id": str(number) if as_text else number,
                "title": title,
                "description": description,
                "details": "",
                "testStrategy": "",
                "status": "pending",
                "dependencies": [self._dependency(tasks, parent) for parent in depends_on],
                "priority": priority,
                "subtasks": [],
            }
            tasks.append(task)
        return str(number)

    def set_status(self, task_id: str, status: str, *, now: float) -> None:
        """Of a task, or of a sub-task as `3.1`. A task that is done has no sub-task that is not."""
        _check_word("status", status, STATUSES)
        with self._tasks(now) as tasks:
            task = self._find(tasks, task_id)
            changed = [task, *(_parts_of(task) if status == "done" else ())]
            for one in changed:
                one["status"] = status
                if "updatedAt" in one:
                    one["updatedAt"] = format_timestamp(now)

    def update_subtask(self, subtask_id: str, text: str, *, now: float) -> None:
        """Adds to the details of `3.1` what was learned, marked with the time as Task Master does it."""
        _check_texts(text)
        if "." not in subtask_id:
            raise UsageError(f"{quoted(subtask_id)} is no sub-task: name it as TASK.SUBTASK, 3.1")
        with self._tasks(now) as tasks:
            subtask = self._find(tasks, subtask_id)
            stamp = format_timestamp(now)
            added = f"<info added on {stamp}>\n{text}\n</info added on {stamp}>"
            before = str(subtask.get("details") or "")
            subtask["details"] = f"{before}\n{added}" if before else added

    @contextmanager
    def _tasks(self, now: float) -> Iterator[list[Task]]:
        """The tasks of the tag, to be changed in place; written when the block ends well."""
        try:
            with alone_with(self._path):
                text = read_text(self._path)
                document = load_json(text, self._path)
                part = self._part_of(document)
                yield part["tasks"]
                metadata = part.get("metadata")
                if isinstance(metadata, dict) and "updated" in metadata:
                    metadata["updated"] = format_timestamp(now)
                mode = os.stat(self._path).st_mode & 0o777
                replace_file(self._path, _encoded(_like(text, document)), mode, synced=True)
        except OSError as error:
            raise UsageError(f"can't change {self._path}: {error.strerror or error}") from error

    def _part_of(self, document: Any) -> dict[str, Any]:
        if not isinstance(document, dict) or not (is_taskmaster(document) or isinstance(document.get("tasks"), list)):
            raise UsageError(f"{self._path} is no tasks.json of Task Master")
        try:
            tag = choose_tag(document, self._tag)
        except ValueError as error:
            raise UsageError(f"{self._path}: {error}") from None
        part: dict[str, Any] = document[tag] if tag else document
        if not all(isinstance(task, dict) for task in part["tasks"]):
            raise UsageError(f"{self._path} holds a task that is none: `conductor plan` tells where")
        return part

    def _dependency(self, tasks: list[Task], task_id: str) -> Any:
        """As the file writes ids: a number where the task has one."""
        found = self._find(tasks, task_id)
        return task_id if "." in task_id else found["id"]

    def _find(self, tasks: list[Task], task_id: str) -> Task:
        own, _, part_id = task_id.partition(".")
        for task in tasks:
            if str(task.get("id")) == task_id:
                return task
            if part_id and str(task.get("id")) == own:
                for part in _parts_of(task):
                    if str(part.get("id")) in (part_id, task_id):
                        return part
        raise UsageError(f"there is no task {quoted(task_id)} in {self._path}")


def _parts_of(task: Task) -> list[Task]:
    found = task.get("subtasks")
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _like(text: str, document: Any) -> str:
    """As the file was written: its indentation, and its last line end or none."""
    indent = re.search(r"\n([ \t]+)", text)
    written = json.dumps(document, indent=indent[1] if indent else None, ensure_ascii=False)
    return written + ("\n" if text.endswith("\n") else "")


def _encoded(text: str) -> bytes:
    """Half a character pair can only stand in JSON by its number."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return re.sub(r"[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def _check_word(what: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise UsageError(f"{what} {quoted(word)}: it is one of {', '.join(known)}")


def _check_texts(*texts: str) -> None:
    for text in texts:
        try:
            check_text(text)
        except ValueError as error:
            raise UsageError(f"{quoted(text)}: {error}") from None
