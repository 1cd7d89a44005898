"""A real conductord: limits set by hand hold up one provider's tasks and no others, over a restart too."""

from __future__ import annotations

import os
from pathlib import Path

from conductor.domain.home import Home
from conductor.domain.outcome import Status
from conductor.limits.files import FolderLock
from conductor.limits.parking import parked_lines
from tests.conftest import DaemonFactory
from tests.support import Gate, eventually, final_line, run_cli, stays, submit, wait_for_end

SETTINGS = {
    "workers": 2,
    "agents": {"hired": {"kind": "command", "provider": "anthropic", "gate": False}},
    "providers": {"anthropic": {"concurrency": 1}},
}


def test_a_forbidden_providers_tasks_wait_over_a_restart_until_it_is_lifted(home: Home, daemon: DaemonFactory) -> None:
    first = daemon(**SETTINGS)
    assert run_cli(home, "limits", "forbid", "anthropic").returncode == 0
    held = submit(home, "echo hired", agent="hired")
    free = submit(home, "echo free")

    assert wait_for_end(home, free).status is Status.SUCCESS
    first.stop()
    daemon(**SETTINGS)

    assert stays(lambda: final_line(home, held) is None)
    assert len(parked_lines(home.path, 0.0)) == 1
    assert run_cli(home, "limits", "lift", "anthropic").returncode == 0
    assert wait_for_end(home, held).status is Status.SUCCESS


def test_no_more_agents_of_a_provider_run_than_its_concurrency(home: Home, daemon: DaemonFactory) -> None:
    daemon(**SETTINGS)
    inside = os.path.dirname(home.path)
    script = f"mkdir {inside}/room && sleep 0.1 && rmdir {inside}/room"  # mkdir fails where another one is

    tasks = [submit(home, script, agent="hired") for _ in range(4)]

    assert [wait_for_end(home, task).status for task in tasks] == [Status.SUCCESS] * 4
    eventually(lambda: os.listdir(f"{home.path}/limits/running") == [])


def test_a_worker_whose_claim_may_not_start_is_idle_again(home: Home, daemon: DaemonFactory, tmp_path: Path) -> None:
    conductord = daemon(**SETTINGS)
    gate = Gate(tmp_path)
    running = submit(home, gate.command, agent="hired")
    gate.wait_for()

    with FolderLock(f"{home.path}/limits"):  # the next one is looked at for so long that it seems to run
        held = submit(home, "echo hired", agent="hired")
        eventually(lambda: len(conductord.slots("busy")) == 2, what="the claim seen")

    eventually(lambda: len(conductord.slots("idle")) == 1, what="its worker idle, its task in the lane")
    gate.open()
    assert [wait_for_end(home, task).status for task in (running, held)] == [Status.SUCCESS] * 2
