"""Whole runs with a small program in the place of each CLI: it takes its prompt, writes a recorded stream, and ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conductor.domain.failure import Failure
from conductor.ports import AgentReport
from tests.agents.prompts import prompt_in
from tests.agents.run import run_agent

STREAMS = Path(__file__).parent / "streams"


def run(cli: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentReport:
    """The judgement on one run of `program`, a shell script of the CLI's name."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / cli).write_text(f"#!/bin/sh\n{program}\n")
    (binaries / cli).chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    return run_agent(cli, prompt_in(tmp_path, "say hello"), tmp_path)


@pytest.mark.parametrize(
    ("stream", "exit_code", "failure"),
    [
        ("claude.tool", 0, Failure.NONE),
        ("claude.401", 1, Failure.BAD_KEY),
        ("codex.tool", 0, Failure.NONE),
        ("codex.cut", 1, Failure.CUT),
        ("gemini.tool", 0, Failure.NONE),
        ("gemini.529", 17, Failure.OVERLOAD),
    ],
)
def test_a_program_that_behaves_like_the_cli_is_judged_like_it(
    stream: str, exit_code: int, failure: Failure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f'test "$(cat)" = "say hello" || exit 99; cat {STREAMS}/{stream}.jsonl; exit {exit_code}'

    report = run(stream.partition(".")[0], program, tmp_path, monkeypatch)

    assert (report.succeeded, report.failure) == (failure is Failure.NONE, failure), report


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_a_stream_that_breaks_off_in_the_middle_is_cut_though_the_exit_code_is_0(
    cli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = run(cli, f"head -c 700 {STREAMS}/{cli}.tool.jsonl; exit 0", tmp_path, monkeypatch)

    assert (report.succeeded, report.failure) == (False, Failure.CUT), report


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_a_cli_that_is_killed_is_told_by_its_signal(cli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = run(cli, "kill -9 $$", tmp_path, monkeypatch)

    assert not report.succeeded
    assert "signal 9" in report.reason


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_what_the_cli_says_on_standard_error_is_its_reason(
    cli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = run(cli, "echo 'error: unknown option --x' >&2; exit 1", tmp_path, monkeypatch)

    assert report.failure is Failure.BAD_CONFIG
    assert "unknown option --x" in report.reason


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_a_tool_s_output_on_the_stream_makes_no_class(
    cli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '{"type": "odd", "text": "rate limit, invalid api key, context window"}'

    report = run(cli, f"echo '{line}'; exit 5", tmp_path, monkeypatch)

    assert report.failure is Failure.NONE
