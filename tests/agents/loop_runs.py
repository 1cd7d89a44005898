"""Runs of the agents `anthropic` and `chat` against a provider on loopback: from the adapter's launch to its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conductor.agents.loop.adapter import LoopAgent
from conductor.domain.agent_events import AgentEvent
from conductor.domain.tally import Tally
from conductor.ports import AgentReport, Ending, Prompt


@dataclass(frozen=True)
class Ran:
    report: AgentReport
    events: Sequence[AgentEvent]
    exit_code: int
    errors: str

    def of(self, kind: type[AgentEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class LoopNursery:
    """One process for all runs of a session; a run at a time."""

    def __init__(self) -> None:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.agents.loop_nursery"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._said() == "ready"

    def run(
        self,
        agent: LoopAgent,
        prompt: Prompt,
        meanwhile: Callable[[int, Path], None] = lambda pid, events: None,
        env: dict[str, str] | None = None,
    ) -> Ran:
        """`meanwhile` gets the pid and the file of events."""
        launch = agent.launch(prompt)
        assert launch.call is not None
        folder = Path(prompt.attempt_directory)
        environment = {"PATH": os.environ["PATH"], **(env or {})}
        self._tell({"call": launch.call[1], "folder": str(folder), "env": environment})
        meanwhile(int(self._said()), folder / "events")
        code = int(self._said())
        return _judged(agent, prompt, folder, code)

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _tell(self, told: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def _said(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def _judged(agent: LoopAgent, prompt: Prompt, folder: Path, code: int) -> Ran:
    stream, errors = (folder / "events").read_bytes(), (folder / "errors").read_text()
    reader = agent.reader()
    events = [*reader.feed(stream), *reader.close()]
    tally = Tally()
    for event in events:
        tally.take(event)
    ending = Ending(code if code >= 0 else None, -code if code < 0 else None, stream.decode() + errors, tally)
    return Ran(agent.judge(prompt, ending), events, code, errors)
