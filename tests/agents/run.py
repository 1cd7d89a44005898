"""A program run as its adapter says, without the worker around it, and what the adapter makes of it."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path

from conductor.agents.registry import BUILT_IN, make_agent
from conductor.kit.process import kill_with_variable
from conductor.ports import AgentReport, Ending, Prompt
from tests.agents.prompts import setup, tally_of, write_files

_RUN_VARIABLE = "CONDUCTOR_TEST_RUN"
_DEADLINE_SECONDS = 60.0


def run_agent(cli: str, prompt: Prompt, folder: Path) -> AgentReport:
    """One turn of what `cli` is on the PATH, its output left in `folder`."""
    agent = make_agent(setup(cli), BUILT_IN)
    launch = agent.launch(prompt)
    write_files(prompt, launch)
    run = uuid.uuid4().hex
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "user"),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        _RUN_VARIABLE: run,
        **dict(launch.env),
    }
    out, err = folder / "stdout", folder / "stderr"
    with open(launch.stdin or "/dev/null", "rb") as asked, out.open("wb") as output, err.open("wb") as errors:
        child = subprocess.Popen(
            launch.argv,
            cwd=prompt.workspace,
            env=env,
            stdin=asked,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code: int | None = child.wait(_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        finally:
            kill_with_variable(_RUN_VARIABLE, [run], frozenset({os.getpid()}))
    tail = (out.read_bytes() + err.read_bytes())[-65536:].decode("utf-8", "replace")
    signal = -code if code is not None and code < 0 else None
    told = tally_of(agent.reader(), out.read_bytes())
    return agent.judge(prompt, Ending(None if signal else code, signal, tail, told))
