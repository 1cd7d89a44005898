"""The store that ships: one SQLite file, `conductor.db` in the home unless the settings name another place."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, select, update
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import IntegrityError

from conductor.domain.errors import NoSuchProject, NoSuchRun, UsageError
from conductor.domain.run import (
    ENDED_RUNS,
    OPEN_DELEGATIONS,
    Activity,
    Changes,
    Delegation,
    Heartbeat,
    Project,
    Run,
    RunStatus,
    StepState,
    Wish,
)
from conductor.ports.orchestration import Store
from conductor.store.database import Database
from conductor.store.rows import (
    activity_of,
    activity_row,
    as_json,
    delegation_of,
    delegation_row,
    document_of,
    heartbeat_of,
    heartbeat_row,
    project_of,
    project_row,
    run_of,
    run_row,
    step_of,
    step_row,
)
from conductor.store.schema import bring_up_to_date
from conductor.store.tables import ACTIVITY, DELEGATIONS, DOCUMENTS, HEARTBEATS, PROJECTS, RUNS, STEPS, WISHES

Rows = list[dict[str, Any]]


def open_store(home_path: str, location: str = "") -> Store:
    """`location`: where the file is, relative to the home unless absolute. It is made where there is none, and brought
    to the present format where it has an older one. Raises StoreRefused."""
    path = os.path.join(home_path, os.path.expanduser(location) or "conductor.db")
    database = Database(path)
    try:
        bring_up_to_date(database)
    except BaseException:
        database.close()
        raise
    return SqliteStore(database)


def _replacing(table: Table, *key: str) -> Insert:
    """Inserts rows; those whose key is there get the new values, and keep their number."""
    new = insert(table)
    changed = {column.name: new.excluded[column.name] for column in table.c if column.name not in (*key, "number")}
    return new.on_conflict_do_update(index_elements=key, set_=changed)


_SAVE_RUNS = _replacing(RUNS, "id")
_SAVE_STEPS = _replacing(STEPS, "run_id", "step_id")
_SAVE_DELEGATIONS = _replacing(DELEGATIONS, "task_id")
_SAVE_HEARTBEAT = _replacing(HEARTBEATS, "project")
_SAVE_DOCUMENT = _replacing(DOCUMENTS, "name")
_ADD_PROJECT = insert(PROJECTS).on_conflict_do_nothing()
_ADD_RUN = insert(RUNS).on_conflict_do_nothing()
_ADD_ACTIVITY = insert(ACTIVITY)
_WISH = insert(WISHES)
_WISH = _WISH.on_conflict_do_update(
    index_elements=["run_id", "what", "step_id"], set_={"asked": func.max(WISHES.c.asked, _WISH.excluded.asked)}
)


class SqliteStore:
    """Every call is one transaction; what is read is a row a value."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- projects

    def add_project(self, project: Project) -> None:
        with self._database.writing() as connection:
            if connection.execute(_ADD_PROJECT, project_row(project)).rowcount != 1:
                raise UsageError(f"there is a project {project.name!r} already: choose another name")

    def save_project(self, project: Project) -> None:
        with self._database.writing() as connection:
            changed = update(PROJECTS).where(PROJECTS.c.name == project.name).values(project_row(project))
            if connection.execute(changed).rowcount != 1:
                raise NoSuchProject(project.name)

    def project(self, name: str) -> Project | None:
        return next(map(project_of, self._database.rows(select(PROJECTS).where(PROJECTS.c.name == name))), None)

    def projects(self) -> list[Project]:
        return [project_of(row) for row in self._database.rows(select(PROJECTS).order_by(PROJECTS.c.name))]

    # -- runs

    def add_run(self, run: Run, steps: Sequence[StepState] = ()) -> None:
        # Rows are made before the transaction begins: others wait for it.
        row, step_rows = run_row(run), [step_row(state) for state in steps]
        with self._database.writing() as connection:
            if connection.execute(_ADD_RUN, row).rowcount != 1:
                raise UsageError(f"there is a run {run.id!r} already: choose another id")
            _write(connection, _SAVE_STEPS, step_rows)

    def replace_steps(self, run: Run, steps: Sequence[StepState]) -> None:
        row, step_rows = run_row(run), [step_row(state) for state in steps]
        with self._database.writing() as connection:
            connection.execute(_SAVE_RUNS, row)
            connection.execute(delete(STEPS).where(STEPS.c.run_id == run.id))
            _write(connection, _SAVE_STEPS, step_rows)

    def save(self, changes: Changes) -> None:
        runs = [run_row(changes.run)] if changes.run else []
        steps = [step_row(state) for state in changes.steps]
        delegations = [delegation_row(delegation) for delegation in changes.delegations]
        activity = [activity_row(activity) for activity in changes.activity]
        try:
            with self._database.writing() as connection:
                _write(connection, _SAVE_RUNS, runs)
                _write(connection, _SAVE_STEPS, steps)
                _write(connection, _SAVE_DELEGATIONS, delegations)
                _write(connection, _ADD_ACTIVITY, activity)
        except IntegrityError as error:
            self._check_runs({row["run_id"] for row in (*steps, *delegations)}, error)
            raise

    def forget(self, run_id: str) -> None:
        with self._database.writing() as connection:
            status = connection.execute(select(RUNS.c.status).where(RUNS.c.id == run_id)).scalar()
            if status is not None and status not in ENDED_RUNS:
                raise UsageError(f"run {run_id} is not over: `conductor runs stop {run_id}` ends it")
            for table in (ACTIVITY, WISHES, DELEGATIONS, STEPS):
                connection.execute(delete(table).where(table.c.run_id == run_id))
            connection.execute(delete(RUNS).where(RUNS.c.id == run_id))

    def run(self, run_id: str) -> Run | None:
        return next(map(run_of, self._database.rows(select(RUNS).where(RUNS.c.id == run_id))), None)

    def runs(self, project: str = "", *, active: bool = False, limit: int = 0) -> list[Run]:
        wanted = select(RUNS).order_by(RUNS.c.created.desc(), RUNS.c.number.desc())
        if project:
            wanted = wanted.where(RUNS.c.project == project)
        if active:
            wanted = wanted.where(RUNS.c.status.in_([status for status in RunStatus if status not in ENDED_RUNS]))
        return [run_of(row) for row in self._database.rows(_limited(wanted, limit))]

    def steps(self, run_id: str) -> list[StepState]:
        wanted = select(STEPS).where(STEPS.c.run_id == run_id).order_by(STEPS.c.position)
        return [step_of(row) for row in self._database.rows(wanted)]

    def delegations(self, run_id: str, step_id: str = "") -> list[Delegation]:
        wanted = select(DELEGATIONS).where(DELEGATIONS.c.run_id == run_id)
        if step_id:
            wanted = wanted.where(DELEGATIONS.c.step_id == step_id)
        return self._delegations(wanted)

    def open_delegations(self, project: str) -> list[Delegation]:
        wanted = select(DELEGATIONS).join(RUNS, RUNS.c.id == DELEGATIONS.c.run_id)
        return self._delegations(
            wanted.where(RUNS.c.project == project, DELEGATIONS.c.state.in_(sorted(OPEN_DELEGATIONS)))
        )

    def _delegations(self, wanted: Select[Any]) -> list[Delegation]:
        ordered = wanted.order_by(DELEGATIONS.c.created, DELEGATIONS.c.number)
        return [delegation_of(row) for row in self._database.rows(ordered)]

    # -- wishes

    def wish(self, run_id: str) -> Wish:
        wanted = select(WISHES).where(WISHES.c.run_id == run_id).order_by(WISHES.c.number)
        rows = self._database.rows(wanted)
        return Wish(
            run_id,
            stop=any(row["what"] == "stop" for row in rows),
            approved=max((row["asked"] for row in rows if row["what"] == "approve"), default=0),
            accept=tuple(row["step_id"] for row in rows if row["what"] == "accept"),
            again=tuple(row["step_id"] for row in rows if row["what"] == "again"),
        )

    def stop(self, run_id: str) -> None:
        self._wish(run_id, "stop")

    def resume(self, run_id: str) -> None:
        with self._database.writing() as connection:
            _take_back_stop(connection, run_id)

    def approve(self, run_id: str, asked: int) -> None:
        self._wish(run_id, "approve", asked=asked)

    def accept(self, run_id: str, step_id: str) -> None:
        self._wish(run_id, "accept", step_id)

    def again(self, run_id: str, step_id: str) -> None:
        self._wish(run_id, "again", step_id)

    def granted(self, run_id: str, step_id: str) -> None:
        with self._database.writing() as connection:
            _forget_wishes(connection, run_id, step_id)

    def _wish(self, run_id: str, what: str, step_id: str = "", asked: int = 0) -> None:
        try:
            with self._database.writing() as connection:
                if step_id:  # the last word counts
                    _forget_wishes(connection, run_id, step_id)
                    _take_back_stop(connection, run_id)
                connection.execute(_WISH, {"run_id": run_id, "what": what, "step_id": step_id, "asked": asked})
        except IntegrityError as error:
            self._check_runs({run_id}, error)
            raise

    def _check_runs(self, run_ids: set[str], error: IntegrityError) -> None:
        """Raises NoSuchRun where one of these is not there: SQLite does not say which."""
        known = {row["id"] for row in self._database.rows(select(RUNS.c.id).where(RUNS.c.id.in_(run_ids)))}
        for run_id in sorted(run_ids - known):
            raise NoSuchRun(run_id) from error

    # -- life signs and history

    def beat(self, heartbeat: Heartbeat) -> None:
        with self._database.writing() as connection:
            connection.execute(_SAVE_HEARTBEAT, heartbeat_row(heartbeat))

    def heartbeats(self) -> dict[str, Heartbeat]:
        rows = self._database.rows(select(HEARTBEATS).order_by(HEARTBEATS.c.project))
        return {row["project"]: heartbeat_of(row) for row in rows}

    def activity(self, after: int = 0, *, project: str = "", run_id: str = "", limit: int = 0) -> list[Activity]:
        wanted = select(ACTIVITY).where(ACTIVITY.c.sequence > after).order_by(ACTIVITY.c.sequence)
        if project:
            wanted = wanted.where(ACTIVITY.c.project == project)
        if run_id:
            wanted = wanted.where(ACTIVITY.c.run_id == run_id)
        return [activity_of(row) for row in self._database.rows(_limited(wanted, limit))]

    def remembered(self, what: str) -> Mapping[str, Any]:
        rows = self._database.rows(select(DOCUMENTS).where(DOCUMENTS.c.name == what))
        return document_of(rows[0]["content"]) if rows else {}

    def remember(self, what: str, document: Mapping[str, Any]) -> None:
        row = {"name": what, "content": as_json(document)}
        with self._database.writing() as connection:
            connection.execute(_SAVE_DOCUMENT, row)

    def version(self) -> int:
        return self._database.version()

    def close(self) -> None:
        self._database.close()


def _write(connection: Connection, statement: Insert, rows: Rows) -> None:
    if rows:
        connection.execute(statement, rows)


def _limited(wanted: Select[Any], limit: int) -> Select[Any]:
    return wanted.limit(limit) if limit else wanted


def _forget_wishes(connection: Connection, run_id: str, step_id: str) -> None:
    connection.execute(delete(WISHES).where(WISHES.c.run_id == run_id, WISHES.c.step_id == step_id))


def _take_back_stop(connection: Connection, run_id: str) -> None:
    connection.execute(delete(WISHES).where(WISHES.c.run_id == run_id, WISHES.c.what == "stop"))
