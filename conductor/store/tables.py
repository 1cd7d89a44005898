"""The tables as they are now; `migrations` tells how they came to be, and a test keeps the two the same.

What people and queries ask for is a column; the rest of a value is one JSON text in `facts` (free text can hold what
an SQL text can't). `sqlite3 conductor.db "select step_id, status, step->>'title' from steps"` reads well.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

METADATA = MetaData()


def _kept(name: str, kind: type[TypeEngine[Any]], *more: SchemaItem, unique: bool = False) -> Column[Any]:
    return Column(name, kind, *more, nullable=False, unique=unique or None)


def _number() -> Column[int]:
    """In the order in which rows were first written; never given twice, not even after a row has gone."""
    return Column("number", Integer, primary_key=True)


PROJECTS = Table(
    "projects",
    METADATA,
    Column("name", Text, primary_key=True, nullable=False),
    _kept("created", Float),
    _kept("facts", Text),
)

RUNS = Table(
    "runs",
    METADATA,
    _number(),
    _kept("id", Text, unique=True),
    _kept("project", Text),
    _kept("status", Text),
    _kept("created", Float),
    _kept("started", Float),
    _kept("ended", Float),
    _kept("facts", Text),
    Index("runs_by_status", "status", "project"),
    sqlite_autoincrement=True,
)

STEPS = Table(
    "steps",
    METADATA,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True, nullable=False),
    Column("step_id", Text, primary_key=True, nullable=False),
    _kept("position", Integer),
    _kept("status", Text),
    _kept("round", Integer),
    _kept("bounces", Integer),
    _kept("wave", Integer),
    _kept("agent", Text),
    _kept("model", Text),
    _kept("usd", Float),
    _kept("tokens", Integer),
    _kept("commit", Text),
    _kept("started", Float),
    _kept("ended", Float),
    _kept("step", Text),
    _kept("facts", Text),
    Index("steps_by_status", "status", "run_id"),
)

DELEGATIONS = Table(
    "delegations",
    METADATA,
    _number(),
    _kept("task_id", Text, unique=True),
    _kept("run_id", Text, ForeignKey("runs.id")),
    _kept("step_id", Text),
    _kept("round", Integer),
    _kept("state", Text),
    _kept("created", Float),
    _kept("agent", Text),
    _kept("model", Text),
    _kept("usd", Float),
    _kept("tokens", Integer),
    _kept("ended", Float),
    _kept("facts", Text),
    Index("delegations_by_step", "run_id", "step_id"),
    Index("delegations_by_state", "state"),
    sqlite_autoincrement=True,
)

WISHES = Table(
    "wishes",
    METADATA,
    _number(),
    _kept("run_id", Text, ForeignKey("runs.id")),
    _kept("what", Text),
    _kept("step_id", Text),
    _kept("asked", Integer),
    Index("wishes_once", "run_id", "what", "step_id", unique=True),
    sqlite_autoincrement=True,
)
"""`what`: stop, approve (up to the `asked`th time), accept or again (of `step_id`)."""

HEARTBEATS = Table(
    "heartbeats",
    METADATA,
    Column("project", Text, primary_key=True, nullable=False),
    _kept("owner", Text),
    _kept("at", Float),
    _kept("state", Text),
)

ACTIVITY = Table(
    "activity",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    _kept("at", Float),
    _kept("action", Text),
    _kept("project", Text),
    _kept("run_id", Text),
    _kept("step_id", Text),
    _kept("facts", Text),
    Index("activity_by_project", "project"),
    Index("activity_by_run", "run_id"),
    sqlite_autoincrement=True,
)

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("name", Text, primary_key=True, nullable=False),
    _kept("content", Text),
)
