"""Whether a database file is sound and can be read by this version: asked of SQLite itself, without opening a store."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

REVISIONS = os.path.join(os.path.dirname(__file__), "migrations", "versions")
_STEPS_BETWEEN_LOOKS = 10_000
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    """`format`: empty where nothing is in it; `known`: the latest that this version reads."""

    format: str
    known: str
    faults: tuple[str, ...] = ()
    """What the check found, or why the file can't be read."""
    is_whole: bool = True
    """False: the check was not finished in its time."""


def known_format() -> str:
    """The latest revision here, from the names of the migrations: `schema.HEAD` without what that loads."""
    names = (name for name in os.listdir(REVISIONS) if name.startswith("v") and name.endswith(".py"))
    return max((name[1:5] for name in names), default="0000")


def examine(path: str, within_seconds: float | None, *, check: bool = True) -> Health:
    """Reads only. `within_seconds`: how long the check of the pages may take; None: as long as it takes."""
    known = known_format()
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", timeout=_PATIENCE_SECONDS, uri=True)) as database:
            found = _format(database)
            faults, is_whole = _check(database, within_seconds) if check else ((), True)
            return Health(found, known, faults, is_whole)
    except sqlite3.Error as error:
        return Health("", known, (str(error),))


def workspaces_in(path: str) -> dict[str, str]:
    """Each project's main checkout; nothing where the file can't say."""
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", timeout=_PATIENCE_SECONDS, uri=True)) as database:
            return {str(name): str(path) for name, path in database.execute("SELECT name, workspace FROM projects")}
    except sqlite3.Error:
        return {}


def _format(database: sqlite3.Connection) -> str:
    """`foreign` where the tables are somebody else's."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" in tables:
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(found[0]) if found else "foreign"
    return "foreign" if tables - {"sqlite_sequence"} else ""


def _check(database: sqlite3.Connection, within_seconds: float | None) -> tuple[tuple[str, ...], bool]:
    """What is wrong, and whether all of it was looked at."""
    deadline = None if within_seconds is None else time.monotonic() + within_seconds
    database.set_progress_handler(
        lambda: int(deadline is not None and time.monotonic() > deadline), _STEPS_BETWEEN_LOOKS
    )
    question = "PRAGMA quick_check(5)" if within_seconds is not None else "PRAGMA integrity_check(20)"
    try:
        found = tuple(str(row[0]) for row in database.execute(question))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return (), False
    return (() if found == ("ok",) else found), True


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
