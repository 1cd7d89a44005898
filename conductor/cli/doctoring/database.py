"""conductor.db: sound, and of a format that this version reads."""

from __future__ import annotations

import os
from collections.abc import Iterator

from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.sign import Sign, ok, warning, wrong
from conductor.store.health import Health, examine

_CHECK_WITHIN_SECONDS = 0.25


def look_at_database(case: Case) -> Iterator[Sign]:
    path = database_of(case)
    if path and os.path.exists(path):
        yield judge_database(path, examine(path, None if case.deep else _CHECK_WITHIN_SECONDS))


def database_of(case: Case) -> str:
    """Empty where the store is none of ours."""
    if case.settings is None:
        return case.home.database
    if case.settings.orchestrator.store != "sqlite":
        return ""
    location = os.path.expanduser(case.settings.orchestrator.store_location) or "conductor.db"
    return os.path.join(case.home.path, location)


def judge_database(path: str, found: Health) -> Sign:
    if found.faults:
        remedy = (
            "stop conductord, keep a copy, then bring back a backup, or move it away with its -wal and -shm: a new one "
            "is made; tasks and merged commits are kept elsewhere"
        )
        return wrong("database", f"{path}: {'; '.join(found.faults)}", remedy)
    if found.format == "foreign":
        return wrong("database", f"{path} is no database of conductor", "name another in orchestrator.store_location")
    if found.format > found.known:
        what = f"{path} has format {found.format}, this conductor reads up to {found.known}"
        return wrong("database", what, "update conductor")
    if found.format and found.format < found.known:
        what = f"{path} has format {found.format}; it becomes {found.known} when it is opened next"
        return warning("database", what, "copy it first: an earlier conductor can't read the new format")
    if not found.is_whole:
        return ok("database", f"{path}, format {found.format}; too large to be checked now: --deep checks all of it")
    return ok("database", f"{path}, format {found.format or 'none yet'}, sound")
