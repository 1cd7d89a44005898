"""A clean context: nothing of one task, and nothing of the daemon's secrets, can be noticed by the next."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.processes import polluter, probe
from tests.support import Gate, command_name, eventually, run_cli, said, submit, wait_for_end

OWN_TO_EACH_TASK = ("CONDUCTOR_TASK_ID", "CONDUCTOR_ATTEMPT", "CONDUCTOR_WORKER_ID", "CONDUCTOR_TASK_DIR")
OF_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}


def program(script: object, *arguments: str) -> str:
    """A description that becomes this Python program, with no shell left in between."""
    return "exec " + shlex.join([sys.executable, "-I", str(script.__file__), *arguments])  # type: ignore[attr-defined]


def look_around(home: Home, **options: Any) -> dict[str, Any]:
    """The context of a task of its own."""
    task = submit(home, program(probe), **options)
    assert wait_for_end(home, task).status.value == "SUCCESS", said(home, task)
    found: dict[str, Any] = json.loads(said(home, task))
    return found


def without_own(context: dict[str, Any]) -> dict[str, Any]:
    env = {name: value for name, value in context["env"].items() if name not in (*OWN_TO_EACH_TASK, *OF_THE_SHELL)}
    return {**context, "env": env}


@pytest.mark.parametrize("code", [0, 1])
def test_the_next_task_cannot_tell_that_there_was_one_before(
    daemon: DaemonFactory, home: Home, tmp_path: Path, code: int
) -> None:
    # given what the first task of the only worker slot sees
    daemon(workers=1)
    before = look_around(home, workspace=str(tmp_path))

    # when one has been there that changed all that a process can change of itself
    polluting = submit(home, program(polluter, str(code)), workspace=str(tmp_path))
    assert wait_for_end(home, polluting).status.value == ("FAILED" if code else "SUCCESS")
    assert said(home, polluting) == "polluted\n"

    # then the next one sees what the first one saw
    assert without_own(look_around(home, workspace=str(tmp_path))) == without_own(before)


def test_a_task_finds_the_context_of_a_freshly_started_program(daemon: DaemonFactory, home: Home) -> None:
    # given, when
    daemon(workers=1)
    found = look_around(home)

    # then
    assert found["files"] == {"0": "/dev/null", "1": "pipe", "2": "pipe"}
    assert found["umask"] == 0o022
    assert found["leads_its_session"]
    assert found["terminal"] == "0"
    assert found["status"]["Threads"] == "1"
    assert int(found["status"]["SigBlk"], 16) == 0
    assert int(found["status"]["SigPnd"], 16) == 0
    assert _signals(found["status"]["SigIgn"]) == {signal.SIGPIPE, signal.SIGXFSZ}  # Python's own doing, in the probe
    assert found["parent_death_signal"] == signal.SIGKILL
    assert found["cwd"] == home.attempt(found["env"]["CONDUCTOR_TASK_ID"], 1) + "/work"


def test_what_is_odd_about_the_daemon_s_own_context_is_not_passed_on(daemon: DaemonFactory, home: Home) -> None:
    # given a daemon that was started as `nohup` and careless scripts start programs
    odd = "trap '' HUP INT QUIT USR1 USR2 PIPE CHLD; umask 0; exec 7</etc/passwd 8>/dev/null; exec \"$@\""
    conductord = daemon(launch_only=True, workers=1)
    conductord.stop()
    conductord.launch(prefix=("/bin/sh", "-c", odd, "odd"))
    conductord.wait_until_settled()

    # when
    task = submit(home, "grep SigIgn /proc/self/status; umask; ls /proc/self/fd | wc -l")

    # then
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert said(home, task).split() == ["SigIgn:", "0" * 16, "0022", "4"]


def test_a_task_s_environment_is_the_allow_list_its_own_and_who_it_is(daemon: DaemonFactory, home: Home) -> None:
    # given a daemon with much in its environment
    allowed = {"LC_TIME": "C", "XDG_CACHE_HOME": "/c", "TZ": "UTC", "https_proxy": "http://p:1", "SSL_CERT_DIR": "/s"}
    asked_for = {"BUILD_ID": "7", "APP_MODE": "x", "APP_COLOUR": "y", "OPENCLAW_BIN": "/o", "DISCORD_CHANNEL": "c"}
    withheld = {
        "ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdef",
        "DB_PASSWORD": "hunter2-hunter2",
        "PYTHONPATH": "/elsewhere",
        "LD_LIBRARY_PATH": "/lib",
        "APPLE": "no",
        "CONDUCTOR_GRACE": "3s",
        "WORKERS": "1",
        "SSH_AUTH_SOCK": "/agent",
        "VIRTUAL_ENV": "/v",
    }
    daemon(env={**allowed, **asked_for, **withheld}, environment=["BUILD_ID", "APP_*"])

    # when
    found = look_around(home, env=(("GREETING", "hello world"), ("TZ", "CET"), ("CONDUCTOR_ATTEMPT", "9")))["env"]

    # then it is this and nothing else
    worker, task = found.pop("CONDUCTOR_WORKER_ID"), found.pop("CONDUCTOR_TASK_ID")
    assert worker.startswith(("w1-", "w2-", "w3-"))
    assert {name: value for name, value in found.items() if name not in OF_THE_SHELL} == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": os.path.dirname(home.path),
        "LANG": "C.UTF-8",
        **allowed,
        **asked_for,
        "GREETING": "hello world",
        "TZ": "CET",
        "CONDUCTOR_HOME": home.path,
        "CONDUCTOR_ATTEMPT": "1",
        "CONDUCTOR_TASK_DIR": home.attempt(task, 1),
    }


def test_a_task_on_the_command_line_runs_where_it_was_submitted(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given
    daemon(workers=1)
    (tmp_path / "here").mkdir()

    # when
    done = run_cli(
        home, "submit", "--wait", "--id", "where", "pwd; cat", stdin="not for the task", cwd=f"{tmp_path}/here"
    )

    # then it sees that folder, and nothing on its standard input
    assert done.returncode == 0
    assert said(home, "where") == f"{tmp_path}/here\n"


def test_a_workspace_that_is_gone_fails_the_task_only(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    daemon(workers=1)

    # when
    line = wait_for_end(home, submit(home, "true", workspace=str(tmp_path / "gone")))

    # then
    assert line.status.value == "FAILED"
    assert line.preview == f"the workspace {tmp_path}/gone is gone"
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_two_tasks_at_a_time_share_nothing_but_the_home(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given one running task
    conductord = daemon(workers=2)
    gate = Gate(tmp_path)
    task = submit(home, f"exec 9>{tmp_path}/held; {gate.command}")
    gate.wait_for()

    # when, then neither another task nor a worker nor the nursery has its file open
    assert set(look_around(home)["files"]) == {"0", "1", "2"}
    eventually(lambda: len(conductord.slots("idle")) == 1)
    pids = [slot["pid"] for slot in conductord.slots()] + conductord.nurseries()
    assert {command_name(pid) for pid in pids} == {"conductor-work", "conductor-nurse"}
    for pid in pids:
        targets = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        assert f"{tmp_path}/held" not in targets
    gate.open()
    wait_for_end(home, task)


# -- secrets

PASSWORD = "correct-horse-battery"
TOKEN = "tk_0123456789_abcdefghij"
API_KEY = "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWx"


def files_that_tell(home: Home, secret: str) -> list[str]:
    """Every file of the home that holds the secret, but for the queue's own: what is to be run must be kept."""
    return [
        path
        for folder, _, names in os.walk(home.path)
        for name in names
        if not folder.startswith(home.queue)
        and os.path.isfile(path := f"{folder}/{name}")
        and secret.encode() in Path(path).read_bytes()
    ]


def test_no_secret_reaches_a_log_a_result_an_event_or_a_screen(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a daemon that has a password, and a task that was given a token and finds the rest by itself
    conductord = daemon(workers=1, env={"DB_PASSWORD": PASSWORD})
    (tmp_path / "found").write_text(f"{PASSWORD}\n{API_KEY}\n")
    description = (
        f"read -r LEAK KEY <<END\n$(tr '\\n' ' ' <{tmp_path}/found)\nEND\n"
        "echo token $SERVICE_TOKEN; echo key $KEY >&2; echo password $LEAK | tee $CONDUCTOR_TASK_DIR/RESULT.txt; "
        "printf correct-ho; sleep 0.1; printf 'rse-battery in two pieces\\n'; echo Authorization: Bearer ${KEY}x; "
        "echo my summary $SERVICE_TOKEN >$CONDUCTOR_TASK_DIR/SUMMARY.txt; echo last: $SERVICE_TOKEN $LEAK $KEY; exit 3"
    )

    # when it prints them in every way it can, and fails
    done = run_cli(home, "submit", "--wait", "--env", f"SERVICE_TOKEN={TOKEN}", "--id", "leaky", description)
    assert done.returncode == 1, done.stderr
    assert conductord.stop() == 0

    # then they stand nowhere
    for secret in (PASSWORD, TOKEN, API_KEY):
        assert files_that_tell(home, secret) == []
        assert secret not in conductord.log_text()
    assert said(home, "leaky").count("[masked]") == 8
    assert "[masked] in two pieces" in said(home, "leaky")
    shown = [run_cli(home, *words) for words in (("show", "leaky"), ("show", "--json", "leaky"), ("logs", "leaky"))]
    shown += [run_cli(home, *words) for words in (("results",), ("list", "--json"), ("list",), ("status",))]
    assert all("leaky" in done.stdout for done in (shown[0], shown[3], shown[4]))
    for done in shown:
        assert not any(secret in done.stdout + done.stderr for secret in (PASSWORD, TOKEN, API_KEY))


def test_a_waiting_task_s_secrets_are_not_shown_either(home: Home) -> None:
    # given a task with a token in its environment, and the same in its words
    arguments = ("--env", f"SERVICE_TOKEN={TOKEN}", "--env", "GREETING=hello", "--id", "waiting")
    run_cli(home, "submit", *arguments, "--agent", "command", f"curl -H 'X: {TOKEN}' $GREETING")

    # when
    shown = run_cli(home, "show", "--json", "waiting").stdout + run_cli(home, "list", "--json").stdout

    # then
    assert TOKEN not in shown
    assert json.loads(run_cli(home, "show", "--json", "waiting").stdout)["env"] == {
        "SERVICE_TOKEN": "[masked]",
        "GREETING": "hello",
    }


def test_a_secret_of_several_lines_is_masked_line_by_line(daemon: DaemonFactory, home: Home) -> None:
    # given a key as files hold it
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA0Z3\nVS5JJcds3xfn/ygWyF8\n-----END KEY-----"
    daemon(workers=1)

    # when it is printed a line at a time
    description = 'echo "$DEPLOY_KEY" | while read line; do echo "$line"; sleep 0.02; done'
    task = submit(home, description, env=(("DEPLOY_KEY", key),))

    # then
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert "MIIEpAIBAAKCAQEA0Z3" not in said(home, task)
    assert "VS5JJcds3xfn" not in said(home, task)


def _signals(mask: str) -> set[int]:
    bits = int(mask, 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1}
