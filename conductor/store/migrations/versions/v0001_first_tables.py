"""The first tables."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, Integer, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    _projects_and_runs()
    _steps()
    _delegations()
    _wishes()
    _history()


def _projects_and_runs() -> None:
    op.create_table(
        "projects",
        Column("name", Text, primary_key=True, nullable=False),
        Column("created", Float, nullable=False),
        Column("facts", Text, nullable=False),
    )
    op.create_table(
        "runs",
        Column("number", Integer, primary_key=True),
        Column("id", Text, nullable=False, unique=True),
        Column("project", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("created", Float, nullable=False),
        Column("started", Float, nullable=False),
        Column("ended", Float, nullable=False),
        Column("facts", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_by_status", "runs", ["status", "project"])


def _steps() -> None:
    op.create_table(
        "steps",
        Column("run_id", Text, ForeignKey("runs.id"), primary_key=True, nullable=False),
        Column("step_id", Text, primary_key=True, nullable=False),
        Column("position", Integer, nullable=False),
        Column("status", Text, nullable=False),
        Column("round", Integer, nullable=False),
        Column("bounces", Integer, nullable=False),
        Column("wave", Integer, nullable=False),
        Column("agent", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("usd", Float, nullable=False),
        Column("tokens", Integer, nullable=False),
        Column("commit", Text, nullable=False),
        Column("started", Float, nullable=False),
        Column("ended", Float, nullable=False),
        Column("step", Text, nullable=False),
        Column("facts", Text, nullable=False),
    )
    op.create_index("steps_by_status", "steps", ["status", "run_id"])


def _delegations() -> None:
    op.create_table(
        "delegations",
        Column("number", Integer, primary_key=True),
        Column("task_id", Text, nullable=False, unique=True),
        Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
        Column("step_id", Text, nullable=False),
        Column("round", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("created", Float, nullable=False),
        Column("agent", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("usd", Float, nullable=False),
        Column("tokens", Integer, nullable=False),
        Column("ended", Float, nullable=False),
        Column("facts", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("delegations_by_step", "delegations", ["run_id", "step_id"])
    op.create_index("delegations_by_state", "delegations", ["state"])


def _wishes() -> None:
    op.create_table(
        "wishes",
        Column("number", Integer, primary_key=True),
        Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
        Column("what", Text, nullable=False),
        Column("step_id", Text, nullable=False),
        Column("asked", Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("wishes_once", "wishes", ["run_id", "what", "step_id"], unique=True)


def _history() -> None:
    op.create_table(
        "heartbeats",
        Column("project", Text, primary_key=True, nullable=False),
        Column("owner", Text, nullable=False),
        Column("at", Float, nullable=False),
        Column("state", Text, nullable=False),
    )
    op.create_table(
        "activity",
        Column("sequence", Integer, primary_key=True),
        Column("at", Float, nullable=False),
        Column("action", Text, nullable=False),
        Column("project", Text, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("step_id", Text, nullable=False),
        Column("facts", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("activity_by_project", "activity", ["project"])
    op.create_index("activity_by_run", "activity", ["run_id"])
    op.create_table(
        "documents",
        Column("name", Text, primary_key=True, nullable=False),
        Column("content", Text, nullable=False),
    )
