"""`conductor list`: what runs, what waits, what has ended, for people and as JSON."""

from __future__ import annotations

import os
import time

import pytest

from conductor.domain.masking import MASK
from conductor.domain.outcome import Outcome
from conductor.domain.task import TaskSpec
from tests.cli.front import WORKER, Shell
from tests.support import submit

LONG_ID = "x" * 64
BATCHED = ("batched", "batched-2")


@pytest.fixture
def busy(shell: Shell) -> Shell:
    """One task in each state, each named for it."""
    for task_id in ("ended", "dead"):
        submit(shell.home, f"echo {task_id}", task_id)
    shell.run_next(text="all is well\n")
    shell.run_next(Outcome.FAILED, "nothing is well\n")
    submit(shell.home, "echo running", "running", priority=9)
    shell.claim()
    submit(shell.home, "echo ready", "ready", pool="gpu")
    submit(shell.home, "echo waiting", "waiting", not_before_ms=int(time.time() * 1000) + 3_600_000)
    shell.queue.submit_many([TaskSpec(task_id, f"echo {task_id}", agent="command") for task_id in BATCHED])
    return shell


def rows(shell: Shell, *arguments: str) -> list[tuple[str, str]]:
    """(task, state) of `conductor list --json`, in its order."""
    return [(row["task"], row["state"]) for row in shell.ok("list", "--json", *arguments).json]


def test_tasks_are_listed_running_first_ended_last(busy: Shell) -> None:
    found = rows(busy)

    assert found == [
        ("running", "running"),
        ("ready", "ready"),
        ("waiting", "waiting"),
        ("batched", "batched"),
        ("batched-2", "batched"),
        ("dead", "dead"),
        ("ended", "ended"),
    ]


def test_the_facts_of_each_state_are_there(busy: Shell) -> None:
    found = {row["task"]: row for row in busy.ok("list", "--json").json}

    assert found["running"]["worker"] == WORKER
    assert found["running"]["started"].endswith("Z")
    assert found["running"]["priority"] == 9
    assert found["running"]["attempt"] == 1
    assert found["ready"]["pool"] == "gpu"
    assert 3500 < found["waiting"]["due_in_seconds"] <= 3600
    assert found["batched"]["batch"].startswith("b-")
    assert (found["dead"]["status"], found["dead"]["preview"]) == ("FAILED", "nothing is well")
    assert (found["ended"]["status"], found["ended"]["seconds"]) == ("SUCCESS", 1.5)


def test_waiting_in_line_is_listed_in_the_order_of_claims(shell: Shell) -> None:
    for number, priority in enumerate(("0", "5", "-5", "5", "0")):
        shell.submit("--id", f"t{number}", "--priority", priority, "true")

    listed = [task for task, _ in rows(shell)]

    assert listed == ["t1", "t3", "t0", "t4", "t2"]
    assert [shell.claim(worker=f"w{n}-1-1-0123abcd").spec.id for n in range(5)] == listed


@pytest.mark.parametrize(
    ("arguments", "tasks"),
    [
        (["--state", "running"], ["running"]),
        (["--state", "ready", "--state", "waiting"], ["ready", "waiting"]),
        (["--state", "dead"], ["dead"]),
        (["--state", "ended"], ["ended"]),
        (["--state", "batched", "-n", "1"], ["batched"]),
        (["--pool", "gpu"], ["ready"]),
        (["--pool", "gpu", "--state", "running"], []),
        (["-n", "2"], ["running", "ready"]),
        (["--all", "--state", "ended"], ["ended"]),
    ],
)
def test_the_list_is_filtered_and_cut(busy: Shell, arguments: list[str], tasks: list[str]) -> None:
    assert [task for task, _ in rows(busy, *arguments)] == tasks


def test_people_see_a_table(busy: Shell) -> None:
    lines = [line.rstrip() for line in busy.ok("list").out.splitlines()]

    assert lines[0].split() == ["TASK", "STATE", "AGENT", "POOL", "PRIO", "TRY", "AGE", "WHAT"]
    table = {line.split()[0]: line for line in lines[1:]}
    assert len(table) == 7
    assert table["running"].split()[1:6] == ["running", "command", "default", "9", "1"]
    assert table["running"].endswith("echo running")
    assert "in 59m" in table["waiting"] or "in 1h00m" in table["waiting"]
    assert table["ended"].split()[1] == "SUCCESS"
    assert table["ended"].endswith("all is well")
    assert table["dead"].split()[1] == "FAILED"


def test_in_a_pipe_an_id_is_never_cut_and_each_task_has_one_line(shell: Shell) -> None:
    shell.submit("--id", LONG_ID, "--pool", "p" * 64, "word " * 1000 + "\nsecond line")

    lines = shell.ok("list").out.splitlines()

    assert len(lines) == 2
    assert lines[1].split()[0] == LONG_ID
    assert "p" * 64 in lines[1]


def test_what_a_task_says_cannot_steer_the_terminal(shell: Shell) -> None:
    shell.submit("printf '\x1b]0;owned\x07\x1b[2J'")

    assert "\x1b" not in shell.ok("list").out


def test_an_empty_list_says_so_on_standard_error_only(shell: Shell) -> None:
    answer = shell.ok("list")

    assert (answer.out, answer.err) == ("", "nothing here\n")
    assert shell.ok("list", "--json").json == []


def test_secrets_are_masked(shell: Shell) -> None:
    key = "ghp_" + "x1Y2z3W4" * 5
    shell.submit("--env", "MY_TOKEN=hunter2hunter2", f"curl -H {key} hunter2hunter2")

    for answer in (shell.ok("list"), shell.ok("list", "--json")):
        assert key not in answer.out
        assert "hunter2hunter2" not in answer.out
        assert MASK in answer.out


def test_a_secret_of_the_one_who_looks_is_masked_too(shell: Shell) -> None:
    shell.submit("curl -H hunter2hunter2")

    assert "hunter2hunter2" not in shell.ok("list", "--json", MY_TOKEN="hunter2hunter2").out


def test_a_file_that_is_no_task_does_not_stop_the_list(busy: Shell) -> None:
    with open(f"{busy.home.queue}/ready/default/junk", "w") as file:
        file.write("junk")
    os.mkdir(f"{busy.home.queue}/ready/default/0991")

    assert len(rows(busy)) == 7


def test_an_unknown_state_exits_2(shell: Shell) -> None:
    answer = shell("list", "--state", "lost")

    assert answer.code == 2
    assert "running" in answer.err


def test_pages_follow_each_other_without_a_gap(busy: Shell) -> None:
    # given
    whole = [task for task, _ in rows(busy)]

    # when
    pages, last = [], None
    while page := rows(busy, "-n", "3", *(("--after", last) if last else ())):
        pages.append([task for task, _ in page])
        last = pages[-1][-1]

    # then
    assert [task for page in pages for task in page] == whole
    assert [len(page) for page in pages] == [3, 3, 1]
    refused = busy("list", "--after", "nobody")
    assert (refused.code, "nobody" in refused.err) == (2, True)


def test_a_task_that_was_tried_again_is_listed_once_and_where_it_is_now(shell: Shell) -> None:
    # given one that failed and was made ready again, and one that failed, and then ended well
    for task_id in ("waits", "well"):
        submit(shell.home, "true", task_id)
        shell.run_next(Outcome.FAILED)
    shell.ok("retry", "well")
    shell.run_next()
    shell.ok("retry", "waits")

    # then
    assert rows(shell) == [("waits", "ready"), ("well", "ended")]
    assert rows(shell, "--state", "ended") == [("well", "ended")]
    assert rows(shell, "--state", "ended", "--state", "dead") == [("well", "ended")]


def test_what_has_ended_is_listed_over_rotations_latest_first(shell: Shell) -> None:
    # given
    for number in range(4):
        submit(shell.home, "true", f"t{number}")
        shell.run_next()
        shell.queue.rotate_results(0, 9, 1 << 60)

    # then
    assert [task for task, _ in rows(shell)] == ["t3", "t2", "t1", "t0"]
    assert len(shell.ok("results", "-n", "3").out.splitlines()) == 3
    assert len(shell.ok("list", "--all").out.splitlines()) == 5


def test_removed_tasks_are_passed_over(shell: Shell) -> None:
    for number in range(3):
        submit(shell.home, "true", f"t{number}")
        shell.run_next()
    shell.ok("clean", "--older-than", "1ms", "--keep", "1", "--yes")

    assert [task for task, _ in rows(shell)] == ["t2"]
