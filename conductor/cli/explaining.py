"""`conductor explain`: what an exit code, a status or an action means, from the tables that the code itself uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, get_args

import click

from conductor.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_LOOKED_LIKE = 5
_SLOT_STATES = {"BackingOff": "backing off", "GivenUp": "given up"}


@dataclass(frozen=True, slots=True)
class Explained:
    """One word and where it is met."""

    word: str
    where: str
    meaning: str
    name: str = ""
    """Of an exit code."""


@click.command()
@click.argument("words", nargs=-1, metavar="[EXIT|STATUS|ACTION]...")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
def explain(words: tuple[str, ...], as_json: bool) -> None:
    """Says what an exit code, a status, a failure or an action of log and events means; alone: all of them.

    \b
    conductor explain 78                   the exit code, of whichever program
    conductor explain RETRY needs_review   statuses, as results.txt tells them
    conductor explain task_adopted         an action of the log or of events.jsonl
    """
    found = list(everything())
    if words:
        found = [one for word in words for one in look_up(word, found)]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    where = ""
    for one in found:
        if one.where != where:
            where = one.where
            click.echo(f"{where}:")
        named = f"{one.word} {one.name}".strip()
        click.echo(f"  {named:<27} {one.meaning}")


def look_up(word: str, found: list[Explained]) -> list[Explained]:
    """Every meaning of it; written in any case, with `-` or blanks for `_`, with `exit` in front or not. Raises
    UsageError naming what looks like it."""
    plain = _plain(word).removeprefix("exit_")
    meant = [one for one in found if plain in (_plain(one.word), _plain(one.name or one.word))]
    if meant:
        return meant
    from difflib import get_close_matches

    known = sorted({_plain(one.word) for one in found if not one.word.isdigit()})
    near = get_close_matches(plain, known, n=_MOST_LOOKED_LIKE)
    hint = f": did you mean {', '.join(near)}?" if near else ": `conductor explain` lists every word there is"
    raise UsageError(f"nothing is called {word[:80]!r} here{hint}")


def everything() -> Iterator[Explained]:
    from conductor.app.describing import TASK_STATES
    from conductor.cli.member_docs import docs_of
    from conductor.domain.actions import ACTIONS
    from conductor.supervisor.policy import SlotState

    for where, table in _tables().items():
        for member, meaning in docs_of(table).items():
            is_exit = isinstance(member, IntEnum)
            name = member.name.lower() if is_exit else ""
            if str(member.value):
                yield Explained(str(int(member)) if isinstance(member, IntEnum) else member.value, where, meaning, name)
    for state, meaning in TASK_STATES.items():
        yield Explained(state, "state of a task", meaning)
    for kind in get_args(SlotState):
        yield Explained(_SLOT_STATES.get(kind.__name__, kind.__name__.lower()), "state of a slot", kind.__doc__ or "")
    for action, meaning in ACTIONS.items():
        yield Explained(action, "action of log and events", meaning)


def _tables() -> Mapping[str, type[Enum]]:
    from conductor.domain.exits import CliExit, DaemonExit, WorkerExit
    from conductor.domain.failure import Failure
    from conductor.domain.outcome import Outcome, Status
    from conductor.domain.run import Asks, DelegationState, RunStatus, StepStatus

    return {
        "exit code of conductor": CliExit,
        "exit code of conductord": DaemonExit,
        "exit code of a worker": WorkerExit,
        "status in results.txt": Status,
        "outcome in result.json": Outcome,
        "failure in result.json": Failure,
        "status of a run": RunStatus,
        "what a run asks for": Asks,
        "status of a step": StepStatus,
        "state of a step's round": DelegationState,
    }


def _plain(word: str) -> str:
    return "_".join(word.lower().replace("-", " ").split())
