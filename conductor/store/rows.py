"""Values of the domain as rows, and back: pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar, get_origin, get_type_hints

from conductor.domain.errors import StoreRefused
from conductor.domain.plan import Step
from conductor.domain.run import Activity, Delegation, Heartbeat, Project, Run, StepState

T = TypeVar("T")
Row = Mapping[str, Any]


class Shape(Generic[T]):
    """How a kind of value is kept: some of its fields as columns, `apart` by whoever uses it, the others in `facts`."""

    def __init__(self, kind: type[T], columns: tuple[str, ...] = (), apart: tuple[str, ...] = ()) -> None:
        assert is_dataclass(kind)
        names = tuple(field.name for field in fields(kind))
        self._kind, self._columns = kind, columns
        self._others = tuple(name for name in names if name not in (*columns, *apart))
        self._readers = {name: read for name, hint in get_type_hints(kind).items() if (read := _reader(hint))}

    def row(self, value: T) -> dict[str, Any]:
        row = {name: getattr(value, name) for name in self._columns}
        row["facts"] = self.facts(value)
        return row

    def facts(self, value: T) -> str:
        return as_json({name: getattr(value, name) for name in self._others})

    def value(self, row: Row, **apart: Any) -> T:
        """Facts that nobody knows any more are passed over; those that are missing have their defaults."""
        try:
            kept = json.loads(row["facts"])
            found = {name: kept[name] for name in self._others if name in kept}
            for name in self._columns:
                found[name] = row[name]
            for name, read in self._readers.items():
                if name in found:
                    found[name] = read(found[name])
            return self._kind(**found, **apart)
        except (ValueError, TypeError) as error:
            raise StoreRefused(f"a row of {self._kind.__name__} can't be read ({error}): {dict(row)!r:.300}") from error


def _reader(hint: Any) -> Callable[[Any], Any] | None:
    """What makes the field's value out of JSON's; None: it is one already."""
    if get_origin(hint) is tuple:
        return tuple
    return hint if isinstance(hint, type) and issubclass(hint, StrEnum) else None


def _fields_of(value: object) -> dict[str, Any]:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{value!r:.100} is not JSON")


as_json = json.JSONEncoder(default=_fields_of, separators=(",", ":")).encode
"""ASCII, so that any text may be in it: half a surrogate from a file's name too, and U+0000."""


_PROJECT = Shape(Project, ("name", "created"))
_RUN = Shape(Run, ("id", "project", "status", "created", "started", "ended"))
_STEP = Shape(Step)
_STEP_STATE = Shape(
    StepState,
    (
        *("run_id", "position", "status", "round", "bounces", "wave", "agent", "model", "usd", "tokens"),
        *("commit", "started", "ended"),
    ),
    apart=("step",),
)
_DELEGATION = Shape(
    Delegation,
    ("task_id", "run_id", "step_id", "round", "state", "created", "agent", "model", "usd", "tokens", "ended"),
)

project_row, project_of = _PROJECT.row, _PROJECT.value
run_row, run_of = _RUN.row, _RUN.value
delegation_row, delegation_of = _DELEGATION.row, _DELEGATION.value


def step_row(state: StepState) -> dict[str, Any]:
    return {**_STEP_STATE.row(state), "step_id": state.step.id, "step": _STEP.facts(state.step)}


def step_of(row: Row) -> StepState:
    return _STEP_STATE.value(row, step=_STEP.value({"facts": row["step"]}))


def activity_row(activity: Activity) -> dict[str, Any]:
    """Without the sequence, which the database gives."""
    names = ("at", "action", "project", "run_id", "step_id")
    return {**{name: getattr(activity, name) for name in names}, "facts": as_json(activity.facts)}


def activity_of(row: Row) -> Activity:
    return Activity(**{**row, "facts": document_of(row["facts"])})


def heartbeat_row(heartbeat: Heartbeat) -> dict[str, Any]:
    return {
        "project": heartbeat.project,
        "owner": heartbeat.owner,
        "at": heartbeat.at,
        "state": as_json(heartbeat.state),
    }


def heartbeat_of(row: Row) -> Heartbeat:
    return Heartbeat(**{**row, "state": document_of(row["state"])})


def document_of(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise StoreRefused(f"a document in the store can't be read ({error}): {text!r:.300}") from error
