"""`conductor runs`: what runs and ran, one of them in full, and how one is stopped or a step tried anew."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from conductor.cli.finding import find_run, find_step, open_desk
from conductor.cli.types import DURATION
from conductor.domain.errors import UsageError
from conductor.domain.exits import CliExit
from conductor.domain.run import RunStatus, StepState, StepStatus

if TYPE_CHECKING:
    from conductor.cli.snapshot import Snapshot
    from conductor.cli.watching import Desk
    from conductor.domain.run import Run

_SHOWN = 20
_AGAIN = (StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.CANCELLED)


@click.group(invoke_without_command=True)
@click.option("--project", default="", help="Only those of this project.")
@click.option("--all", "everything", is_flag=True, help=f"All, not only the last {_SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_context
def runs(context: click.Context, project: str, everything: bool, as_json: bool) -> None:
    """Lists runs, the latest first, or shows, watches, stops one. An id may be shortened while it is the only one.

    \b
    conductor runs                            the latest runs
    conductor runs show r-k3f9                every step, and why it does not run
    conductor runs retry r-k3f9 parser        try a failed step anew
    conductor runs retry r-k3f9               go on with all that failed
    """
    if context.invoked_subcommand is not None:
        return
    desk = open_desk(context.obj)
    found = desk.store.runs(project, limit=0 if everything else _SHOWN)
    if as_json:
        from conductor.cli.step_facts import run_facts

        click.echo(json.dumps([run_facts(run) for run in found], indent=1))
        return
    if not found:
        click.echo("no runs here: `conductor build` or `conductor run` starts one", err=True)
        return
    from conductor.cli.run_tables import runs_table

    rows = [(run, _progress(desk.store.steps(run.id))) for run in found]
    for line in runs_table(rows, time.time()):
        click.echo(line)


def _progress(states: Sequence[StepState]) -> str:
    done = sum(state.status is StepStatus.COMPLETED for state in states)
    return f"{done}/{len(states)}"


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.option("--step", "step_id", metavar="STEP", help="One step in full, with every round of it.")
@click.option("--graph", is_flag=True, help="The graph as Mermaid.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def show(home_flag: str | None, run_id: str, step_id: str | None, graph: bool, as_json: bool) -> None:
    """Shows RUN: every step with why it stands where it stands, the merge queue, what is kept where.

    \b
    conductor runs show r-k3f9q2ab
    conductor runs show r-k3f9 --step parser
    conductor runs show r-k3f9 --graph >run.mmd
    """
    from conductor.cli.run_follower import RunFollower

    desk = open_desk(home_flag)
    run = find_run(desk.store, run_id)
    snapshot = RunFollower(desk.store, desk.layout, desk.settings, run.id).look()
    if graph:
        from conductor.cli.plan_files import mermaid_of

        click.echo(mermaid_of(snapshot.steps), nl=False)
    elif as_json:
        from conductor.cli.step_facts import snapshot_facts

        click.echo(json.dumps(snapshot_facts(snapshot, wip=_wip(desk, run)), indent=1))
    else:
        for line in _page_lines(desk, snapshot, step_id):
            click.echo(line)


def _page_lines(desk: Desk, snapshot: Snapshot, step_id: str | None) -> Iterator[str]:
    from conductor.cli.run_page import page
    from conductor.cli.step_page import step_page
    from conductor.cli.watching import last_rounds

    run, wip = snapshot.run, _wip(desk, snapshot.run)
    if not step_id:
        return page(snapshot, last_rounds(desk.store, snapshot), wip)
    state = find_step(desk.store, run, step_id)
    return step_page(snapshot, state, desk.store.delegations(run.id, step_id), wip)


def _wip(desk: Desk, run: Run) -> int:
    from conductor.app.orchestration import most_in_progress

    return run.wip or most_in_progress(desk.settings, run.project)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.pass_obj
def watch(home_flag: str | None, run_id: str) -> int:
    """Draws RUN's progress until it is over: exit 0 completed, 1 not, 5 it waits for `conductor approve`.

    \b
    conductor runs watch r-k3f9q2ab           Ctrl-C leaves the run alone
    """
    from conductor.cli.watching import watch_run

    desk = open_desk(home_flag)
    return watch_run(desk, find_run(desk.store, run_id).id)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.option("--timeout", type=DURATION, help="Give up waiting after this; exit 1.")
@click.pass_obj
def wait(home_flag: str | None, run_id: str, timeout: float | None) -> int:
    """Returns when RUN is over: exit 0 completed, 1 not, 5 it waits for `conductor approve`.

    \b
    conductor runs wait r-k3f9q2ab --timeout 4h && make deploy
    """
    from conductor.cli.watching import watch_run

    desk = open_desk(home_flag)
    return watch_run(desk, find_run(desk.store, run_id).id, quiet=True, timeout_seconds=timeout)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.pass_obj
def stop(home_flag: str | None, run_id: str) -> None:
    """Stops RUN: what runs is ended, its work is kept, what is merged stays merged.

    \b
    conductor runs stop r-k3f9q2ab
    """
    from conductor.app.orchestration import ring_orchestrator

    desk = open_desk(home_flag)
    run = find_run(desk.store, run_id)
    if run.is_over:
        raise UsageError(f"{run.id} is over: it {_ended_as(run.status.value)}")
    desk.store.stop(run.id)
    if ring_orchestrator(desk.layout.home, run.project):
        click.echo(f"conductor: {run.id} is being stopped: `conductor runs wait {run.id}` returns when it is", err=True)
    else:
        click.echo(f"conductor: noted; no conductord runs on this home, {run.id} stops when one does", err=True)


def _ended_as(status: str) -> str:
    return {"needs_review": "needs review", "stopped": "was stopped"}.get(status, status)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.argument("step_ids", metavar="[STEP...]", nargs=-1)
@click.pass_obj
def retry(home_flag: str | None, run_id: str, step_ids: tuple[str, ...]) -> int:
    """Tries steps of RUN anew that failed, need review or were cancelled, and with them what they blocked.

    Without STEP all of them: that is how a run goes on that was stopped, ran out of time or lost its repository. One
    whose steps are all done tries its landing and publishing anew.

    \b
    conductor runs retry r-k3f9 parser        that step, and what waits for it
    conductor runs retry r-k3f9               all that did not come
    """
    from conductor.app.orchestration import reopen_run

    desk = open_desk(home_flag)
    run = find_run(desk.store, run_id)
    states = _named(desk, run, step_ids) if step_ids else _given_up(desk, run)
    desk.store.resume(run.id)
    for state in states:
        desk.store.again(run.id, state.step.id)
    if not reopen_run(desk.layout.home, desk.store, run.id):
        click.echo("conductor: noted; no conductord runs on this home, so nothing starts until one does", err=True)
    return CliExit.WELL


def _named(desk: Desk, run: Run, step_ids: Sequence[str]) -> list[StepState]:
    states = [find_step(desk.store, run, step_id) for step_id in dict.fromkeys(step_ids)]
    for state in states:
        if state.status not in _AGAIN:
            raise UsageError(
                f"{state.step.id} of {run.id} is {state.status.value.replace('_', ' ')}: "
                "only what failed, needs review or was cancelled is tried anew"
            )
    return states


def _given_up(desk: Desk, run: Run) -> list[StepState]:
    """None where all are done and the run still lacks its end: it did not land or was not published."""
    states = desk.store.steps(run.id)
    found = [state for state in states if state.status in _AGAIN]
    done = bool(states) and all(state.status is StepStatus.COMPLETED for state in states)
    if not found and not (done and run.is_over and run.status is not RunStatus.COMPLETED):
        raise UsageError(f"no step of {run.id} failed, needs review or was cancelled: nothing is to be tried anew")
    return found
