"""`conductor show` and `conductor logs`: everything about one task."""

from __future__ import annotations

import os

import pytest

from conductor.domain.masking import MASK
from conductor.domain.outcome import Outcome
from conductor.domain.view import Running, TaskView
from conductor.queue import listing
from conductor.queue.files import QueueFiles
from tests.cli.front import WORKER, Shell
from tests.support import eventually

NO_IDS = ["nobody", "../queue", "x" * 300]


# -- show


def test_a_queued_task_shows_what_was_asked_for(shell: Shell) -> None:
    task_id = shell.submit("--model", "coder", "--timeout", "10m", "--env", "A=1", "make test")

    found = shell.task(task_id)

    assert (found["task"], found["state"], found["description"]) == (task_id, "ready", "make test")
    assert (found["model"], found["timeout_seconds"], found["env"]) == ("coder", 600.0, {"A": "1"})
    assert found["workspace"] == shell.cwd
    assert found["folder"] == f"{shell.home.path}/tasks/{task_id}"
    assert found["attempts"] == []


def test_an_ended_task_shows_its_attempts_and_its_summary(shell: Shell) -> None:
    task_id = shell.submit("--retries", "1", "make test")
    shell.queue.tend("")
    claim = shell.claim()
    shell.record(claim, Outcome.FAILED, "no\n", exit_code=3)
    view = shell.task(task_id)
    assert view["state"] == "waiting"
    assert [attempt["status"] for attempt in view["attempts"]] == ["RETRY"]

    out = shell.ok("show", task_id).out

    assert out.startswith(f"task               {task_id}\ndescription        make test\n")
    assert "\nstate              waiting\n" in out
    assert "\nattempt 1          RETRY " in out
    assert out.endswith("\n\nno\n")


def test_a_dead_task_shows_why(shell: Shell) -> None:
    task_id = shell.submit("make test")
    shell.run_next(Outcome.FAILED, "kaputt\n", exit_code=3)

    found = shell.task(task_id)

    assert (found["state"], found["status"], found["reason"], found["exit_code"]) == ("dead", "FAILED", "exit 3", 3)
    assert (found["description"], found["preview"]) == ("make test", "kaputt")
    (attempt,) = found["attempts"]
    assert (attempt["attempt"], attempt["status"], attempt["worker"]) == (1, "FAILED", WORKER)
    human = shell.ok("show", task_id).out
    assert "exit 3" in human
    assert "1.5s" in human


def test_a_running_task_shows_its_worker(shell: Shell) -> None:
    task_id = shell.submit("make test")
    shell.claim()

    found = shell.task(task_id)

    assert (found["state"], found["worker"], found["attempt"]) == ("running", WORKER, 1)


def test_a_task_in_a_batch_is_shown(shell: Shell) -> None:
    ids = shell.ok("submit", "--agent", "command", "-", stdin="one\ntwo\n").ids

    assert shell.task(ids[1])["state"] == "batched"


def test_secrets_are_masked_in_what_is_shown(shell: Shell) -> None:
    key = "sk-ant-" + "x1Y2z3W4" * 5
    task_id = shell.submit(
        "--env", "MY_TOKEN=hunter2hunter2", "--env", "URL=ftp://me:pw@h", f"echo {key} hunter2hunter2"
    )

    for arguments in (["show", task_id], ["show", "--json", task_id]):
        out = shell.ok(*arguments).out
        assert f"echo {MASK} {MASK}" in out
        assert "hunter2" not in out
        assert "me:pw" not in out


def test_a_task_that_is_claimed_while_it_is_looked_at_does_not_look_gone(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = shell.submit("true")
    real_view = listing._view

    def view_after_the_claim(files: QueueFiles, found: listing.Found) -> TaskView | None:
        monkeypatch.setattr(listing, "_view", real_view)
        shell.claim()
        return real_view(files, found)

    monkeypatch.setattr(listing, "_view", view_after_the_claim)

    assert isinstance(shell.queue.find(task_id), Running)


@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["logs"], ["wait"], ["cancel"], ["retry"]])
@pytest.mark.parametrize("task_id", NO_IDS, ids=lambda task_id: task_id[:10])
def test_an_unknown_id_exits_3_and_names_it(shell: Shell, command: list[str], task_id: str) -> None:
    answer = shell(*command, task_id)

    assert (answer.code, answer.out) == (3, "")
    assert f"no task {task_id!r} here" in answer.err


# -- logs


def test_the_log_of_the_latest_attempt_is_copied_as_it_is(shell: Shell) -> None:
    task_id = shell.submit("--retries", "1", "true")
    shell.run_next(Outcome.FAILED, "first é\r\nno end")
    assert shell.ok("logs", task_id).out == "first é\r\nno end"

    shell.ok("cancel", task_id)
    assert shell.ok("logs", "--attempt", "1", task_id).out == "first é\r\nno end"


def test_a_task_that_has_not_run_has_no_log_yet(shell: Shell) -> None:
    task_id = shell.submit("true")

    answer = shell.ok("logs", task_id)

    assert answer.out == ""
    assert f"{task_id} has not run yet" in answer.err


def test_following_an_ended_task_s_log_ends(shell: Shell) -> None:
    task_id = shell.submit("true")
    shell.run_next(text="said\n")

    assert shell.ok("logs", "-f", task_id).out == "said\n"


def test_following_a_running_task_s_log_shows_what_comes_until_it_has_ended(shell: Shell) -> None:
    task_id = shell.submit("true")
    claim = shell.claim()
    path = f"{claim.directory}/agent.log"
    with open(path, "w") as log:
        log.write("one\n")
    follower = shell.start("logs", "-f", task_id)
    try:
        eventually(lambda: follower.out() == "one\n", what="what was there")
        with open(path, "a") as log:
            log.write("two\n")
        eventually(lambda: follower.out() == "one\ntwo\n", what="what came")
        shell.record(claim, Outcome.SUCCESS, "one\ntwo\nthree\n")
        answer = follower.answer()
    finally:
        follower.end()

    assert (answer.code, answer.out) == (0, "one\ntwo\nthree\n")


def test_an_attempt_that_never_was_is_said_to_be_none(shell: Shell) -> None:
    task_id = shell.submit("true")
    shell.run_next()

    answer = shell("logs", "--attempt", "7", task_id)

    assert answer.code == 2
    assert "no attempt 7" in answer.err


def test_the_latest_attempt_is_linked_one_level_up(shell: Shell) -> None:
    task_id = shell.submit("true")
    shell.run_next()

    assert os.readlink(f"{shell.home.tasks}/{task_id}/latest") == "1"
