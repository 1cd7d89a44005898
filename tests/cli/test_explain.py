"""`conductor explain`: every word that the code uses is explained, and every word that is explained is used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import conductor
from conductor.app.describing import TASK_STATES
from conductor.cli.explaining import _tables, everything, look_up
from conductor.cli.listing import STATES
from conductor.cli.member_docs import docs_of
from conductor.domain.actions import ACTIONS
from conductor.domain.errors import UsageError
from conductor.domain.exits import CliExit
from conductor.orchestrator.finishing import REVIEW
from conductor.orchestrator.planning_phase import PLANNING
from conductor.supervisor.policy import BackingOff, Busy, GivenUp, Idle, Slot, Starting, Vacant
from conductor.supervisor.status_page import slot_status
from tests.cli.front import Shell

PACKAGE = Path(conductor.__file__).parent
ROOMS = ("agents", "app", "gate", "kit", "limits", "orchestrator", "projects", "queue", "store", "supervisor", "worker")
TELLERS = frozenset({"info", "warning", "error", "emit", "note", "notice", "_notice", "_line"})
"""What tells an action, which is its first argument."""
DERIVED = {f"{what.removeprefix('-')}_asked" for what in (PLANNING, REVIEW)}
"""Told as the name of a side task with `_asked`."""


def callees(function: ast.expr) -> set[str]:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return {name}
        case ast.IfExp(body=one, orelse=other):
            return callees(one) | callees(other)
    return set()


def words(value: ast.expr) -> Iterator[str]:
    """`"a"`, and both of `"a" if ... else "b"`."""
    match value:
        case ast.Constant(value=str(word)):
            yield word
        case ast.IfExp(body=one, orelse=other):
            yield from words(one)
            yield from words(other)


def told_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=function, args=[first, *_]) if callees(function) & TELLERS:
                yield from words(first)
            case ast.Assign(targets=[ast.Name(id="action")], value=value):
                yield from words(value)


def told() -> set[str]:
    files = [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    return {word for path in files for word in told_in(ast.parse(path.read_text()))} | DERIVED


def test_every_action_that_is_told_is_explained() -> None:
    assert told() - ACTIONS.keys() == set()


def test_no_action_is_explained_that_nobody_tells() -> None:
    assert ACTIONS.keys() - told() == set()


def test_the_way_in_which_actions_are_found_finds_them() -> None:
    code = """
log.info("one", a=1)
(log.warning if bad else log.info)("two")
self._board.note("three" if well else "four", step)
action = "five" if again else "six"
emit(changing)
"""
    assert set(told_in(ast.parse(code))) == {"one", "two", "three", "four", "five", "six"}


@pytest.mark.parametrize("where", _tables())
def test_every_member_of_a_table_says_what_it_means(where: str) -> None:
    table = _tables()[where]
    assert docs_of(table).keys() == set(table)


def test_every_state_that_list_shows_is_explained() -> None:
    assert set(TASK_STATES) == set(STATES)


def test_every_state_of_a_slot_is_explained_under_the_name_that_status_gives_it() -> None:
    busy = Busy(0, 1, "w", "t", 1, None)
    states = (Vacant(), Starting(0), Idle(0, 1, "w"), busy, BackingOff(0, 1, "x"), GivenUp(0, "x"))
    shown = {slot_status(Slot(1, "default", state), 0.0)["state"] for state in states}
    explained = {one.word: one.meaning for one in everything() if one.where == "state of a slot"}
    assert explained.keys() == shown
    assert all(explained.values())


@pytest.mark.parametrize("word", ["NO_SUCH_TASK", "no-such-task", "No Such Task"])
def test_a_word_is_found_however_it_is_written(word: str) -> None:
    (found,) = look_up(word, list(everything()))
    assert (found.word, found.where) == (str(int(CliExit.NO_SUCH_TASK)), "exit code of conductor")


@pytest.mark.parametrize("word", ["78", "exit 78", "EXIT-78"])
def test_an_exit_code_is_explained_for_each_program_that_has_it(word: str) -> None:
    assert {one.where for one in look_up(word, list(everything()))} == {
        "exit code of conductor", "exit code of conductord", "exit code of a worker",
    }  # fmt: skip


def test_a_word_that_means_nothing_is_answered_with_what_looks_like_it() -> None:
    with pytest.raises(UsageError, match="did you mean task_adopted"):
        look_up("task_adoptd", list(everything()))
    with pytest.raises(UsageError, match="lists every word"):
        look_up("\x1b[31m", list(everything()))


# -- the command


def test_the_command_explains_words_without_a_home(shell: Shell) -> None:
    answer = shell.ok("explain", "RETRY", "task_adopted")

    assert "This attempt failed, another follows." in answer.out
    assert ACTIONS["task_adopted"] in answer.out
    assert not Path(shell.home.path).exists()


def test_alone_it_lists_everything(shell: Shell) -> None:
    lines = shell.ok("explain").out.splitlines()
    assert len([line for line in lines if line.startswith("  ")]) == len(list(everything()))


def test_as_json_each_word_says_where_it_is_met(shell: Shell) -> None:
    (found,) = shell.ok("explain", "--json", "scan_failed").json
    assert found == {
        "word": "scan_failed", "where": "action of log and events", "meaning": ACTIONS["scan_failed"], "name": "",
    }  # fmt: skip


def test_an_unknown_word_exits_2(shell: Shell) -> None:
    answer = shell("explain", "nonsense")
    assert (answer.code, answer.out) == (2, "")
