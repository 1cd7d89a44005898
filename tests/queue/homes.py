"""Homes and queues for the tests of the queue."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import FileLock

from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, parse_result
from conductor.domain.retry import RetryPolicy
from conductor.domain.task import TaskSpec
from conductor.domain.view import Queued
from conductor.kit.lock import QuickLock
from conductor.queue.directory import DirectoryQueue
from conductor.queue.files import Surroundings
from conductor.queue.layout import Layout, open_home
from conductor.testing.clock import ManualClock

DEFAULT_POLICY = RetryPolicy()
LockMaker = Callable[[Layout], AbstractContextManager[Any]]


def quick_lock(layout: Layout) -> QuickLock:
    return QuickLock(layout.lock, deadline_seconds=30.0)


def file_lock(layout: Layout) -> FileLock:
    """As app.py makes it."""
    return FileLock(
        layout.lock, timeout=30.0, poll_interval=0.002, mode=0o600, fallback_to_soft=False, preserve_lock_file=True
    )


def open_queue(
    folder: Path,
    clock: Callable[[], float],
    policy: RetryPolicy = DEFAULT_POLICY,
    chance: Callable[[], float] = lambda: 0.0,
    make_lock: LockMaker = quick_lock,
) -> tuple[DirectoryQueue, Layout]:
    """A new handle, as a new process would have it, on the home at `folder`."""
    layout = open_home(Home(str(folder)))
    return DirectoryQueue(layout, Surroundings(make_lock(layout), clock, chance, policy)), layout


def result_lines(layout: Layout) -> list[ResultLine]:
    """results.txt, whose every line must be whole and readable."""
    text = Path(layout.home.results).read_bytes().decode()
    assert text == "" or text.endswith("\n"), f"torn: {text[-200:]!r}"
    return [parse_result(line + "\n") for line in text.split("\n")[:-1]]


def task_of(path: Path) -> str:
    """The id in the name of a file of ready/ or waiting/, which begins with its order, or of the other folders."""
    parts = path.name.split("~")
    return parts[2] if "/ready/" in str(path) or "/waiting/" in str(path) else parts[0]


def corrupt_files(layout: Layout) -> dict[str, str]:
    """What lies in corrupt/, each with its reason."""
    found = {}
    for name in sorted(os.listdir(layout.corrupt)):
        if not name.endswith(".reason"):
            found[name] = Path(layout.corrupt, name + ".reason").read_text()
    return found


class Inbox:
    """A queue and the folder beside it in which strangers write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.reopen()

    def reopen(self) -> None:
        self.queue: DirectoryQueue
        self.layout: Layout
        self.queue, self.layout = open_queue(self.folder / "home", self.clock)

    def path(self, name: str) -> Path:
        return Path(self.layout.inbox, name)

    def drop(self, content: str | bytes, name: str = "tasks.txt") -> None:
        """As a careful stranger does: written elsewhere, then moved in."""
        outside = self.folder / name
        outside.write_bytes(content if isinstance(content, bytes) else content.encode())
        outside.rename(self.path(name))

    def tend(self, default_agent: str = "command") -> list[str]:
        """Until there is nothing to do; returns the reasons of what was refused."""
        reasons: list[str] = []
        while True:
            tended = self.queue.tend(default_agent)
            reasons.extend(tended.refused)
            if not tended.more:
                return reasons

    def specs(self) -> list[TaskSpec]:
        return [view.spec for view in self.queue.tasks() if isinstance(view, Queued)]

    def descriptions(self) -> list[str]:
        return [spec.description for spec in self.specs()]

    def corrupt(self) -> dict[str, str]:
        """Each refused file's content with the reason beside it."""
        found = corrupt_files(self.layout)
        return {Path(self.layout.corrupt, name).read_text(errors="replace"): reason for name, reason in found.items()}
