"""Who looks for leftovers finds them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, format_result
from conductor.domain.outcome import Status
from tests.matrix.crowd import LATER_SECONDS, Witness
from tests.support import clean_environment, eventually


@pytest.fixture
def leftover(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    environment = clean_environment(home, CONDUCTOR_TASK_DIR=home.attempt("t-1", 1))
    process = subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_process_that_outlives_its_attempt_is_seen(home: Home, leftover: subprocess.Popen[bytes]) -> None:
    os.mkdir(home.path)
    witness = Witness(home)
    line = format_result(ResultLine("t-1", "w1-1-1-aaaaaaaa", Status.SUCCESS, "2026-01-01T00:00:00Z", "done"))

    Path(home.results).write_text(line)

    eventually(lambda: witness.witnessed("t-1"), LATER_SECONDS + 5)
    assert witness.survivors("t-1") == [f"{leftover.pid} sleep"]
    witness.close()
