"""Verbs that steer a running conductord: what they say without one, and a few of them with a real one."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import pytest

from conductor.domain.outcome import Outcome
from tests.cli.front import Shell
from tests.conftest import DaemonFactory
from tests.support import eventually, final_line, said, statuses, submit, wait_for_end

# -- without a daemon


@pytest.mark.parametrize("command", [["scale", "3"], ["drain"], ["stop"], ["stop", "--now"], ["reload"]])
def test_what_needs_a_daemon_exits_4_and_says_how_to_start_one(shell: Shell, command: list[str]) -> None:
    answer = shell(*command)

    assert (answer.code, answer.out) == (4, "")
    assert answer.err == f"conductor: no conductord runs on {shell.home.path}: start one with `conductord`\n"


def test_the_status_without_a_daemon_shows_the_queue_and_exits_4(shell: Shell) -> None:
    submit(shell.home, "true", "a")
    submit(shell.home, "true", "b")
    shell.run_next(Outcome.FAILED)

    human, machine = shell("status"), shell("status", "--json")

    assert human.code == machine.code == 4
    assert "no conductord runs on" in human.out
    assert "ready 1" in human.out
    assert "dead 1" in human.out
    assert machine.json["mode"] == "not running"
    assert machine.json["home"] == shell.home.path
    assert machine.json["queue"] == {"batched": 0, "ready": 1, "waiting": 0, "running": 0, "dead": 1, "corrupt": 0}


def test_pause_and_resume_work_without_a_daemon(shell: Shell) -> None:
    submit(shell.home, "true", "a")

    assert shell.ok("pause").out == ""
    assert shell.queue.paused()
    assert shell.queue.claim("default", "w1-1-1-00000000") is None
    assert "paused" in shell("status").out
    shell.ok("pause")

    assert shell.ok("resume").out == ""
    assert not shell.queue.paused()
    shell.ok("resume")
    assert shell.claim().spec.id == "a"


@pytest.mark.parametrize(
    "arguments", [["scale"], ["scale", "many"], ["scale", "-1"], ["scale", "1001"], ["scale", "1.5"]]
)
def test_a_number_of_workers_that_is_none_exits_2(shell: Shell, arguments: list[str]) -> None:
    assert shell(*arguments).code == 2


def test_a_socket_that_nobody_listens_on_is_no_daemon(shell: Shell) -> None:
    submit(shell.home, "true", "a")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(shell.home.control_socket)

    answer = shell("scale", "3")
    assert answer.code == 4
    assert "no conductord runs" in answer.err
    assert "no conductord runs" in shell.ok("submit", "--agent", "command", "true").err


# -- with a daemon


def test_a_day_with_a_daemon(shell: Shell, daemon: DaemonFactory) -> None:
    daemon(workers=2, pools={"gpu": {"workers": 1}})

    # submit: no note, only the id; --wait returns with the result
    answer = shell.ok("submit", "echo hello; echo $A", "--env", "A=1", "--wait")
    assert re.fullmatch(r"t-[\w-]+\n", answer.out)
    assert answer.err == ""
    assert said(shell.home, answer.ids[0]) == "hello\n1\n"

    failed = shell("submit", "echo no; exit 3", "--wait")
    assert failed.code == 1
    assert failed.err == f"conductor: {failed.ids[0]} FAILED\n"
    assert shell("wait", answer.ids[0], failed.ids[0]).code == 1

    # an attempt that is retried is not the end
    shell.ok("submit", 'test "$CONDUCTOR_ATTEMPT" = 2', "--retries", "1", "--wait")

    # many at once, and where they run
    many = shell.ok("submit", "--wait", "-", stdin="pwd\npwd\npwd\n")
    assert [said(shell.home, task_id) for task_id in many.ids] == [f"{shell.cwd}\n"] * 3
    lines = shell.ok("submit", "--wait", "--lines", "-", stdin="own|pwd||\n")
    assert lines.ids == ["own"]
    assert said(shell.home, "own") == f"{shell.home.attempt('own', 1)}/work\n"

    # the log is followed while it grows
    task_id = shell.ok("submit", "echo one; while ! [ -e go ]; do sleep 0.05; done; echo two").ids[0]
    follower = shell.start("logs", "-f", task_id)
    waiter = shell.start("wait", task_id)
    eventually(lambda: follower.out() == "one\n", what="the first line")
    assert not waiter.has_ended()
    Path(shell.cwd, "go").touch()
    assert follower.answer().out == "one\ntwo\n"
    assert waiter.answer().code == 0

    # a retry runs as the next attempt
    shell.ok("retry", failed.ids[0])
    eventually(lambda: statuses(shell.home, failed.ids[0]) == ["FAILED", "FAILED"], what="the second failure")
    assert shell.task(failed.ids[0])["attempt"] == 2


def test_a_running_task_is_cancelled_and_waiting_for_it_gives_1(shell: Shell, daemon: DaemonFactory) -> None:
    daemon(workers=1)
    task_id = shell.ok("submit", "echo up; exec sleep 600").ids[0]
    eventually(lambda: said(shell.home, task_id) == "up\n", what="the task running")
    waiter = shell.start("wait", task_id)

    answer = shell.ok("cancel", task_id)

    assert answer.err == f"{task_id} cancelled\n"
    assert waiter.answer().code == 1
    assert statuses(shell.home, task_id) == ["CANCELLED"]


def test_the_status_shows_every_slot_and_what_it_uses(shell: Shell, daemon: DaemonFactory) -> None:
    conductord = daemon(workers=2)
    task_id = shell.ok("submit", "echo up; exec sleep 600").ids[0]
    eventually(lambda: conductord.slots("busy"), what="a busy slot")

    found = shell.ok("status", "--json").json
    page = shell.ok("status").out

    (busy,) = [slot for slot in found["slots"] if slot["state"] == "busy"]
    assert (busy["task"], busy["attempt"], found["mode"], found["pid"]) == (task_id, 1, "running", conductord.pid)
    assert busy["processes"] == 2
    assert busy["memory_bytes"] > 1_000_000
    assert found["queue"]["running"] == 1
    assert f"busy  {task_id} (attempt 1)" in page
    assert re.search(r"default +slot \d +\d+ +\S+ +idle", page)
    shell.ok("cancel", task_id)


def test_scale_pause_resume_and_drain_steer_it(shell: Shell, daemon: DaemonFactory) -> None:
    conductord = daemon(workers=1)

    shell.ok("scale", "3")
    eventually(lambda: len(conductord.slots("idle")) == 3, what="three idle slots")
    shell.ok("scale", "1")
    eventually(lambda: len(conductord.slots()) == 1, what="one slot")
    assert shell("scale", "--pool", "gpu", "1").code != 0

    shell.ok("pause")
    assert conductord.status()["mode"] == "paused"
    task_id = shell.ok("submit", "true").ids[0]
    assert "paused" in shell.ok("status").out
    assert final_line(shell.home, task_id) is None
    shell.ok("resume")
    wait_for_end(shell.home, task_id)

    shell.ok("drain")
    assert conductord.wait() == 0
    assert shell("status").code == 4


def test_reload_takes_a_new_file_and_keeps_the_old_one_in_force_when_it_is_wrong(
    shell: Shell, daemon: DaemonFactory
) -> None:
    conductord = daemon(workers=1)
    with open(shell.home.settings_file) as file:
        settings = json.load(file)

    with open(shell.home.settings_file, "w") as file:
        json.dump({**settings, "workers": 2}, file)
    shell.ok("reload")
    eventually(lambda: len(conductord.slots("idle")) == 2, what="two slots")

    with open(shell.home.settings_file, "w") as file:
        json.dump({**settings, "workers": -2}, file)
    refused = shell("reload")
    assert refused.code == 78
    assert "workers" in refused.err, "it says what is wrong"
    eventually(lambda: conductord.log_lines("reload_refused"), what="the refusal in the log")
    assert len(conductord.slots()) == 2
    assert shell("stop").code == 0
    assert conductord.wait() == 0
    assert not os.path.exists(shell.home.control_socket)
