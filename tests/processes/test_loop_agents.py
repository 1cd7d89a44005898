"""The agent `chat` under a real conductord, against the simulated provider. `anthropic` differs in its model alone,
which tests/agents covers: here it would cost every test the seconds that its SDK takes to load."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.testing.sim import Sim
from tests.conftest import DaemonFactory
from tests.support import eventually, queue_of, record_of, submit, wait_for_end

CHAT = {"chat": {"model": "some-model"}}


def test_a_task_is_done_and_leaves_its_file_text_and_usage(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    with Sim() as sim:
        daemon(workers=1, agent="chat", agents=CHAT, simulate=sim.url)

        # when
        task = submit(home, "[[write made.txt hi]] [[run cat made.txt]]", agent="chat", workspace=str(tmp_path))
        line = wait_for_end(home, task)

        # then
        record = record_of(home, task)
        assert line.status.value == "SUCCESS", record
        assert (tmp_path / "made.txt").read_text() == "hi\n"
        assert (record["turns"], record["tools"]) == (3, 2)
        assert sum(record["usage"].values()) == sum(one.usage.total for one in sim.requests)


FAULTS = [("401", "bad_key"), ("nomodel", "bad_model"), ("429s60", "limit")]


@pytest.mark.parametrize(("fault", "failure"), FAULTS)
def test_a_failure_has_its_class(daemon: DaemonFactory, home: Home, fault: str, failure: str) -> None:
    with Sim() as sim:
        daemon(workers=1, agent="chat", agents=CHAT, simulate=sim.faulty(fault))
        task = submit(home, "anything", agent="chat", retries=0)
        eventually(lambda: Path(home.attempt(task, 1), "result.json").exists(), what="an attempt's record")
    assert record_of(home, task)["failure"] == failure


def test_a_task_is_cancelled_while_its_provider_is_silent(daemon: DaemonFactory, home: Home) -> None:
    # given
    with Sim() as sim:
        daemon(workers=1, agent="chat", agents=CHAT, simulate=sim.faulty("hang"))
        task = submit(home, "anything", agent="chat")
        eventually(lambda: sim.requests, what="a call")

        # when
        queue_of(home).cancel(task, "test")

        # then: what it left is looked for when the daemon ends
        assert wait_for_end(home, task).status.value == "CANCELLED"
