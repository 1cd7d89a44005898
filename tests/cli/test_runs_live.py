"""Runs as a person drives them, with a real conductord and its orchestrators: no model, commands alone."""

from __future__ import annotations

from pathlib import Path

from tests.cli.front import Shell
from tests.conftest import DaemonFactory
from tests.support import eventually


def plan(shell: Shell, name: str, **commands: str) -> str:
    """A plan file: one step after the other."""
    lines = [f"name: {name}", "steps:"]
    before = ""
    for step_id, command in commands.items():
        lines += [f"  - id: {step_id}", f"    title: Step {step_id}", "    agent: command"]
        lines += [f"    description: {command!r}", f"    depends_on: [{before}]"]
        before = step_id
    path = Path(shell.cwd, f"{name}.yaml")
    path.write_text("\n".join(lines))
    return str(path)


def test_a_day_with_runs(shell: Shell, daemon: DaemonFactory) -> None:
    daemon(workers=2)

    # a plan runs to its end, in the folder one stands in
    done = shell.ok("run", plan(shell, "two", a="echo one >> said", b="echo two >> said"), "--watch")
    assert Path(shell.cwd, "said").read_text() == "one\ntwo\n"
    assert "completed: 2 of 2 steps" in done.out

    # one that fails says why, is shown, and goes on when what failed is tried anew
    failed = shell("run", plan(shell, "three", a="true", b="test -e mended", c="echo three >> said"), "--wait")
    run_id = failed.ids[0]
    assert failed.code == 1
    assert f"try it anew: conductor runs retry {run_id} b" in failed.out
    states = {step["id"]: step["status"] for step in shell.ok("runs", "show", run_id, "--json").json["steps"]}
    assert states == {"a": "completed", "b": "failed", "c": "blocked"}
    Path(shell.cwd, "mended").touch()
    shell.ok("runs", "retry", run_id[2:6], "b")
    assert shell.ok("runs", "wait", run_id).out.count("completed: 3 of 3 steps") == 1
    assert Path(shell.cwd, "said").read_text() == "one\ntwo\nthree\n"

    # one that asks waits, and goes on when it is approved
    asking = shell("run", plan(shell, "four", a="echo four >> said"), "--autonomy", "confirm", "--wait")
    assert asking.code == 5
    assert "four" not in Path(shell.cwd, "said").read_text()
    approved = shell.ok("approve", asking.ids[0], "--yes", "--watch")
    assert "a runs\n      echo four >> said" in approved.out
    assert Path(shell.cwd, "said").read_text().endswith("four\n")

    # one that is stopped leaves nothing running
    started = shell.ok("run", plan(shell, "five", a="exec sleep 600")).ids[0]
    eventually(lambda: shell.ok("runs", "show", started, "--json").json["steps"][0]["why"] == "works", what="the step")
    shell.ok("runs", "stop", started)
    stopped = shell("runs", "wait", started)
    assert stopped.code == 1
    assert f"{started} stopped" in stopped.out
    assert [run["status"] for run in shell.ok("runs", "--json").json] == [
        "stopped",
        "completed",
        "completed",
        "completed",
    ]
