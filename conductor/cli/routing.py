"""`conductor route`: who would do a task, and why; nothing is submitted."""

from __future__ import annotations

import difflib
import json
import os
from typing import TYPE_CHECKING, Any

import click

from conductor.app import open_layout
from conductor.domain.errors import UsageError
from conductor.domain.exits import CliExit
from conductor.domain.plan import CATEGORIES, StepType
from conductor.ports.orchestration import Candidate, Choice

if TYPE_CHECKING:
    from conductor.domain.home import Home
    from conductor.routing.ranking import Need
    from conductor.routing.router import RegistryRouter
    from conductor.settings.model import Settings

_PIPED_WIDTH = 200
_SHOWN_REASONS = 3

_TYPES = [one.value for one in StepType]


@click.command()
@click.argument("text", default="")
@click.option("--explain", is_flag=True, help="Every candidate with the parts of its score, and who can't and why.")
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object.")
@click.option("--category", help="Of the task; by default its words tell.")
@click.option("--complexity", type=click.IntRange(1, 5), help="1 trivial to 5 very complex.")
@click.option("--type", "step_type", type=click.Choice(_TYPES), help="What a step of a plan would say.")
@click.option("--agent", help="Only this one.")
@click.option("--model", help="Only who serves this model.")
@click.option("--thinking", help="The level of thinking wanted.")
@click.option("--write-back", is_flag=True, help="Write what was learned into the registry (agent-registry.json only).")
@click.pass_obj
def route(home_flag: str | None, /, text: str, **options: Any) -> int:
    """Says who would do TEXT, best first; submits nothing. Exit 1 where nobody here can.

    \b
    conductor route "Add a REST endpoint for orders"
    conductor route --explain --category api-development --complexity 4
    """
    from conductor.app.routing import make_router, reasons, remembered, step_of
    from conductor.settings.model import load_settings

    category = _category(options["category"])
    home = open_layout(home_flag, os.environ).home
    settings = load_settings(home, os.environ)
    router = make_router(home, settings, os.environ, remembered(home, settings))
    if options["write_back"]:
        return _write_back(home, settings, router)
    if not text and not category:
        raise UsageError('nothing to route: say what is to be done, as in `conductor route "Fix the failing test"`')
    given = {name: options[name] for name in ("complexity", "agent", "model", "thinking")}
    step = step_of(text, category=category, type=options["step_type"] and StepType(options["step_type"]), **given)
    choice, need = router.choose(step), router.need(step)
    if options["as_json"]:
        click.echo(json.dumps(_facts(router, need, choice), indent=1))
    elif options["explain"]:
        _explain(router, need, choice)
    elif choice.candidates:
        click.echo(_line(choice.candidates[0], need))
    if not choice.candidates and not options["explain"]:
        click.echo(f"conductor: nobody here can do this:\n{reasons(choice)}", err=True)
    return CliExit.WELL if choice.candidates else CliExit.TASK_FAILED


def _category(name: str | None) -> str:
    if name and name not in CATEGORIES:
        near = difflib.get_close_matches(name, CATEGORIES, n=_SHOWN_REASONS, cutoff=0.4)
        raise UsageError(f"no category {name!r}: did you mean {' or '.join(near) or ', '.join(CATEGORIES)}?")
    return name or ""


def _write_back(home: Home, settings: Settings, router: RegistryRouter) -> int:
    from conductor.app.routing import write_back_learned

    path = write_back_learned(home, settings, router)
    click.echo(f"{path}: experience and performance_metrics are up to date", err=True)
    return CliExit.WELL


# -- how it is shown


def _name(one: Any) -> str:
    return f"{one.agent}:{one.model}" if one.model else str(one.agent)


def _line(one: Candidate, need: Need) -> str:
    thinking = f"  thinking={one.thinking}" if one.thinking else ""
    return f"{_name(one)}  score={one.score}  category={need.category}  complexity={need.complexity}{thinking}"


def _facts(router: RegistryRouter, need: Need, choice: Choice) -> dict[str, Any]:
    from conductor.routing.learning import metrics

    return {
        "category": need.category,
        "complexity": need.complexity,
        "registry": router.registry.source or "built-in",
        "candidates": [
            {
                "agent": one.agent,
                "model": one.model,
                "thinking": one.thinking,
                "score": one.score,
                "parts": dict(one.parts),
                "usd_expected": one.usd_expected,
                "performance_metrics": metrics(router.learned(_name(one))),
            }
            for one in choice.candidates
        ],
        "passed_over": [{"agent": one.agent, "model": one.model, "why": one.why} for one in choice.passed_over],
    }


def _explain(router: RegistryRouter, need: Need, choice: Choice) -> None:
    """At any width: the table's cells fold, nothing is cut off."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console = Console(width=console.width if console.is_terminal or "COLUMNS" in os.environ else _PIPED_WIDTH)
    registry = router.registry.source or "built-in (ratings of ours; name your own with routing.registry)"
    console.print(Text(f"{need.category}, complexity {need.complexity}"))
    console.print(Text(f"registry: {registry}"))
    if choice.candidates:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("CANDIDATE", overflow="fold")
        for column in ("SCORE", "RATING", "FIT", "DONE", "FREE", "FAILED", "USD", "WELL"):
            table.add_column(column, justify="right", overflow="fold")
        for one in choice.candidates:
            table.add_row(*(Text(cell) for cell in _cells(one, router)))
        console.print(table)
    for waiting in _waits(choice):
        console.print(Text(waiting))
    for passed in choice.passed_over:
        console.print(Text(f"not {_name(passed)}: {passed.why}"))
    if not choice.candidates:
        console.print(Text("nobody here can do this"))


def _cells(one: Candidate, router: RegistryRouter) -> tuple[str, ...]:
    parts, learned = dict(one.parts), router.learned(_name(one))
    points = (parts.get(name) for name in ("rating", "complexity", "experience", "free", "failures"))
    return (
        _name(one),
        str(one.score) if one.parts else "-",
        *("-" if number is None else f"{number:g}" for number in points),
        "?" if one.usd_expected is None else f"{one.usd_expected:.2f}",
        f"{learned.succeeded}/{learned.tasks}" if learned.tasks else "-",
    )


def _waits(choice: Choice) -> list[str]:
    from conductor.domain.durations import format_duration
    from conductor.routing.ranking import PARKED_PART

    parked = [(one, dict(one.parts).get(PARKED_PART)) for one in choice.candidates]
    return [f"{_name(one)} waits for its limit: {format_duration(left)}" for one, left in parked if left is not None]
