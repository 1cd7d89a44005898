"""`conductor plan`: a request, or a plan that exists, as a graph that a person can judge. Nothing runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from conductor.cli.finding import open_desk
from conductor.domain.errors import DaemonNotRunning, UsageError
from conductor.domain.exits import CliExit
from conductor.domain.plan import Plan
from conductor.domain.run import Asks, Run, RunStatus, StepState

if TYPE_CHECKING:
    from conductor.cli.plan_view import Choices
    from conductor.cli.snapshot import Snapshot
    from conductor.cli.watching import Desk


@click.command()
@click.argument("request", metavar="REQUEST|PLAN")
@click.option("--project", default="", help="For which project; by default for the folder here.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write the plan to this file too.")
@click.option("--planner", default="", metavar="AGENT[:MODEL]", help="Who takes the request apart, before all others.")
@click.option("--tag", default="", help="Of Task Master's file: which tag.")
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON.")
@click.pass_obj
def plan(home_flag: str | None, /, request: str, **given: Any) -> int:
    """Shows what a request comes to: the graph, its waves, who does what, the cost expected. Nothing of it runs.

    A model takes REQUEST apart, which needs a running conductord; the path of a PLAN is only read.

    \b
    conductor plan "Add dark mode support to the settings page" -o dark.yaml
    conductor plan dark.yaml
    """
    desk = open_desk(home_flag)
    if os.path.exists(request):
        from conductor.cli.plan_files import read

        _tell(desk, read(request, tag=given["tag"]), "", given)
        return CliExit.WELL
    return _plan_request(desk, request, given)


def _plan_request(desk: Desk, request: str, given: dict[str, Any]) -> int:
    from conductor.app import daemon_runs
    from conductor.app.orchestration import RunOptions, start_run

    check_request(request)
    if not daemon_runs(desk.layout.home):  # a plan that is made some day, when nobody waits for it, only costs
        raise DaemonNotRunning(
            f"no conductord runs on {desk.layout.home.path}, so nobody would make the plan: start one with `conductord`"
        )
    options = RunOptions(plan_only=True, planner=given["planner"], workspace=os.getcwd())
    run = start_run(desk.layout, desk.settings, plan=None, request=request, project=given["project"], options=options)
    snapshot = _until_planned(desk, run)
    if snapshot.run.status is not RunStatus.WAITING:
        click.echo(f"conductor: {_why_not(snapshot)}", err=True)
        return CliExit.TASK_FAILED
    found = plan_of(snapshot.run, snapshot.steps)
    _tell(desk, found, run.id, given)
    return CliExit.WELL


def check_request(request: str) -> None:
    """Raises UsageError where it can't be meant as a request."""
    if not request.strip():
        raise UsageError("the request is empty: say what is to be built")
    if request.endswith((".yaml", ".yml", ".json")) and len(request.split()) == 1:
        raise UsageError(f"no file {request!r}: a plan is read from a file or folder that exists")


def _until_planned(desk: Desk, run: Run) -> Snapshot:
    """Waits with what happens told on standard error: standard output is the plan's."""
    from conductor.cli.run_follower import RunFollower
    from conductor.cli.watching import follow, show_on_stderr

    def is_planned(snapshot: Snapshot) -> bool:
        return snapshot.run.is_over or (snapshot.asks_now and snapshot.run.asks is Asks.PLAN)

    follower = RunFollower(desk.store, desk.layout, desk.settings, run.id)
    try:
        return follow(follower, show_on_stderr(), enough=is_planned)
    except KeyboardInterrupt:
        click.echo(
            f"conductor: planning goes on: `conductor runs show {run.id}`, `runs stop {run.id}` ends it", err=True
        )
        raise


def _why_not(snapshot: Snapshot) -> str:
    run = snapshot.run
    reason = run.reason or run.status.value
    return f"there is no plan: {reason}\nwhat was received is kept: `conductor runs show {run.id}`"


def plan_of(run: Run, states: Sequence[StepState]) -> Plan:
    """The plan that a run carries out."""
    return Plan(
        name=run.title,
        steps=tuple(state.step for state in states),
        description=run.request,
        project="" if run.project == run.id else run.project,
        check=run.check,
        from_model=run.from_model,
    )


def choices_for(desk: Desk, found: Plan) -> Choices:
    """Who may do each step, by the router."""
    from conductor.app.orchestration import preview

    return {state.step.id: choice for _, state, choice in preview(desk.layout, desk.settings, found)}


def _tell(desk: Desk, found: Plan, run_id: str, given: dict[str, Any]) -> None:
    output = given["output"]
    choices = choices_for(desk, found)
    if output:
        from conductor.cli.plan_files import write

        write(found, output)
    if given["as_json"]:
        click.echo(json.dumps(plan_facts(found, choices, run_id, desk.settings.workers), indent=1))
        return
    from conductor.cli.plan_view import plan_lines

    for line in plan_lines(found, choices, desk.settings.workers):
        click.echo(line)
    click.echo(f"\n{_how_to_go_on(found, run_id, output)}")


def _how_to_go_on(found: Plan, run_id: str, output: str | None) -> str:
    ways = [f"conductor approve {run_id}"] if run_id else []
    path = output or found.source
    if path:
        ways.append(f"conductor run {path}")
    ends = f" (`conductor runs stop {run_id}` drops it)" if run_id else ""
    return f"nothing runs yet: {', or '.join(ways)}{ends}" if ways else "nothing runs yet"


def plan_facts(found: Plan, choices: Choices, run_id: str, workers: int) -> dict[str, Any]:
    """The form of `plan --json`."""
    from conductor.cli.plan_view import commands_of
    from conductor.cli.step_facts import step_facts
    from conductor.cli.waves import forecast, waves_of

    waves, expected = waves_of(found.steps), forecast(found.steps)
    return {
        "name": found.name,
        "run": run_id or None,
        "project": found.project,
        "request": found.description,
        "from_model": found.from_model,
        "steps": [
            {**step_facts(step), "wave": waves[step.id], **_choice_facts(choices, step.id)} for step in found.steps
        ],
        "commands": [{"whose": whose, "command": command} for whose, command in commands_of(found)],
        "critical_path": list(expected.path),
        "seconds_expected": expected.seconds(workers),
        "steps_without_estimate": expected.unknown,
    }


def _choice_facts(choices: Choices, step_id: str) -> dict[str, Any]:
    choice = choices.get(step_id)
    if choice is None:
        return {}
    return {
        "candidates": [
            {"agent": one.agent, "model": one.model, "score": one.score, "usd_expected": one.usd_expected}
            for one in choice.candidates
        ],
        "passed_over": [{"agent": one.agent, "model": one.model, "why": one.why} for one in choice.passed_over],
    }
