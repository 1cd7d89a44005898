"""What somebody looks at in `conductor top`, and what a key makes of it: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from conductor.cli.top_look import Look, Row

FILTERS = ("all", "running", "queued", "ended", "failed")
_KINDS = {"running": ("slot",), "queued": ("next", "delayed"), "ended": ("ended",)}
_NEXT_AMONG_ALL, _DELAYED_AMONG_ALL = 5, 3
_LONGEST_SEARCH = 60
_OVER = ("FAILED", "TIMEOUT", "CANCELLED", "BUDGET")


class Mode(StrEnum):
    LIST = "list"
    SEARCH = "search"
    """What is searched for is being typed."""
    CONFIRM = "confirm"
    LOG = "log"
    HELP = "help"


class Deed(StrEnum):
    QUIT = "quit"
    PAUSE = "pause"
    """Or resume."""
    CANCEL = "cancel"
    RETRY = "retry"
    REDRAW = "redraw"


@dataclass(frozen=True, slots=True)
class View:
    mode: Mode = Mode.LIST
    filter: str = "all"
    search: str = ""
    key: str = ""
    """Of the chosen row."""
    index: int = 0
    """Where that row is, or was."""
    note: str = ""
    """What became of the last deed."""
    task: str = ""
    """Whose log is shown, or who is to be cancelled."""
    attempt: int = 0
    """Of the log; 0: the latest."""
    up: int = 0
    """How many lines the log is scrolled up from its end; 0: it is followed."""


def visible(look: Look, view: View) -> list[Row]:
    """The rows that filter and search let through."""
    if view.filter == "failed":
        rows: Sequence[Row] = look.failures
    elif view.filter == "all":
        rows = _shortened(look.rows) if not view.search else look.rows
    else:
        rows = [row for row in look.rows if row.kind in _KINDS[view.filter]]
    wanted = view.search.lower()
    return [row for row in rows if not wanted or wanted in _searched(row)]


def _shortened(rows: Sequence[Row]) -> list[Row]:
    """Of those that wait only the first: what ended lately is to be seen too."""
    left = {"next": _NEXT_AMONG_ALL, "delayed": _DELAYED_AMONG_ALL}
    kept = []
    for row in rows:
        if row.kind in left:
            left[row.kind] -= 1
        if left.get(row.kind, 0) >= 0:
            kept.append(row)
    return kept


def _searched(row: Row) -> str:
    return f"{row.where} {row.state} {row.task} {row.agent} {row.text}".lower()


def settled(view: View, rows: Sequence[Row]) -> View:
    """The chosen row is the same as before wherever it is now; where it has gone, the one in its place."""
    index = next((number for number, row in enumerate(rows) if row.key == view.key), None)
    if index is None:
        index = max(0, min(view.index, len(rows) - 1))
    return replace(view, index=index, key=rows[index].key if rows else "")


def chosen(view: View, rows: Sequence[Row]) -> Row | None:
    return rows[view.index] if view.index < len(rows) else None


def press(view: View, key: str, rows: Sequence[Row], page: int) -> tuple[View, Deed | None]:
    """The view after a key, and what is to be done. `page`: how many rows, or lines of the log, are seen at once."""
    if key == "ctrl-l":
        return view, Deed.REDRAW
    match view.mode:
        case Mode.SEARCH:
            return _typed(view, key), None
        case Mode.CONFIRM:
            cancel = key in ("y", "Y")
            note = "" if cancel else f"{view.task} was not cancelled"
            return replace(view, mode=Mode.LIST, note=note), Deed.CANCEL if cancel else None
        case Mode.HELP:
            return replace(view, mode=Mode.LIST), None
        case Mode.LOG:
            return _in_log(view, key, page), None
    return _in_list(replace(view, note=""), key, rows, page)


def _in_list(view: View, key: str, rows: Sequence[Row], page: int) -> tuple[View, Deed | None]:
    row = chosen(view, rows)
    moved = _moved(view.index, key, page, len(rows) - 1)
    if moved is not None:
        return settled(replace(view, index=moved, key=""), rows), None
    match key:
        case "q":
            return view, Deed.QUIT
        case "p":
            return view, Deed.PAUSE
        case "f":
            following = FILTERS[(FILTERS.index(view.filter) + 1) % len(FILTERS)]
            return replace(view, filter=following, key="", index=0), None
        case "/":
            return replace(view, mode=Mode.SEARCH), None
        case "?" | "h":
            return replace(view, mode=Mode.HELP), None
        case "escape":
            return replace(view, search="", filter="all"), None
        case "l" | "enter" | "c" | "r":
            return _about(view, key, row)
    return view, None


def _about(view: View, key: str, row: Row | None) -> tuple[View, Deed | None]:
    """What is done with the chosen task."""
    if row is None or not row.task:
        return replace(view, note="no task is chosen: ↑ and ↓ choose one"), None
    if key == "c":
        if row.kind == "ended":
            return replace(view, note=f"{row.task} has ended: there is nothing to cancel"), None
        return replace(view, mode=Mode.CONFIRM, task=row.task), None
    if key == "r":
        if row.state not in _OVER:
            why = "ended well" if row.kind == "ended" else "has not ended"
            return replace(view, note=f"{row.task} {why}: only what failed or was cancelled is tried again"), None
        return replace(view, task=row.task), Deed.RETRY
    if row.kind in ("next", "delayed"):
        return replace(view, note=f"{row.task} does not run: `conductor why {row.task}` tells what it waits for"), None
    return replace(view, mode=Mode.LOG, task=row.task, attempt=row.attempt, up=0), None


def _typed(view: View, key: str) -> View:
    match key:
        case "enter":
            return replace(view, mode=Mode.LIST)
        case "escape":
            return replace(view, mode=Mode.LIST, search="")
        case "backspace":
            return replace(view, search=view.search[:-1])
    if len(key) == 1 and key.isprintable():
        return replace(view, search=(view.search + key)[:_LONGEST_SEARCH], index=0, key="")
    return view


def _in_log(view: View, key: str, page: int) -> View:
    """The end is 0 and up is more: the other way round than rows."""
    if key in ("q", "escape", "left", "l", "enter"):
        return replace(view, mode=Mode.LIST)
    steps = {
        "up": 1, "k": 1, "down": -1, "j": -1, "pageup": page, "b": page, "pagedown": -page, " ": -page,
        "home": 1 << 30, "g": 1 << 30, "end": -(1 << 30), "G": -(1 << 30),
    }  # fmt: skip
    return replace(view, up=max(0, view.up + steps.get(key, 0)))


def _moved(index: int, key: str, page: int, last: int) -> int | None:
    """None: that key does not move."""
    steps = {
        "up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "b": -page, "pagedown": page, " ": page,
        "home": -(1 << 30), "g": -(1 << 30), "end": 1 << 30, "G": 1 << 30,
    }  # fmt: skip
    return max(0, min(last, index + steps[key])) if key in steps else None
