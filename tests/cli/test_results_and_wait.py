"""`conductor results` and `conductor wait`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conductor.domain.outcome import Outcome, Status
from conductor.domain.task import TaskSpec
from tests.cli.front import WORKER, Shell
from tests.support import eventually, result_lines, submit


def run_tasks(shell: Shell, *outcomes: Outcome) -> list[str]:
    """One task for each outcome, run to its end; their ids."""
    for number, _ in enumerate(outcomes):
        submit(shell.home, "true", f"t{number}")
    return [shell.run_next(outcome, f"said {number}\n") for number, outcome in enumerate(outcomes)]


# -- results


def test_the_last_lines_are_shown_as_they_are_on_disk(shell: Shell) -> None:
    run_tasks(shell, Outcome.SUCCESS, Outcome.FAILED, Outcome.TIMEOUT)

    lines = shell.ok("results").out.splitlines()

    assert lines == Path(shell.home.results).read_text().splitlines()
    assert [line.split("|")[:3] for line in lines] == [
        ["t0", WORKER, "SUCCESS"],
        ["t1", WORKER, "FAILED"],
        ["t2", WORKER, "TIMEOUT"],
    ]


def test_as_json_each_line_is_an_object(shell: Shell) -> None:
    submit(shell.home, "true", "t0")
    shell.run_next(text="a|b\\c é\n")

    out = shell.ok("results", "--json").out

    assert out.count("\n") == 1
    found = shell.ok("results", "--json").json
    assert (found["task_id"], found["status"], found["preview"]) == ("t0", "SUCCESS", "a|b\\c é")
    assert set(found) == {"task_id", "worker_id", "status", "timestamp", "preview"}


@pytest.mark.parametrize(
    ("lines", "tasks"), [("0", []), ("1", ["t2"]), ("2", ["t1", "t2"]), ("99", ["t0", "t1", "t2"])]
)
def test_as_many_as_are_asked_for_are_shown(shell: Shell, lines: str, tasks: list[str]) -> None:
    run_tasks(shell, *[Outcome.SUCCESS] * 3)

    assert [line.split("|")[0] for line in shell.ok("results", "-n", lines).out.splitlines()] == tasks


def test_of_a_long_file_the_last_lines_are_whole(shell: Shell) -> None:
    submit(shell.home, "true", "t0")
    shell.run_next()
    line = Path(shell.home.results).read_bytes().removesuffix(b"fine\n")
    with open(shell.home.results, "ab") as file:
        file.write(b"".join(line + b"%d " % number + "☃\\|".encode() * 190 + b"\n" for number in range(300)))

    shown = shell.ok("results", "-n", "50").out.splitlines()

    assert [int(each.split("|")[4].split()[0]) for each in shown] == list(range(250, 300))


def test_a_line_that_cannot_be_read_is_passed_over(shell: Shell) -> None:
    run_tasks(shell, Outcome.SUCCESS)
    with open(shell.home.results, "ab") as file:
        file.write(b"nonsense\n\xff|w|SUCCESS|t|p\nhalf a li")

    assert shell.ok("results").out.startswith("t0|")


def test_without_results_there_is_nothing(shell: Shell) -> None:
    assert shell.ok("results").out == ""


def test_following_shows_what_comes(shell: Shell) -> None:
    run_tasks(shell, Outcome.SUCCESS)
    follower = shell.start("results", "-f", "-n", "5")
    try:
        eventually(lambda: follower.out().startswith("t0|"), what="what was there")
        submit(shell.home, "true", "later")
        shell.run_next(Outcome.FAILED, "said later\n")

        eventually(lambda: "\nlater|" in follower.out(), what="what came")
        assert not follower.has_ended()
    finally:
        follower.end()


# -- wait


def test_waiting_for_what_has_ended_well_is_over_at_once(shell: Shell) -> None:
    ids = run_tasks(shell, Outcome.SUCCESS, Outcome.SUCCESS)

    answer = shell("wait", *ids, ids[0])

    assert (answer.code, answer.out, answer.err) == (0, "", "")


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.BUDGET])
def test_one_that_did_not_end_well_exits_1_and_is_named(shell: Shell, outcome: Outcome) -> None:
    ids = run_tasks(shell, Outcome.SUCCESS, outcome)

    answer = shell("wait", *ids)

    assert answer.code == 1
    assert answer.err == f"conductor: t1 {outcome.value.upper()}\n"


def test_waiting_for_what_nobody_will_run_exits_4(shell: Shell) -> None:
    (done,) = run_tasks(shell, Outcome.SUCCESS)
    submit(shell.home, "true", "left")

    answer = shell("wait", done, "left")

    assert answer.code == 4
    assert "1 tasks have not ended" in answer.err


def test_an_attempt_that_is_retried_is_no_end(shell: Shell) -> None:
    shell.queue.submit(TaskSpec("t0", "true", agent="command", retries=1))
    shell.run_next(Outcome.FAILED)
    assert result_lines(shell.home)[0].status is Status.RETRY

    assert shell("wait", "t0").code == 4


def test_nothing_to_wait_for_is_wrong_usage(shell: Shell) -> None:
    assert shell("wait").code == 2
    assert shell("wait", "--timeout", "soon", "x").code == 2


def test_results_that_are_followed_and_waited_for_are_told_once_while_the_file_is_rotated(shell: Shell) -> None:
    # given
    task_ids = [f"t{number}" for number in range(12)]
    for task_id in task_ids:
        submit(shell.home, "true", task_id, ring=False)
    following = shell.start("results", "--follow", "--lines", "0")
    eventually(lambda: is_reading(following.pid, shell.home.results))

    # when
    for _ in task_ids:
        shell.run_next()
        shell.queue.rotate_results(0, 100, 1 << 60)

    # then
    eventually(lambda: following.out().count("\n") == len(task_ids))
    following.end()
    assert [line.partition("|")[0] for line in following.out().splitlines()] == task_ids
    assert shell("wait", *task_ids).code == 0


def is_reading(pid: int, path: str) -> bool:
    try:
        return any(os.readlink(entry) == path for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
