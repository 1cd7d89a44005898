"""What a backup holds, and what comes along when a home is moved: everything."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conductor import Conductor, RunOptions, Status
from conductor.domain.home import Home
from conductor.domain.plan import Plan, Step
from conductor.domain.run import RunStatus, StepStatus
from tests.conftest import DaemonFactory
from tests.handbook.test_handbook import told
from tests.handbook.walk import Shell, blocks
from tests.support import Conductord, Gate, end_processes_of, eventually, result_lines, run_cli, statuses


def everything(home: Home) -> list[dict[str, Any]]:
    """Each task as `list` shows it, without what only time changes."""
    rows = json.loads(run_cli(home, "list", "--all", "--json").stdout)
    return [{name: value for name, value in row.items() if name != "due_in_seconds"} for row in rows]


def fill(home: Home) -> None:
    """One task in each state that lasts while nothing runs, and a run that has ended."""
    with Conductor(home.path) as conductor:
        conductor.submit("echo fine", agent="command", task_id="well").wait(timeout=30)
        conductor.submit("exit 3", agent="command", task_id="dead").wait(timeout=30)
        conductor.submit("true", agent="command", task_id="late", delay="1h")
        conductor.submit("true", agent="command", task_id="after", after=["late"])
        conductor.submit("true", agent="command", task_id="nobody", pool="of-nobody")
        plan = Plan(name="one", steps=(Step("a", "Only", "true", agent="command"),))
        run = conductor.run(plan, options=RunOptions(workspace=home.path))
        assert run.wait(timeout=60).status is RunStatus.COMPLETED


@pytest.mark.parametrize("kind", ["backup-cold", "backup-hot"])
def test_a_backup_made_as_the_handbook_says_holds_everything(
    daemon: DaemonFactory, home: Home, sandbox: Shell, user: Path, kind: str
) -> None:
    # given a home with a bit of everything and its conductord
    home = Home(str(user / "home"))
    daemon(on=home)
    fill(home)
    sandbox.run(f"export CONDUCTOR_HOME={home.path}")
    (recipe,) = (
        block for block in blocks(told()) if f'"$HOME/{kind}"' in block.text and "conductor stop" not in block.text
    )

    # when it is backed up, and goes on meanwhile
    for command in recipe.commands():
        if "conductord >>" in command.text:
            break  # the one that the fixture ends
        code, output = sandbox.run(command.text)
        assert code == command.exit_code, output
    restored = Home(str(user / "new-home"))
    shutil.copytree(user / kind, restored.path, symlinks=True)

    # then the copy has every task where it was, each result, and the run
    assert everything(restored) == everything(home)
    assert Path(restored.results).read_bytes() == Path(home.results).read_bytes()
    with Conductor(restored.path) as conductor:
        assert [run.status for run in conductor.runs()] == [RunStatus.COMPLETED]


def test_a_home_that_is_moved_while_stopped_loses_nothing(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given a home with a bit of everything, stopped in the middle of a task
    one = daemon(workers=2)
    fill(home)
    gate = Gate(tmp_path)
    with Conductor(home.path) as conductor:
        stopped = conductor.submit(gate.command, agent="command", task_id="stopped", workspace=tmp_path)
        gate.wait_for()
        one.ask("stop", now=True)
        one.wait()
        queued = conductor.submit_many(["true", "true"], agent="command", workspace=tmp_path)
    before, results = everything(home), Path(home.results).read_bytes()

    # when it is moved
    moved = Home(str(tmp_path / "elsewhere" / "home"))
    Path(moved.path).parent.mkdir()
    shutil.move(home.path, moved.path)

    # then everything is there, and what was to run runs
    assert everything(moved) == before
    assert Path(moved.results).read_bytes() == results
    gate.open()
    daemon(on=moved)
    with Conductor(moved.path) as conductor:
        ended = conductor.wait([stopped.id, *(task.id for task in queued)], timeout=60)
        assert [result.status for result in ended] == [Status.SUCCESS] * 3
        assert ended[0].folder.startswith(moved.path)
        assert ended[0].text == "let through\n"
        assert [run.status for run in conductor.runs()] == [RunStatus.COMPLETED]
    assert set(Counter(line.task_id for line in result_lines(moved)).values()) == {1}
    assert not Path(home.path).exists()


def test_a_home_that_is_moved_after_a_power_cut_tries_again_what_ran(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    one = daemon(workers=1)
    gate = Gate(tmp_path)
    with Conductor(home.path) as conductor:
        cut = conductor.submit(gate.command, agent="command", task_id="cut", workspace=tmp_path)
    gate.wait_for()
    cut_the_power(one)
    moved = Home(str(tmp_path / "moved"))
    shutil.move(home.path, moved.path)

    gate.open()
    daemon(on=moved)

    with Conductor(moved.path) as conductor:
        result = conductor.wait([cut.id], timeout=60)[0]
    assert (result.status, result.attempt) == (Status.SUCCESS, 2)
    assert statuses(moved, cut.id) == ["RETRY", "SUCCESS"]


def cut_the_power(one: Conductord) -> None:
    """Everything dies at once."""
    one.kill()
    end_processes_of(one.home)


def test_a_step_in_progress_is_tried_anew_where_its_home_is_now(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a run of a project, stopped and moved in the middle of its second step
    repository = tmp_path / "shop"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    git(repository, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "start")
    one = daemon(workers=2)
    assert run_cli(home, "project", "create", "shop", "--path", str(repository)).returncode == 0
    gate = Gate(tmp_path)
    steps = (
        Step("a", "First", "echo one > one", agent="command"),
        Step("b", "Second", f"{gate.command}; echo two > two", agent="command", depends_on=("a",)),
        Step("c", "Third", "cat one two > three", agent="command", depends_on=("b",)),
    )
    with Conductor(home.path) as conductor:
        run_id = conductor.run(Plan(name="moved", steps=steps), project="shop").id
        gate.wait_for()
    one.ask("stop", now=True)
    one.wait()
    moved = Home(str(tmp_path / "moved"))
    shutil.move(home.path, moved.path)

    # when it is started there, and what needed its old worktree is tried anew
    gate.open()
    daemon(on=moved)
    with Conductor(moved.path) as conductor:
        run = conductor.get_run(run_id)
        assert run.wait(timeout=60).status is RunStatus.FAILED
        (failed,) = [state for state in run.steps() if state.status is StepStatus.FAILED]
        assert "is gone" in failed.reason
        assert run_cli(moved, "runs", "retry", run_id, "b").returncode == 0
        eventually(lambda: not conductor.get_run(run_id).state().reason, what="the run goes on")

        # then it comes to its end, with what was merged before
        assert run.wait(timeout=60).status is RunStatus.COMPLETED
    assert git(repository, "show", "HEAD:three") == "one\ntwo\n"


def git(folder: Path, *arguments: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout
