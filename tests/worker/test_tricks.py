"""What an agent puts in the place of our files in its own folder costs nobody else anything, and never holds us up."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.domain.outcome import Outcome
from conductor.ports import AgentReport, Ending, Prompt
from tests.worker.player import ANSWERED, Player
from tests.worker.test_agent_attempt import Stage
from tests.worker.test_attempt import Desk

OURS = ("agent.log", "agent.log.tail-a", "agent.log.tail-b", "verify.log", "RESULT.txt", "SUMMARY.txt", "TASK.txt")
TRICKS = ("ln -sf {precious} {0}", "ln -f {precious} {0}", "rm -f {0}; mkfifo {0}", "rm -f {0}; mkdir -p {0}/x")
CAP = 40_000
CHECKED = {"verify": "echo checked", "timeout_seconds": 20, "env": (("MY_TOKEN", "keep me to yourself"),)}


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    file = tmp_path / "precious"
    file.write_text("keep me to yourself\n")
    return file


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.config = replace(made.config, log_bytes=CAP)
    return made


def said_after(first: str) -> str:
    """A command that does `first` when its log's head is full, then fills both segments more than once."""
    return f"yes one | head -c 25000; sleep 0.1; {first}; yes two | head -c 60000; echo done"


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("name", OURS)
def test_no_trick_with_a_file_of_ours_reaches_another_file_or_holds_up_the_attempt(
    desk: Desk, precious: Path, name: str, trick: str
) -> None:
    path = desk.folder / name

    result = desk.done(said_after(trick.format(path, precious=precious)), **CHECKED)

    assert precious.read_text() == "keep me to yourself\n"
    log = desk.folder / "agent.log"
    if stat.S_ISREG(os.lstat(log).st_mode):
        assert "keep me" not in log.read_text() or log.samefile(precious)
    assert result.outcome in (Outcome.SUCCESS, Outcome.FAILED)
    if "mkdir" not in trick:
        assert result.outcome is Outcome.SUCCESS


@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_with_the_events_reaches_another_file_or_holds_up_the_attempt(
    tmp_path: Path, precious: Path, trick: str
) -> None:
    stage = Stage(tmp_path)
    stage.calls = ()  # else the file is there before the agent can do anything

    result = stage.done(f"{trick.format(stage.folder / 'agent.jsonl', precious=precious)}; {ANSWERED}")

    assert result.outcome is Outcome.SUCCESS
    assert precious.read_text() == "keep me to yourself\n"


@pytest.mark.parametrize("trick", TRICKS[:3])
def test_what_stood_in_the_attempt_s_folder_before_it_began_is_replaced(desk: Desk, precious: Path, trick: str) -> None:
    for name in OURS:
        subprocess.run(["/bin/sh", "-c", trick.format(desk.folder / name, precious=precious)], check=True)

    result = desk.done(said_after("true"), verify="echo checked", timeout_seconds=20)

    assert result.outcome is Outcome.SUCCESS
    assert precious.read_text() == "keep me to yourself\n"
    assert (desk.folder / "agent.log").read_text().endswith("two\ndone\n")
    assert (desk.folder / "verify.log").read_text() == "checked\n"


class Broken(Player):
    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        raise ValueError("what a pity")


@pytest.mark.parametrize("trick", TRICKS)
def test_the_traceback_of_a_broken_judgement_goes_to_no_other_file(tmp_path: Path, precious: Path, trick: str) -> None:
    stage = Stage(tmp_path)
    stage.agent = Broken

    result = stage.done(trick.format(stage.folder / "agent.log", precious=precious))

    assert "what a pity" in result.reason
    assert precious.read_text() == "keep me to yourself\n"
