"""Runs in the hands of a program, with a real conductord and its orchestrators: no model, commands alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor import Conductor, DaemonNotRunning, NoSuchProject, NoSuchRun, PlanInvalid, RunOptions, UsageError
from conductor.domain.home import Home
from conductor.domain.plan import Plan, Step
from conductor.domain.run import Asks, RunAutonomy, RunStatus, StepStatus
from tests.conftest import DaemonFactory

PLAN = """
name: two
steps:
  - {id: a, title: First, agent: command, description: echo one >> said}
  - {id: b, title: Second, agent: command, description: echo two >> said, depends_on: [a]}
"""


def test_a_plan_of_a_file_runs_to_its_end_and_tells_what_happened(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    daemon()
    (tmp_path / "two.yaml").write_text(PLAN)

    with Conductor(home.path) as conductor:
        run = conductor.run(tmp_path / "two.yaml", options=RunOptions(workspace=str(tmp_path)))
        told = [event.action for event in run.events(follow=True)]
        ended = run.wait(timeout=60)

        assert ended.status is RunStatus.COMPLETED
        assert [(state.step.id, state.status) for state in run.steps()] == [
            ("a", StepStatus.COMPLETED),
            ("b", StepStatus.COMPLETED),
        ]
        assert [found.id for found in conductor.runs()] == [run.id]
        assert conductor.get_run(run.id) == run
    assert (tmp_path / "said").read_text() == "one\ntwo\n"
    assert told[-1] == "run_ended"


def test_a_run_that_asks_is_given_back_and_goes_on_when_it_is_approved(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    daemon()
    plan = Plan(name="one", steps=(Step("a", "Only", "echo yes > said", agent="command"),))

    with Conductor(home.path) as conductor:
        run = conductor.run(plan, options=RunOptions(workspace=str(tmp_path), autonomy=RunAutonomy.CONFIRM))
        waiting = run.wait(timeout=60)
        assert (waiting.status, waiting.asks) == (RunStatus.WAITING, Asks.PLAN)
        run.approve()

        assert run.wait(timeout=60).status is RunStatus.COMPLETED
        with pytest.raises(UsageError, match="asks for nothing"):
            run.approve()


def test_a_run_is_stopped(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon()
    plan = Plan(name="long", steps=(Step("a", "Only", "exec sleep 600", agent="command"),))

    with Conductor(home.path) as conductor:
        run = conductor.run(plan, options=RunOptions(workspace=str(tmp_path)))
        run.stop()

        assert run.wait(timeout=60).status is RunStatus.STOPPED


def test_what_cannot_be_started_is_said_before_anything_is(home: Home, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\nsteps:\n  - {id: a, depends_on: [nowhere]}\n")

    with Conductor(home.path) as conductor:
        with pytest.raises(PlanInvalid):
            conductor.run(tmp_path / "bad.yaml")
        with pytest.raises(UsageError, match="no file or folder"):
            conductor.run(tmp_path / "absent.yaml")
        with pytest.raises(NoSuchProject):
            conductor.run(Plan(name="x", steps=(Step("a", "A", "true", agent="command"),)), project="nowhere")
        with pytest.raises(NoSuchRun):
            conductor.get_run("r-nothere1")
        with pytest.raises(UsageError, match="empty"):
            conductor.build(" ", project="p")
        assert list(conductor.runs()) == []


def test_a_run_waited_for_without_a_daemon_gives_up(home: Home, tmp_path: Path) -> None:
    plan = Plan(name="one", steps=(Step("a", "Only", "true", agent="command"),))

    with Conductor(home.path, daemon_patience=0.1) as conductor:
        run = conductor.run(plan, options=RunOptions(workspace=str(tmp_path)))

        with pytest.raises(DaemonNotRunning):
            run.wait()
