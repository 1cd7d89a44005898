"""Which format a database has, and how it comes to the present one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy import text

from conductor.domain.errors import StoreRefused
from conductor.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0001"
"""The latest revision in `migrations/versions`. Revisions are numbers of four digits, so that older and newer can be
told apart without loading alembic."""
MIGRATIONS = os.path.join(os.path.dirname(__file__), "migrations")

_TABLES = text("SELECT name FROM sqlite_master WHERE type = 'table'")
_FORMAT = text("SELECT version_num FROM alembic_version")


def bring_up_to_date(database: Database, head: str = HEAD, migrations: str = MIGRATIONS) -> None:
    """Makes or changes the tables where needed. Of several processes one does it and the others wait for it.

    Raises StoreRefused for a database of a newer version, or of somebody else, and leaves it as it is.
    """
    if _format(database, head) == head:
        database.use_wal()
        return
    database.use_wal()
    # A table that is rebuilt is dropped, and what refers to it would go with it.
    database.pragma("foreign_keys = OFF")
    with database.writing() as connection:
        upgrade(connection, head, migrations)  # does nothing where another process did it meanwhile
        _check_references(database.path, connection)
    database.pragma("foreign_keys = ON")


def upgrade(connection: Connection, head: str = HEAD, migrations: str = MIGRATIONS) -> None:
    """Runs the revisions that are missing, inside of the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", migrations.replace("%", "%%"))
    command.upgrade(config, head)


def _format(database: Database, head: str) -> str:
    """The revision that a database has; empty: nothing is in it."""
    tables = {row["name"] for row in database.rows(_TABLES)} - {"sqlite_sequence"}
    if not tables:
        return ""
    found = [row["version_num"] for row in database.rows(_FORMAT)] if "alembic_version" in tables else []
    if len(found) != 1 or not found[0].isdecimal():
        raise StoreRefused(
            f"{database.path} is no database of conductor and was left as it is: name another place in "
            "orchestrator.store_location, or move it away"
        )
    if int(found[0]) > int(head):
        raise StoreRefused(
            f"{database.path} was written by a newer conductor (format {found[0]}, this one knows {head}) and was left "
            "as it is: update conductor"
        )
    return str(found[0])


def _check_references(path: str, connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise StoreRefused(
            f"cannot migrate {path}: a row of {broken[0]} refers to a row of {broken[2]} that is not there; it was "
            "left as it is: bring back a copy, or move it away"
        )
