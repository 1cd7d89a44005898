"""One SQLite file as this process holds it: a connection, short transactions, and errors in words."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Executable, StaticPool, create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from conductor.domain.errors import StoreRefused, UsageError

PATIENCE_SECONDS = 20.0
"""For another process's transaction, of which none takes a tenth of a second on a sound disk."""
_LARGEST_WAL_KEPT = 16 << 20


class Database:
    """Raises StoreRefused whenever SQLite does, with the deed, the path and the next step. Threads may share it.

    Reading sees what is committed; `writing` is one IMMEDIATE transaction: it has the only write lock from its first
    moment, so it never has to be tried again. What is committed outlives this process; a power cut may take the last
    moments of it, never a part of a transaction.
    """

    def __init__(self, path: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.path = path
        self._patience_seconds = patience_seconds
        self._turn = threading.RLock()
        with self._told("open"):
            _make_private(path)
            self._identity = _identity(path)
            self._engine = create_engine("sqlite://", creator=self._connect, poolclass=StaticPool)
            self._connection = self._engine.connect()

    def _connect(self) -> sqlite3.Connection:
        # isolation_level None: nothing but `writing` begins a transaction.
        connection = sqlite3.connect(
            self.path, timeout=self._patience_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_WAL_KEPT}")
        except BaseException:
            connection.close()
            raise
        self._driver = connection
        return connection

    def rows(self, statement: Executable) -> list[dict[str, Any]]:
        """Inside of `writing` it sees what was written so far."""
        with self._turn, self._told("read"):
            with nullcontext() if self._connection.in_transaction() else self._connection.begin():
                found = self._connection.execute(statement)
                names = tuple(found.keys())
                return [dict(zip(names, row, strict=True)) for row in found]

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All that is done in it, or nothing. Lets IntegrityError through."""
        with self._turn, self._told("write"):
            if _identity(self.path) != self._identity:
                raise StoreRefused(f"cannot write {self.path}: it was moved or replaced under way: start this anew")
            with self._connection.begin():
                self._connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield self._connection

    def pragma(self, question: str) -> Any:
        """The first value of its answer; of `foreign_keys = OFF` None."""
        with self._turn, self._told("read"), self._connection.begin():
            found = self._connection.exec_driver_sql(f"PRAGMA {question}")
            return found.scalar() if found.returns_rows else None

    def version(self) -> int:
        """Another number whenever another connection has committed: asked of SQLite itself, in microseconds."""
        with self._turn, self._told("read"):
            (found,) = self._driver.execute("PRAGMA data_version").fetchone()
            return int(found)

    def use_wal(self) -> None:
        """Readers and the writer don't wait for each other from now on; is kept in the file itself."""
        if self.pragma("journal_mode") == "wal":
            return
        # SQLite does not wait by itself here, where two processes meet at a new file.
        deadline = time.monotonic() + self._patience_seconds
        while self._refuses_wal() and time.monotonic() < deadline:
            time.sleep(0.005)
        if self.pragma("journal_mode") != "wal":
            self.pragma("synchronous = FULL")  # without a WAL, NORMAL may damage the file in a power cut

    def _refuses_wal(self) -> bool:
        with self._turn:
            try:
                with self._connection.begin():
                    return bool(self._connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar() != "wal")
            except DBAPIError as error:
                if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    return True
                raise refusal("write", self.path, error, self._patience_seconds) from error

    def close(self) -> None:
        with self._turn:
            self._connection.close()
            self._engine.dispose()

    @contextmanager
    def _told(self, deed: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise refusal(deed, self.path, error, self._patience_seconds) from error
        except sqlite3.Error as error:  # of connecting
            raise refusal(deed, self.path, error, self._patience_seconds) from error
        except UnicodeEncodeError as error:
            raise UsageError(f"a name with half a character in it can't be kept: {error.object!r:.200}") from error
        except OSError as error:
            raise StoreRefused(f"cannot {deed} {self.path}: {error.strerror}: check it and its folder") from error


def refusal(deed: str, path: str, error: BaseException, waited_seconds: float) -> StoreRefused:
    """What SQLite's error means to a person, and what to do."""
    return StoreRefused(f"cannot {deed} {path}: {_meaning(path, error, waited_seconds)}")


def _meaning(path: str, error: BaseException, waited_seconds: float) -> str:
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                f"another process has held it for more than {waited_seconds:g} s: end that one "
                f"(`fuser -v {path}` shows who has it open), then try again"
            )
        case sqlite3.SQLITE_FULL:
            return "the disk is full: make room, then try again; all that was written before is there"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return (
                "it is damaged, or no database: bring back a copy, or move it away with its -wal and -shm and a new "
                "one is made; tasks and merged commits are kept elsewhere"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return f"{_words(error)}: check owner and rights of it and of its folder"
        case sqlite3.SQLITE_IOERR:
            return f"{_words(error)}: check the disk that it is on, and the room left there"
        case _:
            return f"{_words(error)}: check that it is a database of this version of conductor"


def _code(error: BaseException) -> int:
    """SQLite's primary result code; 0: none."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return int(getattr(origin, "sqlite_errorcode", 0)) & 0xFF


def _words(error: BaseException) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)


def _make_private(path: str) -> None:
    """SQLite gives its -wal and -shm the mode of the file, so it must be right before SQLite sees it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass  # closing a descriptor of an existing one would drop the locks that this process holds on it


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
