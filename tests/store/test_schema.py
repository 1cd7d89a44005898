"""Formats of the database: a new one, old ones, newer ones, and those of somebody else.

tests/golden/store-v1.sql was written by the code of format 0001 and is never made anew. A new format gets a new file
beside it:

    python -m tests.store.test_schema tests/golden/store-v2.sql
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from conductor.domain.errors import StoreRefused
from conductor.domain.run import Activity, Changes, Heartbeat, Run, RunStatus, Wish
from conductor.store.database import Database
from conductor.store.schema import HEAD, MIGRATIONS, bring_up_to_date
from conductor.store.sqlite import open_store
from conductor.store.tables import METADATA
from conductor.testing.contract_store_base import FULL_DELEGATION, FULL_PROJECT, FULL_RUN, FULL_STEP

GOLDEN = Path(__file__).parent.parent / "golden"


def database_of(sql: str, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(sql)
    connection.close()


def dump_of(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def tables_of(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


# -- a new one


def test_a_new_database_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(str(tmp_path))
    finally:
        os.umask(before)
    store.remember("x", {})

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("conductor.db", "conductor.db-wal", "conductor.db-shm"), 0o600)
    store.close()


def test_the_place_is_below_the_home_unless_it_is_absolute(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    open_store(str(tmp_path), "a/b.db").close()
    open_store("/nonexistent", str(tmp_path / "c 100%?&.db")).close()

    assert (tmp_path / "a" / "b.db").is_file()
    assert (tmp_path / "c 100%?&.db").is_file()


def test_the_revisions_lead_to_the_tables_as_they_are(tmp_path: Path) -> None:
    open_store(str(tmp_path)).close()
    engine = create_engine(f"sqlite:///{tmp_path}/conductor.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == HEAD
    engine.dispose()


def test_the_head_that_is_checked_is_the_latest_revision() -> None:
    assert ScriptDirectory(MIGRATIONS).get_current_head() == HEAD


def test_a_present_database_is_opened_without_loading_alembic(tmp_path: Path) -> None:
    open_store(str(tmp_path)).close()
    program = (
        "import sys; from conductor.store.sqlite import open_store; open_store(sys.argv[1]).close(); "
        "print('alembic' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_processes_that_meet_at_a_new_home_make_it_once(tmp_path: Path) -> None:
    program = (
        "import sys; from conductor.store.sqlite import open_store; "
        "from conductor.domain.run import Activity, Changes; print('ready', flush=True); sys.stdin.read(1); "
        "open_store(sys.argv[1]).save(Changes(activity=(Activity(1.0, 'opened'),)))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(len(started)) as threads:
        complaints = list(threads.map(lambda process: process.communicate("x", timeout=60)[1], started))

    assert complaints == [""] * 4
    store = open_store(str(tmp_path))
    assert [one.sequence for one in store.activity()] == [1, 2, 3, 4]
    store.close()


# -- older ones


def test_a_database_of_format_1_opens_with_all_that_is_in_it(tmp_path: Path) -> None:
    database_of((GOLDEN / "store-v1.sql").read_text(encoding="utf-8"), tmp_path / "conductor.db")

    store = open_store(str(tmp_path))
    assert store.projects() == [FULL_PROJECT]
    assert store.runs() == [FULL_RUN, PLAIN_RUN]
    assert store.steps(FULL_RUN.id) == [FULL_STEP]
    assert store.delegations(FULL_RUN.id) == [FULL_DELEGATION]
    assert store.wish(FULL_RUN.id) == Wish(FULL_RUN.id, stop=True, approved=2, accept=("a.b_c-1",), again=("z",))
    assert store.heartbeats() == {"calculator": HEARTBEAT}
    assert store.activity() == [Activity(1.5, "run_started", "calculator", FULL_RUN.id, "", {"steps": 1}, sequence=1)]
    assert store.remembered("experience") == {"claude": {"tasks": 3}}
    store.save(Changes(activity=(Activity(2.0, "later"),)))
    assert [one.sequence for one in store.activity()] == [1, 2]
    assert (tmp_path / "conductor.db-wal").exists()
    store.close()


def test_wal_mode_waits_for_a_reader_of_the_older_kind(tmp_path: Path) -> None:
    database_of((GOLDEN / "store-v1.sql").read_text(encoding="utf-8"), tmp_path / "conductor.db")
    reader = sqlite3.connect(tmp_path / "conductor.db", isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM runs").fetchall()
    leaves = threading.Timer(0.2, reader.execute, ["ROLLBACK"])
    leaves.start()

    database = Database(str(tmp_path / "conductor.db"))
    bring_up_to_date(database)

    assert database.pragma("journal_mode") == "wal"
    database.close()
    leaves.join()
    reader.close()


def test_an_older_database_is_brought_to_a_new_format_with_all_that_is_in_it(tmp_path: Path) -> None:
    database_of((GOLDEN / "store-v1.sql").read_text(encoding="utf-8"), tmp_path / "conductor.db")
    migrations = next_revision(tmp_path, REBUILDS_RUNS)

    database = Database(str(tmp_path / "conductor.db"))
    bring_up_to_date(database, "9001", migrations)
    bring_up_to_date(database, "9001", migrations)

    assert database.pragma("foreign_keys") == 1
    assert database.pragma("journal_mode") == "wal"
    database.close()
    connection = sqlite3.connect(tmp_path / "conductor.db")
    assert connection.execute("SELECT id, colour FROM runs ORDER BY number").fetchall() == [
        (PLAIN_RUN.id, "green"),
        (FULL_RUN.id, "green"),
    ]
    assert connection.execute("SELECT count(*) FROM steps").fetchone() == (1,)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9001",)]
    connection.close()


@pytest.mark.parametrize("fault", ["raise RuntimeError('in the middle')", "os.kill(os.getpid(), 9)"])
def test_a_migration_that_ends_in_the_middle_leaves_the_database_as_it_was(tmp_path: Path, fault: str) -> None:
    database_of((GOLDEN / "store-v1.sql").read_text(encoding="utf-8"), tmp_path / "conductor.db")
    before = dump_of(tmp_path / "conductor.db")
    migrations = next_revision(tmp_path, f"{REBUILDS_RUNS}\n    import os\n    {fault}")
    program = (
        "import sys; from conductor.store.database import Database; from conductor.store.schema import "
        "bring_up_to_date; bring_up_to_date(Database(sys.argv[1]), '9001', sys.argv[2])"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "conductor.db"), migrations], capture_output=True
    )

    assert ended.returncode in (1, -9)
    assert dump_of(tmp_path / "conductor.db") == before
    store = open_store(str(tmp_path))
    assert store.runs() == [FULL_RUN, PLAIN_RUN]
    store.close()


def test_a_migration_that_would_leave_rows_without_their_run_is_undone(tmp_path: Path) -> None:
    database_of((GOLDEN / "store-v1.sql").read_text(encoding="utf-8"), tmp_path / "conductor.db")
    before = dump_of(tmp_path / "conductor.db")
    database = Database(str(tmp_path / "conductor.db"))

    with pytest.raises(StoreRefused, match="refers to a row of runs that is not there"):
        bring_up_to_date(database, "9001", next_revision(tmp_path, '    op.execute("DELETE FROM runs")'))

    database.close()
    assert dump_of(tmp_path / "conductor.db") == before


REBUILDS_RUNS = """\
    with op.batch_alter_table("runs", recreate="always") as table:
        table.add_column(sqlalchemy.Column("colour", sqlalchemy.Text, nullable=False, server_default="green"))"""


def next_revision(folder: Path, deed: str) -> str:
    """The migrations and one more, which does `deed`."""
    migrations = folder / "100% migrations"
    shutil.copytree(MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "v9001_next.py").write_text(
        f"import sqlalchemy\nfrom alembic import op\nrevision = '9001'\ndown_revision = {HEAD!r}\n\n\n"
        f"def upgrade():\n{deed}\n"
    )
    return str(migrations)


# -- newer ones, and those of somebody else


def test_a_database_of_a_newer_conductor_is_refused_and_not_touched(tmp_path: Path) -> None:
    open_store(str(tmp_path)).close()
    path = tmp_path / "conductor.db"
    database_of("UPDATE alembic_version SET version_num = '0999'", path)
    before = path.read_bytes()

    with pytest.raises(StoreRefused, match=r"conductor.db was written by a newer conductor .*0999.*update conductor$"):
        open_store(str(tmp_path))
    assert path.read_bytes() == before
    assert not [name for name in open_files() if name.startswith(str(path))]


def open_files() -> list[str]:
    return [os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if is_open(number)]


def is_open(number: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{number}")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE bookmarks (url TEXT)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('ae1027a6acf')",
    ],
)
def test_somebody_else_s_database_is_refused_and_not_touched(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "conductor.db"
    database_of(sql, path)
    before = path.read_bytes()

    with pytest.raises(StoreRefused, match="no database of conductor and was left as it is"):
        open_store(str(tmp_path))
    assert path.read_bytes() == before


# -- the golden database. It holds the values of the contract as they were then: where those get a further field, what
# is expected of it here is that field's default

PLAIN_RUN = Run("r-plain", "r-plain", "t", RunStatus.COMPLETED, 1.0, workspace="/srv/folder", isolated=False)
HEARTBEAT = Heartbeat("calculator", "orchestrator-4711-1a2b3c-00000000", 1_800_000_000.5, {"runs": [FULL_RUN.id]})


def write_golden(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        store.add_project(FULL_PROJECT)
        store.add_run(PLAIN_RUN)
        store.add_run(FULL_RUN, [FULL_STEP])
        started = Activity(1.5, "run_started", "calculator", FULL_RUN.id, "", {"steps": 1})
        store.save(Changes(delegations=(FULL_DELEGATION,), activity=(started,)))
        store.stop(FULL_RUN.id)
        store.approve(FULL_RUN.id, 2)
        store.accept(FULL_RUN.id, "a.b_c-1")
        store.again(FULL_RUN.id, "z")
        store.beat(HEARTBEAT)
        store.remember("experience", {"claude": {"tasks": 3}})
        store.close()
        path.write_text(dump_of(Path(folder, "conductor.db")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_golden(Path(sys.argv[1]))
