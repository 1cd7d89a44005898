"""`conductor approve`: shows what a run asks for and says yes to exactly that."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from conductor.cli.finding import find_run, find_step, open_desk
from conductor.cli.wording import every_character, names, one_line
from conductor.domain.errors import UsageError
from conductor.domain.exits import CliExit
from conductor.domain.plan import COMMAND_AGENT
from conductor.domain.run import Asks, Run, RunStatus, StepState, StepStatus

if TYPE_CHECKING:
    from conductor.cli.watching import Desk


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--yes", is_flag=True, help="Without asking back: show it and approve it.")
@click.option("--step", "step_id", metavar="STEP", help="Accept the work of a step that needs review, as it is.")
@click.option("--watch", is_flag=True, help="Watch how the run goes on.")
@click.pass_obj
def approve(home_flag: str | None, run_id: str, yes: bool, step_id: str | None, watch: bool) -> int:
    """Shows what RUN asks for (its plan, commands that a model wrote, the next wave) and says yes to it.

    Exactly what is shown is approved: what the run asks for later waits for the next `approve`. Exit 5: the
    answer was no; 2: nobody can be asked here, and there was no --yes.

    \b
    conductor approve r-k3f9q2ab
    conductor approve r-k3f9q2ab --step parser     its work is merged as it is
    """
    from conductor.app.orchestration import reopen_run, ring_orchestrator

    desk = open_desk(home_flag)
    run = find_run(desk.store, run_id)
    said_yes = _accept(desk, run, step_id, yes=yes) if step_id else ask_for(desk, run, yes=yes)
    if not said_yes:
        return CliExit.WAITS_FOR_APPROVAL
    rung = (
        reopen_run(desk.layout.home, desk.store, run.id)
        if step_id
        else ring_orchestrator(desk.layout.home, run.project)
    )
    if not rung:
        click.echo("conductor: noted; no conductord runs on this home, the run goes on when one does", err=True)
    if not watch:
        return CliExit.WELL
    from conductor.cli.watching import watch_run

    return watch_run(desk, run.id)


def ask_for(desk: Desk, run: Run, *, yes: bool = False) -> bool:
    """Shows what `run` asks for and asks a person; True: it was approved. Raises UsageError where nothing is asked."""
    if run.status is not RunStatus.WAITING or run.asks is Asks.NOTHING:
        raise UsageError(f"{run.id} asks for nothing: it is {run.status.value.replace('_', ' ')}")
    if desk.store.wish(run.id).approved >= run.asked:
        click.echo(f"conductor: {run.id} is approved already: it is about to go on", err=True)
        return True
    for line in asked_lines(desk, run):
        click.echo(line)
    if not yes and not _confirmed(run, "Approve this?"):
        return False
    desk.store.approve(run.id, run.asked)
    return True


def asked_lines(desk: Desk, run: Run) -> Iterator[str]:
    """What is asked, whole."""
    states = desk.store.steps(run.id)
    match run.asks:
        case Asks.PLAN:
            from conductor.cli.plan_view import plan_lines
            from conductor.cli.planning import choices_for, plan_of

            plan = plan_of(run, states)
            yield from plan_lines(plan, choices_for(desk, plan), desk.settings.workers)
        case Asks.COMMANDS:
            yield f"{run.id} would run these commands, which a model wrote:"
            yield from commands_told(run.asked_for, run, states)
        case _:
            yield f"{run.id} would start wave {run.wave + 1}:"
            yield from _wave_told(run.asked_for, states)


def commands_told(commands: Sequence[str], run: Run, states: Sequence[StepState]) -> Iterator[str]:
    """Each command with whose it is, every character of it shown."""
    for number, command in enumerate(commands, start=1):
        yield f"  {number}. {_whose(command, run, states)}"
        yield from (f"       {line}" for line in every_character(command))


def _whose(command: str, run: Run, states: Sequence[StepState]) -> str:
    steps = [state.step for state in states]
    uses = [
        ("the check before each merge", [run.id] if command == run.check else []),
        ("verifies", [step.id for step in steps if step.verify == command]),
        ("is the step", [step.id for step in steps if step.agent == COMMAND_AGENT and step.description == command]),
    ]
    told = [f"{use} {names(ids)}" if ids != [run.id] else use for use, ids in uses if ids]
    return ", ".join(told) or "asked for by the run"


def _wave_told(step_ids: Sequence[str], states: Sequence[StepState]) -> Iterator[str]:
    known = {state.step.id: state for state in states}
    for step_id in step_ids:
        state = known.get(step_id)
        title = one_line(state.step.title, 200) if state else ""
        yield f"  {one_line(step_id)}  {title}"


def _accept(desk: Desk, run: Run, step_id: str, *, yes: bool) -> bool:
    state = find_step(desk.store, run, step_id)
    if state.status is not StepStatus.NEEDS_REVIEW:
        status = state.status.value.replace("_", " ")
        raise UsageError(f"{step_id} of {run.id} needs no review: it is {status}")
    click.echo(f"{step_id}: {one_line(state.step.title, 200)}")
    click.echo(f"  held because: {one_line(state.reason) or 'no reason was given'}")
    for last in desk.store.delegations(run.id, step_id)[-1:]:
        if last.work:
            click.echo(f"  its work: git -C {run.workspace} show {last.work[:12]}")
        click.echo(f"  what was said: conductor logs {last.task_id}")
    if not yes and not _confirmed(run, "Merge its work as it is?"):
        return False
    desk.store.accept(run.id, step_id)
    return True


def _confirmed(run: Run, question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"nobody can be asked here: `conductor approve {run.id} --yes` approves what is shown above")
    if click.confirm(question, err=True):
        return True
    click.echo(f"conductor: not approved; {run.id} goes on waiting, `conductor runs stop {run.id}` ends it", err=True)
    return False
