"""Names and counts straight from the store's file: for a shell's completion and for `top`, which can't wait half a
second for the library, nor carry it. Only reads, and tells nothing where the file can't be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_PATIENCE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RunGlance:
    """One run in a line. Times are seconds since 1970, 0: not yet."""

    id: str
    project: str
    status: str
    title: str
    created: float
    started: float


class Glance:
    """One connection, for as long as one looks."""

    def __init__(self, path: str) -> None:
        """Raises sqlite3.Error where there is no such file."""
        address = f"file:{quote(path)}?mode=ro"
        self._connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")

    def version(self) -> int:
        """Another number whenever somebody has written."""
        return int(self._rows("PRAGMA data_version")[0][0])

    def runs(self, among: Sequence[str] = (), limit: int = 200) -> list[RunGlance]:
        """The latest first; `among`: only of these statuses."""
        marks = ", ".join("?" * len(among))
        where = f"WHERE status IN ({marks})" if among else ""
        wanted = "id, project, status, coalesce(json_extract(facts, '$.title'), ''), created, started"
        order = "ORDER BY created DESC, number DESC LIMIT ?"
        rows = self._rows(f"SELECT {wanted} FROM runs {where} {order}", (*among, limit))  # noqa: S608 - `?` only
        return [RunGlance(*row) for row in rows]

    def steps(self, run_id: str) -> dict[str, int]:
        """How many steps of it have which status."""
        return dict(self._rows("SELECT status, count(*) FROM steps WHERE run_id = ? GROUP BY status", (run_id,)))

    def step_ids(self, run_id: str, limit: int = 200) -> list[tuple[str, str]]:
        """(step, status), in the plan's order."""
        return self._rows(
            "SELECT step_id, status FROM steps WHERE run_id = ? ORDER BY position LIMIT ?", (run_id, limit)
        )

    def projects(self, limit: int = 200) -> list[str]:
        rows = self._rows("SELECT name FROM projects ORDER BY created DESC LIMIT ?", (limit,))
        return [name for (name,) in rows]

    def close(self) -> None:
        self._connection.close()

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        with closing(self._connection.execute(statement, tuple(values))) as cursor:
            return cursor.fetchall()
