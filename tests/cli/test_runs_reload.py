"""Settings that change while a run goes on: its orchestrator works by those in force, and the run comes to its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from conductor.domain.home import Home
from tests.cli.front import Shell
from tests.cli.test_runs_live import plan
from tests.conftest import DaemonFactory
from tests.support import Conductord, Gate, eventually, write_settings


def pids(conductord: Conductord) -> list[int]:
    return [one["pid"] for one in conductord.status().get("orchestrators", []) if one["state"] == "running"]


def test_an_orchestrator_is_replaced_when_settings_that_matter_to_it_change_and_its_run_goes_on(
    shell: Shell, daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a run whose first step works
    conductord = daemon(workers=2)
    gate = Gate(tmp_path)
    run_id = shell.ok("run", plan(shell, "two", a=gate.command, b=f"echo two >> {tmp_path}/said")).ids[0]
    gate.wait_for()
    (first,) = eventually(lambda: pids(conductord))

    # when what does not matter to it changes: it stays
    write_settings(home, workers=2, grace="3s")
    conductord.ask("reload")
    assert pids(conductord) == [first]

    # when what does, it is replaced
    write_settings(home, workers=2, grace="3s", orchestrator={"bounces": 5})
    conductord.ask("reload")
    (second,) = eventually(lambda: [pid for pid in pids(conductord) if pid != first])

    # and when it is killed while the file is wrong, the next one works by the settings in force
    Path(home.settings_file).write_text("workers: [")
    assert conductord.ask("reload")["refused"]
    os.kill(second, signal.SIGKILL)
    eventually(lambda: [pid for pid in pids(conductord) if pid not in (first, second)])

    # then the run comes to its end, each step done once
    gate.open()
    eventually(lambda: Path(tmp_path, "said").exists(), what="the second step")
    write_settings(home)
    assert "completed: 2 of 2 steps" in shell.ok("runs", "wait", run_id).out
    assert gate.attempts() == [1]
    assert Path(tmp_path, "said").read_text() == "two\n"
