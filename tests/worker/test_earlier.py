"""What earlier attempts used of a task's budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conductor.domain.task import Claim, TaskSpec, Tries
from conductor.domain.usage import Usage
from conductor.queue.names import counters
from conductor.worker.earlier import Used, read_used

USED = {"usage": {"input": 100, "output": 10}, "usd": 0.5}
ONCE = Used(Usage(100, output=10), 0.5)


def attempt(folder: Path, number: int, tries: Tries, state: str = "waiting", outcome: str = "failed") -> None:
    """Leaves the record of an attempt after which the task's counters were `tries`."""
    record = {**USED, "outcome": outcome, "next": {"state": state, "tries": counters(tries)}}
    (folder / str(number)).mkdir()
    (folder / str(number) / "result.json").write_text(json.dumps(record))


def claim(folder: Path, tries: Tries) -> Claim:
    return Claim(TaskSpec("t", "x"), tries, "w", str(folder / str(tries.started)))


def test_what_failed_limited_and_lost_attempts_used_counts(tmp_path: Path) -> None:
    attempt(tmp_path, 1, Tries(1, 1), outcome="limited")
    attempt(tmp_path, 2, Tries(2, 1))
    attempt(tmp_path, 3, Tries(3, 1, 1), outcome="lost")

    assert read_used(claim(tmp_path, Tries(4, 1, 1))) == ONCE + ONCE + ONCE
    assert read_used(claim(tmp_path, Tries(6, 3, 1))) == ONCE + ONCE + ONCE, "two were given back"


def test_after_a_retry_by_hand_the_budget_is_fresh(tmp_path: Path) -> None:
    attempt(tmp_path, 1, Tries(1))
    attempt(tmp_path, 2, Tries(2), state="dead")
    assert read_used(claim(tmp_path, Tries(3, 2))) == Used()

    attempt(tmp_path, 3, Tries(3, 3), outcome="limited")
    assert read_used(claim(tmp_path, Tries(4, 3))) == ONCE


def test_a_task_cancelled_while_it_waited_has_a_fresh_budget_after_its_retry_too(tmp_path: Path) -> None:
    attempt(tmp_path, 1, Tries(1))
    assert read_used(claim(tmp_path, Tries(2, 1))) == Used()

    attempt(tmp_path, 2, Tries(2, 2), outcome="limited")
    attempt(tmp_path, 3, Tries(3, 2))
    assert read_used(claim(tmp_path, Tries(4, 2))) == ONCE + ONCE


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"usage": 1, "usd": "x"}', '{"usage": {"input": -1, "output": true}, "usd": NaN, "next": []}'],
)
def test_a_record_that_cannot_be_read_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "result.json").write_text(text)
    attempt(tmp_path, 2, Tries(2))

    assert read_used(claim(tmp_path, Tries(3))) == ONCE
