"""Wiring of cleaning: tasks of the queue, runs of the store, and what orchestrators keep beside it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conductor.app import LOCK_DEADLINE_SECONDS, chance, open_layout
from conductor.app.stores import nothing_kept, open_store
from conductor.domain.home import Home
from conductor.domain.outcome import Status
from conductor.domain.run import Run, RunStatus
from conductor.kit.lock import QuickLock
from conductor.queue.cleaning import Choice, Cleaner
from conductor.queue.files import QueueFiles, Surroundings
from conductor.queue.trash import Rest, no_rest, size_of

if TYPE_CHECKING:
    from conductor.ports.orchestration import Store
    from conductor.queue.layout import Layout
    from conductor.settings.model import Settings

_BESIDE_THE_STORE = ("context", "checks")
_WORK_THEN_REST = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to go: what ended longer than `older_than` seconds ago, and ended so (none: however)."""

    older_than: float
    statuses: frozenset[Status] = frozenset()
    keep: int = 0
    """Of the tasks that are old enough the last so many stay."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What went, or would. `bytes`: on disk; `refused`: names that the system refused to delete."""

    tasks: int
    runs: int
    bytes: int
    refused: int = 0


def would_clean(layout: Layout, settings: Settings, wanted: Wanted) -> Cleaned:
    """What `clean` would remove now."""
    with _old_runs(layout.home, settings, wanted) as (store, runs):
        cleaner = _cleaner(layout)
        tasks = freed = 0
        for old in cleaner.choose(_choice(wanted, store)):
            tasks, freed = tasks + 1, freed + cleaner.size(old)
        freed += sum(size_of(path) for run in runs for path in _files_of(layout.home, run))
        return Cleaned(tasks, len(runs), freed)


def clean(layout: Layout, settings: Settings, wanted: Wanted, rest: Rest = no_rest) -> Cleaned:
    """Removes it, and what a clean that was killed had begun to remove."""
    with _old_runs(layout.home, settings, wanted) as (store, runs):
        cleaner = _cleaner(layout)
        if store is not None:
            _forget(store, runs, layout.home, cleaner)
        tasks, freed, refused = cleaner.clean(cleaner.choose(_choice(wanted, store)), rest)
        return Cleaned(tasks, len(runs), freed, refused)


def _forget(store: Store, runs: Iterable[Run], home: Home, cleaner: Cleaner) -> None:
    for run in runs:
        for path in _files_of(home, run):  # first: a run that is still known is found again
            cleaner.trash.take(path)
        store.forget(run.id)


def sweep(home_path: str) -> None:
    """What conductord has done now and then by a process of its own: as the settings want it, gently, told on standard
    output as a line of JSON."""
    from conductor.settings.model import load_settings

    os.nice(10)
    layout = open_layout(home_path, os.environ)
    settings = load_settings(layout.home, os.environ)
    retention = settings.retention
    if retention.older_than is None:
        return
    wanted = Wanted(retention.older_than, frozenset(retention.status), retention.keep)
    done = clean(layout, settings, wanted, lambda seconds: time.sleep(min(1.0, seconds * _WORK_THEN_REST)))
    print(json.dumps({"tasks": done.tasks, "runs": done.runs, "bytes": done.bytes, "refused": done.refused}))


def _cleaner(layout: Layout) -> Cleaner:
    return Cleaner(QueueFiles(layout, Surroundings(QuickLock(layout.lock, LOCK_DEADLINE_SECONDS), time.time, chance)))


def _choice(wanted: Wanted, store: Store | None) -> Choice:
    return Choice(time.time() - wanted.older_than, wanted.statuses, wanted.keep, _belongs_to(_kept_runs(store)))


def _kept_runs(store: Store | None) -> frozenset[str]:
    """Those that are not over or that a person was asked to look at: their tasks are needed."""
    runs = store.runs() if store is not None else []
    return frozenset(run.id for run in runs if not run.is_over or run.status is RunStatus.NEEDS_REVIEW)


def _belongs_to(run_ids: Collection[str]) -> Callable[[str], bool]:
    return lambda task_id: task_id.partition(".")[0] in run_ids


@contextmanager
def _old_runs(home: Home, settings: Settings, wanted: Wanted) -> Iterator[tuple[Store | None, list[Run]]]:
    """The store, where there is one, and the runs that are to go: none where tasks are chosen by how they ended."""
    if nothing_kept(home, settings):
        yield None, []
        return
    store = open_store(home, settings)
    try:
        before, kept = time.time() - wanted.older_than, _kept_runs(store)
        runs = [run for run in store.runs() if run.id not in kept and 0 < run.ended < before]
        yield store, [] if wanted.statuses else runs
    finally:
        store.close()


def _files_of(home: Home, run: Run) -> Iterator[str]:
    """What is kept of a run beside the store."""
    folder = home.project(run.project)
    if run.project == run.id:  # it has none: the whole folder is its own
        if os.path.isdir(folder):
            yield folder
        return
    for kind in _BESIDE_THE_STORE:
        try:
            names = os.listdir(f"{folder}/{kind}")
        except FileNotFoundError:
            continue
        yield from (f"{folder}/{kind}/{name}" for name in names if name.partition(".")[0] == run.id)
