"""`conductor why`: a task, a step or a run says what holds it up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conductor.cli.task_reasons import Around, reasons
from conductor.domain.outcome import Outcome, Status
from conductor.domain.plan import Step
from conductor.domain.run import Asks, Delegation, DelegationState, Run, RunStatus, StepState, StepStatus, task_id_of
from conductor.domain.task import TaskSpec, Tries
from conductor.domain.view import Ended, Queued, Running, TaskView, Waiting
from tests.cli.front import Shell
from tests.cli.orchestra import Orchestra
from tests.conftest import DaemonFactory
from tests.support import Gate, eventually, submit, wait_for_end

NOW = 1_000_000.0
SPEC = TaskSpec("t", "true", agent="command")
IDLE = {"slot": 1, "pool": "default", "state": "idle", "for_seconds": 1.0}
BUSY = {"slot": 1, "pool": "default", "state": "busy", "task": "long", "attempt": 1, "for_seconds": 300.0}
GIVEN_UP = {"slot": 2, "pool": "default", "state": "given up", "why": "exit 70", "for_seconds": 3.0}


def status(*slots: Mapping[str, Any], mode: str = "running", **pools: int) -> dict[str, Any]:
    return {"mode": mode, "pools": pools or {"default": len(slots)}, "slots": list(slots)}


WELL = Around(NOW, "/home/conductor.yaml", {"default": 3}, status(IDLE))


def queued(spec: TaskSpec = SPEC, batch: str = "") -> Queued:
    return Queued(spec, Tries(), batch)


# -- the reasons


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "about to start"),
        ({"status": {}}, "no conductord runs"),
        ({"status": status(IDLE, mode="draining")}, "conductord is draining and claims nothing"),
        ({"paused": True}, "`conductor resume`"),
        ({"full": "less than 1 GiB is free"}, "nothing is claimed, less than 1 GiB is free"),
        ({"pools": {"other": 1}}, "there is no pool 'default'"),
        ({"status": status(other=1)}, "conductord does not know pool default yet: `conductor reload`"),
        ({"status": status(default=0)}, "pool default has no workers: `conductor scale --pool default 1`"),
        ({"status": {}, "pools": {"default": 0}}, "pool default has no workers"),
        ({"status": status(GIVEN_UP)}, "1 worker of its pool did not start, given up: exit 70"),
        ({"status": status(BUSY, BUSY)}, "all workers of its pool are busy, long the longest, for 5m"),
        ({"status": status(BUSY, GIVEN_UP)}, "the others are busy, long the longest"),
        ({"status": status(BUSY, IDLE)}, "about to start"),
        ({"closed": lambda spec: f"provider of {spec.agent} is parked"}, "provider of command is parked"),
        ({"before": lambda _spec: 7}, "7 of pool default come before it"),
    ],
)
def test_a_queued_task_says_what_is_before_it(change: dict[str, Any], said: str) -> None:
    found = reasons(queued(), replace(WELL, **change))
    assert any(said in reason for reason in found), found
    assert not (len(found) > 1 and any("about to start" in reason for reason in found))


def test_several_reasons_are_all_told() -> None:
    found = reasons(queued(batch="b1"), replace(WELL, status={}, paused=True, before=lambda _spec: 1))
    assert len(found) == 4
    assert "file b1 of inbox/" in found[0]


def test_one_that_waits_for_its_time_tells_how_long_and_what_else() -> None:
    (delayed,) = reasons(Waiting(SPEC, Tries(), int((NOW + 90) * 1000)), WELL)
    assert delayed == "it waits for its time: 1m30s from now"
    again, paused = reasons(Waiting(SPEC, Tries(1), int((NOW + 1) * 1000)), replace(WELL, paused=True))
    assert "after an attempt that failed" in again
    assert "paused" in paused


def test_one_that_waits_for_others_names_each_that_has_not_come(tmp_path: Path) -> None:
    # given
    others: dict[str, TaskView] = {
        "well": Ended("well", Status.SUCCESS, {}),
        "failed": Ended("failed", Status.FAILED, {}),
        "runs": Running(SPEC, Tries(1), "w", NOW - 60),
        "waits": Waiting(SPEC, Tries(), 0, "runs"),
        "queued": queued(),
    }
    spec = replace(SPEC, after=("well", "failed", "runs", "waits", "queued", "gone"))

    # when
    found = reasons(Waiting(spec, Tries(), 0, "runs"), replace(WELL, find=others.get))

    # then
    assert [reason.split(" to end well, which ")[0].rpartition(" ")[2] for reason in found] == [
        "runs", "failed", "waits", "queued", "gone",
    ]  # fmt: skip
    assert "which runs for 1m" in found[0]
    assert "which waits for runs" in found[2]
    assert "is not here any more" in found[4]


def test_one_that_runs_or_ended_says_so() -> None:
    assert "it runs for 1m" in reasons(Running(SPEC, Tries(1), "w1", NOW - 60), WELL)[0]
    assert "records how it ended" in reasons(Running(SPEC, Tries(1), "w1", NOW, recording=True), WELL)[0]
    assert reasons(Ended("t", Status.BUDGET, {}), WELL) == ["it has ended as BUDGET: `conductor show t` tells how"]


# -- the command


def test_a_task_nobody_knows_exits_3(shell: Shell) -> None:
    for unknown in ("nobody", "r-nobody11", "r-nobody11.step.1", "../../etc"):
        assert shell("why", unknown).code == 3, unknown


def test_a_task_before_there_is_a_daemon(shell: Shell) -> None:
    shell.submit("true", "--id", "first")
    shell.submit("true", "--id", "second", "--pool", "gpu")

    assert "no conductord runs on this home" in shell.ok("why", "first").out
    assert "there is no pool 'gpu'" in shell.ok("why", "second").out


def test_a_chain_of_tasks_is_followed(shell: Shell) -> None:
    shell.submit("true", "--id", "one")
    shell.submit("true", "--id", "two", "--after", "one")

    assert "waits for task one to end well, which is queued" in shell.ok("why", "two").out
    shell.run_next(Outcome.SUCCESS)
    assert shell.ok("why", "one").out.startswith("it has ended as SUCCESS")


def test_under_a_daemon_the_one_that_is_in_the_way_is_named(
    shell: Shell, daemon: DaemonFactory, tmp_path: Path
) -> None:
    # given one worker, which is busy
    gate = Gate(tmp_path)
    daemon(workers=1)
    busy = submit(shell.home, gate.command)
    gate.wait_for()
    waiting = submit(shell.home, "true")

    # then
    eventually(lambda: f"busy, {busy} the longest" in shell.ok("why", waiting).out, what="the busy one named")
    assert shell.ok("why", "--json", busy).json["reasons"][0].startswith("it runs for ")
    gate.open()
    wait_for_end(shell.home, waiting)


# -- runs


@pytest.fixture
def run(shell: Shell) -> tuple[Orchestra, str]:
    """Two steps, one after the other; the first is handed out."""
    shell.submit("true", "--id", "something")
    orchestra = Orchestra(shell.home)
    run_id = "r-abcd1234"
    made = Run(run_id, run_id, "a run", RunStatus.RUNNING, time.time(), workspace=shell.home.path, isolated=False)
    first = Step("parser", "write the parser", "…")
    second = Step("printer", "write the printer", "…", depends_on=("parser",))
    orchestra.add(made, StepState(run_id, first, 0), StepState(run_id, second, 1))
    task_id = task_id_of(run_id, "parser", 1)
    orchestra.step(run_id, "parser", StepStatus.IN_PROGRESS, round=1)
    orchestra.hand_out(Delegation(task_id, run_id, "parser", 1, DelegationState.WORKING, time.time(), agent="command"))
    shell.submit("true", "--id", task_id)
    return orchestra, run_id


def test_a_run_tells_of_each_step_that_is_not_over(shell: Shell, run: tuple[Orchestra, str]) -> None:
    _, run_id = run
    lines = shell.ok("why", run_id).out.splitlines()

    assert lines[0] == f"{run_id} is running"
    assert "no conductord runs" in lines[1]
    assert lines[-2:] == ["parser: queued", "printer: waits for parser"]


def test_a_step_is_asked_for_by_run_and_name_or_by_its_task(shell: Shell, run: tuple[Orchestra, str]) -> None:
    _, run_id = run
    asked = shell.ok("why", run_id, "printer").out
    not_handed_out = shell.ok("why", task_id_of(run_id, "printer", 1)).out

    assert asked.startswith(f"step printer of {run_id}, pending: waits for parser\n")
    assert not_handed_out == asked


def test_a_task_of_a_run_also_says_what_the_run_says(shell: Shell, run: tuple[Orchestra, str]) -> None:
    _, run_id = run
    lines = shell.ok("why", task_id_of(run_id, "parser", 1)).out.splitlines()

    assert "no conductord runs on this home" in lines[0]
    assert f"step parser of {run_id}, in progress: queued" in lines


def test_a_run_that_asks_says_who_is_waited_for(shell: Shell, run: tuple[Orchestra, str]) -> None:
    orchestra, run_id = run
    orchestra.ask(run_id, Asks.PLAN)
    assert f"conductor approve {run_id}" in shell.ok("why", run_id).out
    assert f"conductor approve {run_id}" in shell.ok("why", run_id, "printer").out


def test_a_run_that_is_over_says_how_it_ended(shell: Shell, run: tuple[Orchestra, str]) -> None:
    orchestra, run_id = run
    orchestra.end(run_id, RunStatus.STOPPED, reason="a person stopped it")
    assert shell.ok("why", run_id).out.startswith(f"{run_id} stopped (a person stopped it)")


def test_a_step_nobody_knows_is_answered_with_those_that_there_are(shell: Shell, run: tuple[Orchestra, str]) -> None:
    answer = shell("why", run[1], "prnter")
    assert (answer.code, "did you mean printer" in answer.err) == (2, True)
