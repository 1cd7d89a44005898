"""A database that can't be used: what is said of it, and that it works again when the trouble is over."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.errors import StoreRefused, UsageError
from conductor.domain.run import Changes
from conductor.ports.orchestration import Store
from conductor.store.database import Database
from conductor.store.schema import bring_up_to_date
from conductor.store.sqlite import SqliteStore, open_store
from conductor.testing.contract_store_base import RUN, happened, run, step_state

NOBODY = 65534


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """One that waits for others a twentieth of a second only."""
    database = Database(str(tmp_path / "conductor.db"), patience_seconds=0.05)
    bring_up_to_date(database)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return SqliteStore(database)


def test_a_full_disk_is_told_and_what_was_written_before_is_there(database: Database, store: Store) -> None:
    store.add_run(run(), [step_state("a")])
    pages = database.pragma("page_count")
    database.pragma(f"max_page_count = {pages}")

    with pytest.raises(StoreRefused, match=r"cannot write .*conductor.db: the disk is full: make room"):
        store.save(Changes(run=run(title="new"), activity=(happened(facts={"text": "x" * 1_000_000}),)))
    assert (store.runs(), store.activity()) == ([run()], [])

    database.pragma(f"max_page_count = {pages * 1000}")
    store.save(Changes(run=run(title="new"), activity=(happened(),)))
    assert [one.sequence for one in store.activity()] == [1]


def test_a_file_that_may_not_grow_is_told(tmp_path: Path) -> None:
    open_store(str(tmp_path)).close()
    program = (
        "import resource, sys; from conductor.store.sqlite import open_store; from conductor.domain.errors import "
        "StoreRefused; store = open_store(sys.argv[1]); store.remember('a', {});"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try:\n    store.remember('b', {'text': 'x' * 1_000_000})\nexcept StoreRefused as error:\n    print(error)\n"
        "store.remember('c', {})"
    )

    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)

    assert "conductor.db: " in ended.stdout, ended.stderr
    assert ended.returncode == 0, ended.stderr
    store = open_store(str(tmp_path))
    assert (store.remembered("b"), store.remembered("a")) == ({}, {})
    store.close()


def test_a_lock_that_is_held_for_too_long_is_told(tmp_path: Path, store: Store) -> None:
    store.add_run(run())
    other = sqlite3.connect(tmp_path / "conductor.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreRefused, match=r"another process has held it for more than 0.05 s: end that one"):
        store.stop(RUN)
    assert store.runs() == [run()]

    other.execute("ROLLBACK")
    other.close()
    store.stop(RUN)
    assert store.wish(RUN).stop


@pytest.mark.parametrize("content", [b"no database at all, but a letter to my aunt" * 100, b"\x00" * 8192])
def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "conductor.db"
    path.write_bytes(content)

    with pytest.raises(StoreRefused, match=r"conductor.db: it is damaged, or no database: bring back a copy"):
        open_store(str(tmp_path))
    assert path.read_bytes() == content


def test_a_damaged_page_is_told(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.add_run(run(), [step_state(f"s{number}", number) for number in range(500)])
    store.close()
    path = tmp_path / "conductor.db"
    content = path.read_bytes()
    path.write_bytes(content[:8192] + os.urandom(len(content) - 8192))

    damaged = open_store(str(tmp_path))
    with pytest.raises(StoreRefused, match="it is damaged"):
        damaged.steps(RUN)
    damaged.close()


def test_a_row_that_makes_no_sense_is_told(tmp_path: Path, store: Store) -> None:
    store.add_run(run())
    other = sqlite3.connect(tmp_path / "conductor.db")
    with other:
        other.execute("UPDATE runs SET status = 'dancing'")
    other.close()

    with pytest.raises(StoreRefused, match="'dancing' is not a valid RunStatus"):
        store.runs()


def test_a_database_that_was_moved_away_under_way_is_told_and_not_written(tmp_path: Path, store: Store) -> None:
    store.add_run(run())
    (tmp_path / "conductor.db").rename(tmp_path / "moved.db")
    with pytest.raises(StoreRefused, match=r"cannot write .*conductor.db: .*No such file"):
        store.stop(RUN)

    (tmp_path / "conductor.db").touch()
    with pytest.raises(StoreRefused, match="moved or replaced under way"):
        store.stop(RUN)


@pytest.mark.parametrize("place", ["missing/conductor.db", ".", "file/conductor.db"])
def test_a_place_that_can_not_be_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreRefused, match=f"cannot (open|read) {tmp_path}/{place}: "):
        open_store(str(tmp_path), place)
    assert sorted(os.listdir(tmp_path)) == ["file"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_database_that_may_not_be_written_is_told(what: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody who may not")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        home = Path(folder)
        open_store(folder).close()
        (home / "conductor.db").chmod(0o644 if what == "file" else 0o666)
        home.chmod(0o777 if what == "file" else 0o755)

        assert "check owner and rights of it and of its folder" in what_a_stranger_is_told(home)


def what_a_stranger_is_told(home: Path) -> str:
    program = (
        "import os, sys; from conductor.store.sqlite import open_store; from conductor.domain.errors import "
        f"StoreRefused; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "try:\n    open_store(sys.argv[1]).remember('a', {})\nexcept StoreRefused as error:\n    print(error)\n"
    )

    ended = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, text=True)
    return ended.stdout or ended.stderr


def test_a_name_with_half_a_character_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="half a character"):
        store.save(Changes(run=run(project="caf\udce9")))

    assert store.runs() == []
    store.save(Changes(run=run()))
