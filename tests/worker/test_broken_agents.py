"""Agents are anybody's code: what they raise fails the task, with the reason, and is no lost attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.agents.shape import PlainAgent
from conductor.domain.agent_setup import AgentSetup
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.task import Claim, TaskSpec, Tries
from conductor.kit.signals import SignalPipe
from conductor.ports import Agent, AgentReport, Ending, Launch, Prompt
from conductor.worker.attempt import run_attempt
from conductor.worker.bench import Workbench
from conductor.worker.config import WorkerConfig
from tests.worker.forked import in_child


class Broken(PlainAgent):
    """Raises where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__(AgentSetup("broken", "broken"))
        self._where = where

    def launch(self, prompt: Prompt) -> Launch:
        if self._where == "launch":
            raise KeyError("no such model sk-ant-abcdefghijklmnopqrstuvwx")
        return Launch(("/bin/sh", "-c", "echo done"))

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        raise ZeroDivisionError("nothing to divide by")


def attempt_with(agent: Broken, folder: Path) -> TaskResult | None:
    (folder / "attempt").mkdir()
    claim = Claim(TaskSpec("t", "x", agent="broken"), Tries(1), "w1-1-1-00000000", str(folder / "attempt"))

    def load(name: str) -> Agent:
        return agent

    bench = Workbench(WorkerConfig(str(folder), "default", {}), load, SignalPipe(()), {"PATH": "/usr/bin:/bin"})
    return run_attempt(claim, bench, lambda: False)


@pytest.mark.parametrize(("where", "said"), [("launch", "KeyError"), ("judge", "ZeroDivisionError")])
def test_what_an_agent_raises_is_the_reason_of_a_failure(where: str, said: str, tmp_path: Path) -> None:
    result = in_child(lambda: attempt_with(Broken(where), tmp_path))

    assert result is not None
    assert result.outcome is Outcome.FAILED
    assert said in result.reason
    log = (tmp_path / "attempt" / "agent.log").read_text()
    assert "Traceback" in log
    assert "abcdefghijklmnopqrstuvwx" not in log + result.reason
