"""Where a task is, and what there is: reads names first and contents only of what is shown."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from conductor.domain.errors import BadTask
from conductor.domain.outcome import Status
from conductor.domain.task import ID_PATTERN, TaskSpec, Tries
from conductor.domain.view import Counts, Ended, Queued, Running, TaskView, Waiting, view_id
from conductor.queue.files import QueueFiles
from conductor.queue.inbox import Batch, Inbox
from conductor.queue.names import Entry, dead_name, parse_dead
from conductor.queue.records import read_record, verdict_of

_LOOKS = 5
"""A task that moves on while its file is being opened must not look gone: it makes three moves an attempt."""


@dataclass(frozen=True, slots=True)
class Found:
    """One task's file; `batch` and `spec` are set when it is still a line of an inbox batch."""

    path: str
    entry: Entry
    is_dead: bool = False
    batch: str = ""
    spec: TaskSpec | None = None


def inbox_of(files: QueueFiles) -> Inbox:
    return Inbox(files.layout.inbox, files.layout.tmp, files.home.tasks, files.refuse, files.clock)


def locate(files: QueueFiles, task_id: str) -> Found | None:
    """The file that is the task, in whatever state it is; None when it has ended or never was.

    Looks twice: a task that moves on between two folders while they are read must not look gone.
    """
    return _locate_once(files, task_id) or _locate_once(files, task_id)


def _locate_once(files: QueueFiles, task_id: str) -> Found | None:
    layout = files.layout
    for folder in (layout.claimed, layout.finishing):
        for name, entry in files.owned_entries(folder):
            if entry.task_id == task_id:
                return Found(f"{folder}/{name}", entry)
    suffix = "~" + task_id
    for shelf in (files.ready, files.waiting, files.after):
        for path, entry in shelf.walk():
            if path.endswith(suffix):
                return Found(path, entry)
    for name in os.listdir(layout.dead):
        dead = parse_dead(name)
        if dead is not None and dead.task_id == task_id:
            return Found(f"{layout.dead}/{name}", dead, is_dead=True)
    for batch, spec in batched(files):
        if spec.id == task_id and not files.last_attempt(task_id):
            return Found(batch.path, Entry(task_id, Tries()), batch=batch.name, spec=spec)
    return None


def queued_ids(files: QueueFiles) -> set[str]:
    """The ids of all that have a file in some state; lines of batches apart."""
    found = {entry.task_id for shelf in (files.ready, files.waiting, files.after) for _, entry in shelf.walk()}
    for folder in (files.layout.claimed, files.layout.finishing):
        found.update(entry.task_id for _, entry in files.owned_entries(folder))
    found.update(name.partition("~")[0] for name in os.listdir(files.layout.dead))
    return found


def find(files: QueueFiles, task_id: str) -> TaskView | None:
    if not ID_PATTERN.fullmatch(task_id):
        return None  # no such id was ever accepted, and it may be a path
    for _ in range(_LOOKS):
        found = locate(files, task_id)
        is_dead = found is not None and found.is_dead
        view = ended(files, task_id, can_retry=is_dead) if found is None or is_dead else _view(files, found)
        if view is not None and not (isinstance(view, Ended) and view.status is Status.RETRY):
            return view
    return None


def _view(files: QueueFiles, found: Found) -> TaskView | None:
    if found.spec is not None:
        return Queued(found.spec, Tries(), in_batch=found.batch)
    try:
        spec, changed = files.read_task(found.path), os.stat(found.path).st_ctime
    except (OSError, BadTask):
        return None
    if found.entry.owner:
        recording = found.path.startswith(files.layout.finishing)
        return Running(spec, found.entry.tries, found.entry.owner, changed, recording)
    if found.path.startswith(files.layout.waiting):
        return Waiting(spec, found.entry.tries, found.entry.order)
    if found.path.startswith(files.layout.after):
        return Waiting(spec, found.entry.tries, 0, files.after.awaits(found.path))
    return Queued(spec, found.entry.tries)


def ended(files: QueueFiles, task_id: str, *, can_retry: bool) -> Ended | None:
    last = files.last_attempt(task_id)
    record = read_record(files.home.attempt(task_id, last)) if last else None
    return Ended(task_id, Status(record["status"]), record, can_retry) if record else None


def last_end(files: QueueFiles, task_id: str) -> Ended | None:
    view = ended(files, task_id, can_retry=False)
    if view is None or view.status in (Status.SUCCESS, Status.RETRY):
        return view
    name = dead_name(task_id, verdict_of(view.record).tries)
    return replace(view, can_retry=os.path.exists(f"{files.layout.dead}/{name}"))


def tasks(files: QueueFiles, kinds: Collection[type] = (), beginning: str = "") -> Iterator[TaskView]:
    """A snapshot without the lock, read as it is asked for. Only tasks whose id begins so are read."""
    seen: set[str] = set()
    for kind, source in ((Running, _owned), (Queued, _ready), (Waiting, _waiting)):
        if not kinds or kind in kinds:
            for found in source(files):
                is_asked_for = found.entry.task_id.startswith(beginning)
                view = _view(files, found) if is_asked_for else None
                if view is not None:
                    seen.add(found.entry.task_id)
                    yield view
        elif Queued in kinds:
            seen.update(found.entry.task_id for found in source(files))
    if not kinds or Queued in kinds:
        yield from (view for view in _in_batches(files, seen) if view_id(view).startswith(beginning))
    if not kinds or Ended in kinds:
        yield from _dead(files, beginning)


def _owned(files: QueueFiles) -> Iterator[Found]:
    for folder in (files.layout.claimed, files.layout.finishing):
        yield from (Found(f"{folder}/{name}", entry) for name, entry in files.owned_entries(folder))


def _ready(files: QueueFiles) -> Iterator[Found]:
    return (Found(path, entry) for path, entry in files.ready.walk())


def _waiting(files: QueueFiles) -> Iterator[Found]:
    for shelf in (files.waiting, files.after):
        yield from (Found(path, entry) for path, entry in shelf.walk())


def _in_batches(files: QueueFiles, seen: Collection[str]) -> Iterator[TaskView]:
    """The last lines that were unpacked still stand in their batch: those were seen."""
    for batch, spec in batched(files):
        if spec.id not in seen and not files.last_attempt(spec.id):
            yield Queued(spec, Tries(), in_batch=batch.name)


def _dead(files: QueueFiles, beginning: str) -> Iterator[TaskView]:
    for name in sorted(os.listdir(files.layout.dead)):
        dead = parse_dead(name)
        if dead is None:
            files.refuse(f"{files.layout.dead}/{name}", f"{name!r} in dead/ is no name of a task")
            continue
        view = ended(files, dead.task_id, can_retry=True) if dead.task_id.startswith(beginning) else None
        if view is not None:
            yield view


def counts(files: QueueFiles) -> Counts:
    layout = files.layout
    inbox = inbox_of(files)
    return Counts(
        batched=sum(max(0, _line_count(batch) - batch.done) for batch in inbox.batches()),
        ready=_leaves(layout.ready, 4),
        waiting=_leaves(layout.waiting, 2) + _leaves(layout.after, 2),
        running=len(os.listdir(layout.claimed)) + len(os.listdir(layout.finishing)),
        dead=len(os.listdir(layout.dead)),
        corrupt=sum(not name.endswith(".reason") for name in os.listdir(layout.corrupt)),
    )


def batched(files: QueueFiles) -> Iterator[tuple[Batch, TaskSpec]]:
    inbox = inbox_of(files)
    for batch in inbox.batches():
        try:
            for line in inbox.lines(batch):
                if isinstance(line, TaskSpec):
                    yield batch, line
        except FileNotFoundError:
            continue  # unpacked meanwhile: its tasks are found in ready/


def _line_count(batch: Batch) -> int:
    try:
        with open(batch.path, "rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0


def _leaves(folder: str, depth: int) -> int:
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if depth == 0:
        return len(names)
    return sum(_leaves(f"{folder}/{name}", depth - 1) for name in names)
