"""`conductor top`: what is drawn, and what a key makes of it. Pure functions on tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.cli.cells import cut_to, fitted, middle_cut, text_of, width_of, wrapped
from conductor.cli.last_lines import plain_lines
from conductor.cli.sparkline import sparkline
from conductor.cli.top_hour import Hour, Minute
from conductor.cli.top_look import Look, Row, RunLine
from conductor.cli.top_picture import help_picture, list_picture, log_picture
from conductor.cli.top_screen import decoded
from conductor.cli.top_view import FILTERS, Deed, Mode, View, press, settled, visible
from conductor.queue.pools import PoolLook

NOW = 1_800_000_000.0
DAEMON = {"version": "1.2", "mode": "running", "started": "2027-01-15T06:00:00.000Z", "pid": 7}
ROWS = (
    Row("slot", "t-a", "default/1", "busy", "t-a", "claude:opus", 95.0, "writes the parser", 1),
    Row("slot", "default/2", "default/2", "idle", seconds=12.0),
    *(Row("next", f"t-n{n}", "default", "ready", f"t-n{n}", "command", 30.0, f"job {n}") for n in range(9)),
    Row("delayed", "t-d", "default", "waiting", "t-d", "codex", 300.0, "again later"),
    Row("ended", "t-e 1", "", "SUCCESS", "t-e", "", NOW - 4, "fine"),
    Row("ended", "t-f 1", "", "FAILED", "t-f", "", NOW - 9, "exit code 1"),
)
HOUR = Hour(tuple(Minute(n, n // 10) for n in range(60)))


def a_look(**changes: Any) -> Look:
    facts: dict[str, Any] = {
        "home": "/home/me/state", "daemon": DAEMON, "counts": {"ready": 9, "waiting": 1, "dead": 2}, "hour": HOUR,
        "pools": (PoolLook("default", 9, {"claude": 3}, int((NOW - 245) * 1000)),), "workers": {"default": (1, 2)},
        "runs": (RunLine("r-ab23cd45", "calc", "running", "A calculator", NOW - 60, {"completed": 2, "failed": 1}),),
        "limits": ("provider anthropic is parked until 14:00 UTC, in 2h10m",), "rows": ROWS, "failures": ROWS[-1:],
    }  # fmt: skip
    return Look(NOW, **{**facts, **changes})


def drawn(look: Look, view: View, width: int = 80, height: int = 24) -> list[str]:
    rows = visible(look, view)
    return [text_of(line) for line in list_picture(look, settled(view, rows), rows, width, height)]


def after(keys: list[str], look: Look, view: View = View()) -> tuple[View, list[Deed]]:  # noqa: B008 - frozen
    deeds = []
    for key in keys:
        rows = visible(look, view)
        view, deed = press(settled(view, rows), key, rows, 10)
        deeds += [deed] if deed else []
    return settled(view, visible(look, view)), deeds


# -- the picture


def test_one_screen_of_80_by_24_tells_everything() -> None:
    page = drawn(a_look(), View())

    assert len(page) == 24
    assert all(width_of(line) <= 80 for line in page)
    text = "\n".join(page)
    for said in (
        "conductord 1.2 running", "1 of 2 workers busy", "ready 9", "dead 2", "1,770 in the last hour", "parked until",
        "pool    default      1/2 busy  9 ready  oldest 4m05s  held: claude 3", "2/3 steps, 1 not done",
        "claude:", "1m35s", "writes the parser", "idle", "in 5m00s", "FAILED", "exit code 1", "q quit",
    ):  # fmt: skip
        assert said in text, said


def test_the_head_leaves_room_for_the_tasks_on_every_screen() -> None:
    crowded = a_look(
        limits=("parked",) * 9,
        workers={f"pool{n}": (0, 1) for n in range(30)},
        runs=(RunLine("r-ab23cd45", "calc", "running", "x", NOW, {}),) * 9,
    )

    rows = [line for line in drawn(crowded, View()) if "t-" in line or "idle" in line]

    assert len(rows) >= 7


@given(width=st.integers(1, 200), height=st.integers(1, 60), chosen=st.integers(0, 20))
def test_a_picture_fits_any_screen(width: int, height: int, chosen: int) -> None:
    for look in (a_look(), Look(NOW, "/h", trouble="no conductord runs on /h: start one with `conductord`")):
        page = drawn(look, View(index=chosen), width, height)
        assert len(page) <= height
        assert all(width_of(line) <= width for line in page)
        assert height == 1 or page[-1][0] in "↑…", "the keys are told on every screen"


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_strangers_wrote_never_reaches_the_terminal_raw(text: str, name: str) -> None:
    row = Row("slot", "t-a", "default/1", "busy", "t-a", name, 1.0, text)

    page = drawn(a_look(rows=(row,), limits=(text,), daemon={}, trouble=""), View())

    assert all(line.isprintable() for line in page)
    assert all(width_of(line) <= 80 for line in page)


def test_without_conductord_it_says_so_and_shows_the_queue() -> None:
    page = drawn(a_look(daemon={}, trouble="no conductord runs on /h: start one with `conductord`", workers={}), View())

    assert page[0] == "no conductord runs on /h: start one with `conductord`"
    assert "no workers  9 ready" in "\n".join(page)


def test_a_pause_is_to_be_seen() -> None:
    page = drawn(a_look(paused=True), View())

    assert "PAUSED" in page[1]
    assert "p resume" in page[-1]


def test_the_chosen_row_is_always_on_the_screen() -> None:
    many = a_look(rows=tuple(replace(ROWS[0], key=f"t-{n}", task=f"t-{n}") for n in range(200)))

    view, _ = after(["G"], many)

    assert view.key == "t-199"
    assert any("t-199 " in line for line in drawn(many, view))
    view, _ = after(["pageup", "up", "up"], many, view)
    assert view.key == "t-187"
    assert any("t-187 " in line for line in drawn(many, view))


def test_help_and_log_fit_too() -> None:
    assert len(help_picture(80, 24)) <= 24
    assert all(width_of(text_of(line)) <= 80 for line in help_picture(80, 24))
    page = [text_of(line) for line in log_picture("log of t-a", [f"line {n}" for n in range(100)], 0, 80, 24)]
    assert len(page) == 24
    assert page[-2] == "line 99"
    page = [text_of(line) for line in log_picture("log of t-a", [f"line {n}" for n in range(100)], 30, 80, 24)]
    assert page[-2] == "line 69"


# -- keys


def test_keys_choose_rows_and_the_choice_follows_its_task() -> None:
    look = a_look()
    view, _ = after(["down", "j"], look)
    assert view.key == "t-n0"

    moved = a_look(rows=(ROWS[5], *ROWS))
    assert settled(view, visible(moved, view)).index == 3
    gone = a_look(rows=ROWS[:2])
    assert settled(view, visible(gone, view)).key == "default/2"


def test_a_cancel_asks_first_and_only_y_means_it() -> None:
    look = a_look()
    view, deeds = after(["c"], look)
    assert (view.mode, view.task, deeds) == (Mode.CONFIRM, "t-a", [])
    assert "Cancel t-a for good" in drawn(look, view)[-1]

    assert after(["n"], look, view)[1] == []
    assert after(["enter"], look, view)[0].mode is Mode.LIST
    assert after(["y"], look, view)[1] == [Deed.CANCEL]


@pytest.mark.parametrize(
    ("row", "key", "note"),
    [
        (ROWS[1], "c", "no task is chosen"),
        (ROWS[0], "r", "has not ended"),
        (ROWS[-2], "r", "ended well"),
        (ROWS[-2], "c", "nothing to cancel"),
        (ROWS[2], "l", "conductor why t-n0"),
    ],
)
def test_what_makes_no_sense_is_said_and_not_done(row: Row, key: str, note: str) -> None:
    view, deeds = after([key], a_look(rows=(row,)))

    assert (view.mode, deeds) == (Mode.LIST, [])
    assert note in view.note


def test_a_failed_task_is_tried_again() -> None:
    view, deeds = after(["G", "r"], a_look())

    assert (view.task, deeds) == ("t-f", [Deed.RETRY])


def test_filters_go_round_and_show_what_they_say() -> None:
    look = a_look()
    kinds = {}
    view = View()
    for _ in FILTERS:
        kinds[view.filter] = {row.kind for row in visible(look, view)}
        view, _ = after(["f"], look, view)

    assert view.filter == "all"
    assert kinds["running"] == {"slot"}
    assert kinds["queued"] == {"next", "delayed"}
    assert kinds["ended"] == kinds["failed"] == {"ended"}
    assert len([row for row in visible(look, View()) if row.kind == "next"]) == 5, "what ended is to be seen too"
    assert len([row for row in visible(look, View(filter="queued")) if row.kind == "next"]) == 9


def test_a_search_looks_everywhere_and_escape_ends_it() -> None:
    look = a_look()
    view, deeds = after([*"/PARSERx", "backspace", "enter"], look)
    assert (view.mode, view.search, deeds) == (Mode.LIST, "PARSER", [])
    assert [row.task for row in visible(look, view)] == ["t-a"]
    assert "1 " in drawn(look, view)[-1]

    assert after(["escape"], look, view)[0].search == ""
    assert after([*"/qpc"], look)[1] == [], "letters are no keys while one types"


def test_a_log_is_opened_scrolled_and_left() -> None:
    view, _ = after(["l"], a_look())
    assert (view.mode, view.task, view.attempt, view.up) == (Mode.LOG, "t-a", 1, 0)
    view, _ = after(["up", "pageup"], a_look(), view)
    assert view.up == 11
    assert after(["G"], a_look(), view)[0].up == 0
    assert after(["q"], a_look(), view) == (replace(view, mode=Mode.LIST), []), "q leaves the log, not top"


def test_pause_quit_and_help() -> None:
    assert after(["p"], a_look())[1] == [Deed.PAUSE]
    assert after(["q"], a_look())[1] == [Deed.QUIT]
    assert after(["?"], a_look())[0].mode is Mode.HELP
    assert after(["?", "q"], a_look()) == (after([], a_look())[0], []), "any key leaves the help"


@given(st.lists(st.sampled_from([*"qprcfl/?hgGjkbyn ", "up", "down", "enter", "escape", "backspace", "pageup", "end"])))
def test_no_keys_break_it(keys: list[str]) -> None:
    for look in (a_look(), a_look(rows=(), failures=())):
        view, _ = after(keys, look)
        assert view.filter in FILTERS


@pytest.mark.parametrize(
    ("raw", "keys", "rest"),
    [
        (b"qj", ["q", "j"], b""),
        (b"\x1b[A\x1bOB\x1b[5~", ["up", "down", "pageup"], b""),
        (b"a\x1b", ["a"], b"\x1b"),
        (b"\x1b[", [], b"\x1b["),
        (b"\x1b[1;5C", [], b""),
        (b"\x1bq", ["escape", "q"], b""),
        ("ü".encode(), ["ü"], b""),
        (b"\xc3", [], b"\xc3"),
        (b"\r\x7f\x0c", ["enter", "backspace", "ctrl-l"], b""),
        (b"\xff\xfe", [], b"\xff\xfe"),
    ],
)
def test_keys_are_known_also_when_they_come_in_pieces(raw: bytes, keys: list[str], rest: bytes) -> None:
    assert decoded(raw) == (keys, rest)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_keys(raw: bytes) -> None:
    keys, rest = decoded(raw)
    assert len(rest) < 16
    assert all(isinstance(key, str) and key for key in keys)


# -- small parts


@pytest.mark.parametrize(
    ("values", "width", "bars"),
    [
        ([0, 0], 2, "▁▁"),
        ([0, 1, 100], 3, "▁▂█"),
        ([7, 7], 2, "██"),
        ([None, 0, 4], 3, "·▁█"),
        ([1, 1, 1, 1], 2, "██"),
        ([5, 0, 0], 2, "█▁"),
        ([], 5, ""),
        ([1], 0, ""),
    ],
)
def test_a_sparkline(values: list[int | None], width: int, bars: str) -> None:
    assert sparkline(values, width) == bars


@given(st.text(max_size=80), st.integers(0, 40))
def test_cuts_are_never_wider_than_asked(text: str, width: int) -> None:
    assert width_of(cut_to(text, width)) <= width
    assert len(middle_cut(text, width)) <= width
    assert sum(width_of(piece) for piece, _ in fitted([(text, ""), (text, "bold")], width)) <= width


def test_an_id_keeps_what_tells_it_from_others() -> None:
    assert middle_cut("t-20261121-174529-eju6cn7t", 18) == "t-…174529-eju6cn7t"
    assert middle_cut("short", 18) == "short"


@given(st.text(max_size=200), st.integers(2, 30))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    lines = plain_lines(text)

    pieces = wrapped(lines, width)

    assert "".join(pieces) == "".join(lines)
    assert all(width_of(piece) <= width and piece.isprintable() for piece in pieces)
