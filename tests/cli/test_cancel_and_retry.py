"""`conductor cancel` and `conductor retry`, without a daemon."""

from __future__ import annotations

import pytest

from conductor.domain.outcome import Outcome
from conductor.domain.view import Ended, Queued
from tests.cli.front import Shell
from tests.support import statuses, submit

# -- cancel


@pytest.mark.parametrize("options", [[], ["--delay", "1h"]])
def test_a_task_that_waits_is_cancelled_for_good(shell: Shell, options: list[str]) -> None:
    task_id = shell.submit(*options, "true")

    answer = shell.ok("cancel", task_id)

    assert (answer.out, answer.err) == ("", f"{task_id} cancelled\n")
    assert shell.task(task_id)["status"] == "CANCELLED"
    assert statuses(shell.home, task_id) == ["CANCELLED"]
    assert shell.queue.claim("default", "w1-1-1-00000000") is None
    assert shell("wait", task_id).code == 1


def test_a_task_in_a_batch_is_cancelled_before_it_runs(shell: Shell) -> None:
    ids = shell.ok("submit", "--agent", "command", "-", stdin="one\ntwo\nthree\n").ids

    shell.ok("cancel", ids[1])
    shell.unpack()

    claims = [shell.claim(worker=f"w{number}-1-1-0123abcd") for number in range(3)]
    assert [claim.spec.id for claim in claims] == ids
    assert [shell.queue.cancel_requested(claim) for claim in claims] == [False, True, False]


def test_what_had_ended_before_stays_ended_and_is_a_success(shell: Shell) -> None:
    task_id = shell.submit("true")
    shell.run_next()

    answer = shell.ok("cancel", task_id)

    assert answer.err == f"{task_id} had ended before\n"
    assert shell.task(task_id)["status"] == "SUCCESS"


def test_a_running_task_gets_a_mark_that_its_worker_will_obey(shell: Shell) -> None:
    task_id = shell.submit("true")
    claim = shell.claim()
    asking = shell.start("cancel", task_id)
    try:
        while not shell.queue.cancel_requested(claim):
            assert not asking.has_ended()
        shell.record(claim, Outcome.SUCCESS, "came too late\n")
        answer = asking.answer()
    finally:
        asking.end()

    assert (answer.code, answer.err) == (0, f"{task_id} cancelled\n")
    assert statuses(shell.home, task_id) == ["CANCELLED"]


def test_several_are_cancelled_at_once(shell: Shell) -> None:
    ids = [submit(shell.home, "true", ring=False) for _ in range(3)]

    assert shell.ok("cancel", *ids).err.count(" cancelled\n") == 3


def test_an_unknown_id_among_others_exits_3_and_the_others_are_cancelled(shell: Shell) -> None:
    ids = [submit(shell.home, "true", ring=False) for _ in range(2)]

    answer = shell("cancel", ids[0], "nobody", ids[1])

    assert answer.code == 3
    assert "no task 'nobody' here" in answer.err
    assert [shell.task(task_id)["status"] for task_id in ids] == ["CANCELLED", "CANCELLED"]


# -- retry


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.BUDGET])
def test_a_task_that_ended_badly_runs_again_as_the_next_attempt(shell: Shell, outcome: Outcome) -> None:
    task_id = shell.submit("true")
    shell.run_next(outcome)

    answer = shell.ok("retry", task_id)

    assert answer.out == ""
    assert "no conductord runs on this home" in answer.err
    assert isinstance(shell.views()[task_id], Queued)
    assert shell.claim().attempt == 2


def test_a_cancelled_task_that_is_retried_is_no_longer_cancelled(shell: Shell) -> None:
    task_id = shell.submit("true")
    shell.ok("cancel", task_id)
    shell.ok("retry", task_id)

    assert shell.run_next() == task_id

    assert statuses(shell.home, task_id) == ["CANCELLED", "SUCCESS"]
    assert isinstance(shell.queue.find(task_id), Ended)


def test_after_a_retry_the_retries_count_anew(shell: Shell) -> None:
    task_id = shell.submit("--retries", "0", "true")
    for _ in range(2):
        shell.run_next(Outcome.FAILED)
        shell.ok("retry", task_id)

    assert shell.claim().attempt == 3


@pytest.mark.parametrize(
    ("state", "said"), [("ready", "has not ended"), ("running", "has not ended"), ("ended", "ended well")]
)
def test_what_did_not_end_badly_is_not_retried(shell: Shell, state: str, said: str) -> None:
    task_id = shell.submit("true")
    if state == "running":
        shell.claim()
    if state == "ended":
        shell.run_next()

    answer = shell("retry", task_id)

    assert answer.code == 2
    assert said in answer.err


def test_one_that_cannot_be_retried_does_not_keep_the_others(shell: Shell) -> None:
    ids = [submit(shell.home, "true", ring=False) for _ in range(2)]
    for _ in ids:
        shell.run_next(Outcome.FAILED)

    assert shell("retry", ids[0], "nobody", ids[1]).code == 3

    assert set(shell.views()) == set(ids)


def test_no_id_is_wrong_usage(shell: Shell) -> None:
    assert shell("cancel").code == 2
    assert shell("retry").code == 2
