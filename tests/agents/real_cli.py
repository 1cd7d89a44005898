"""Each command line agent, the real program, against the simulated model: how well its adapter tells what happened.

Not collected by itself: `unshare -n sh -c 'ip link set lo up; exec pytest tests/agents/real_cli.py'`, the programs on
the PATH. A row of CELLS is (what is asked, what goes wrong, what the adapter must make of it).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conductor.agents.registry import BUILT_IN, make_agent
from conductor.domain.agent_events import AgentEvent
from conductor.domain.agent_setup import Autonomy
from conductor.domain.failure import Failure
from conductor.domain.tally import Tally
from conductor.kit.process import kill_with_variable
from conductor.ports import AgentReport, Ending, Endpoint, Prompt
from conductor.testing.sim import Sim
from tests.agents.prompts import prompt_in, setup, write_files

CLIS = ("claude", "codex", "gemini")
MODELS = {"claude": "claude-sonnet-4-5", "codex": "gpt-5", "gemini": "gemini-2.5-flash"}
NOBODY_THERE = "http://127.0.0.1:9"
RUN_VARIABLE = "CONDUCTOR_REAL_CLI_RUN"
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class Cell:
    """`expected` None: a success. `written`: whether `made.txt` must be in the workspace afterwards."""

    name: str
    fault: str = "ok"
    expected: Failure | None = None
    or_else: Failure | None = None
    """As right as `expected`: where it depends on the moment which of two things the program meets."""
    text: str = "Say something. [[say it is done]]"
    model: str = ""
    autonomy: Autonomy = Autonomy.WORKSPACE
    written: bool | None = None
    resets_told_by: tuple[str, ...] = ()
    """Whose report must know when the limit resets; the others hide it, and the gate alone sees it."""
    expected_of: Mapping[str, Failure] = field(default_factory=dict)
    """CLI: what is expected of it instead: only Gemini CLI tells of a tool that its mode refuses."""
    excused: Mapping[str, str] = field(default_factory=dict)
    """CLI: why this cell can't be asked of it."""


WRITE = "Make a file. [[write made.txt hello]] [[say written]]"
RUN = "Run a command. [[run echo hello > made.txt]] [[say ran]]"

CELLS = (
    Cell("success"),
    Cell("a file written", text=WRITE, written=True),
    Cell("a command run", text=RUN, written=True),
    Cell("everything allowed", text=RUN, autonomy=Autonomy.FULL, written=True),
    Cell(
        "read-only writes nothing",
        text=WRITE,
        autonomy=Autonomy.READ_ONLY,
        written=False,
        expected_of={"gemini": Failure.DENIED},
    ),
    Cell("read-only runs nothing", text=RUN, autonomy=Autonomy.READ_ONLY, written=False),
    Cell("401", "401", Failure.BAD_KEY),
    Cell("403", "403", Failure.BAD_KEY),
    Cell("429 then success", "429n1r1"),
    Cell("429 for good", "429r1", Failure.LIMIT),
    Cell("429 with reset", "429s7200", Failure.LIMIT, resets_told_by=("codex",)),
    Cell("500", "500", Failure.OVERLOAD),
    Cell("529", "529", Failure.OVERLOAD),
    Cell("unknown model", "nomodel", Failure.BAD_MODEL),
    Cell("prompt too long", "toolong", Failure.CONTEXT),
    Cell("refused connection", NOBODY_THERE, Failure.NETWORK, excused={"codex": "it waits for the network for ever"}),
    Cell("cut stream", "cut", Failure.CUT, or_else=Failure.NETWORK),
)


def _on_loopback_alone() -> bool:
    with open("/proc/net/route", encoding="ascii") as routes:
        return len(routes.readlines()) <= 1


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    with Sim() as running:
        yield running


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("cli", CLIS)
def test_what_the_real_program_does_is_told_right(cli: str, cell: Cell, sim: Sim, tmp_path: Path) -> None:
    if shutil.which(cli) is None:
        pytest.skip(f"no {cli} on the PATH")
    if not _on_loopback_alone():
        pytest.skip("only inside a network namespace of its own")
    if cli in cell.excused:
        pytest.skip(f"{cli}: {cell.excused[cli]}")

    report = run_cell(cli, cell, sim, tmp_path)

    expected = cell.expected_of.get(cli, cell.expected)
    assert report.succeeded is (expected is None), report
    assert report.failure in (expected or Failure.NONE, cell.or_else or expected or Failure.NONE), report
    if cell.written is not None:
        assert (tmp_path / "work" / "made.txt").exists() is cell.written, report
    if cli in cell.resets_told_by:
        assert report.limit is not None
        assert report.limit.resets_at is not None, report
        assert abs(report.limit.resets_at - time.time() - 7200) < 180, report
    if report.succeeded:
        assert report.text.strip(), report
        assert report.usage is not None, report
        assert report.usage.output > 0, report


def test_claude_with_a_subscription_tells_when_its_limit_resets(sim: Sim, tmp_path: Path) -> None:
    if shutil.which("claude") is None or not _on_loopback_alone():
        pytest.skip("no claude on the PATH, or not in a network namespace of its own")
    prompt = prompt_in(tmp_path, model=MODELS["claude"], environment={"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-none"})

    report = run_agent("claude", prompt, tmp_path, {"ANTHROPIC_BASE_URL": sim.faulty("429s7200~subscription")})

    assert report.failure is Failure.LIMIT, report
    assert report.limit is not None
    assert report.limit.kind == "five_hour"
    assert abs((report.limit.resets_at or 0) - time.time() - 7200) < 180, report


def run_cell(cli: str, cell: Cell, sim: Sim, folder: Path) -> AgentReport:
    """One turn of the real program in `folder`, as its adapter judges it; its output is left in `folder`."""
    address = cell.fault if cell.fault.startswith("http") else sim.faulty(f"{cell.fault}~{uuid.uuid4()}")
    prompt = prompt_in(
        folder,
        cell.text,
        model=cell.model or MODELS[cli],
        autonomy=cell.autonomy,
        endpoint=Endpoint(address, "sk-ant-api03-worthless"),
    )
    return run_agent(cli, prompt, folder)


def run_agent(cli: str, prompt: Prompt, folder: Path, more_env: Mapping[str, str] | None = None) -> AgentReport:
    agent = make_agent(setup(cli), BUILT_IN)
    launch = agent.launch(prompt)
    write_files(prompt, launch)
    run = uuid.uuid4().hex
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "user"),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        RUN_VARIABLE: run,
        **dict(launch.env),
        **(more_env or {}),
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
            code: int | None = child.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        finally:
            kill_with_variable(RUN_VARIABLE, [run], frozenset({os.getpid()}))
    tail = (out.read_bytes() + err.read_bytes())[-65536:].decode("utf-8", "replace")
    told = Tally()
    for event in _events(agent.reader(), out.read_bytes()):
        told.take(event)
    signal = -code if code is not None and code < 0 else None
    return agent.judge(prompt, Ending(None if signal else code, signal, tail, told))


def _events(reader: object, stream: bytes) -> Iterator[AgentEvent]:
    feed, close = getattr(reader, "feed", None), getattr(reader, "close", None)
    if feed is not None and close is not None:
        yield from feed(stream)
        yield from close()
