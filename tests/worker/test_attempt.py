"""What an attempt leaves behind: its result and its files, with secrets masked and tricks not followed."""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.agents.registry import BUILT_IN, registry
from conductor.domain.masking import MASK
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.task import Claim, TaskSpec, Tries
from conductor.kit.signals import SignalPipe
from conductor.worker.answer import SUMMARY_CHARACTERS, summary_of
from conductor.worker.attempt import limits_for, run_attempt
from conductor.worker.bench import Workbench
from conductor.worker.config import WorkerConfig
from conductor.worker.execute import Limits
from tests.worker.forked import in_child

SECRET = "hunter2hunter2"


class Desk:
    """One attempt's folder, and runs of the agent `command` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tasks" / "t1" / "1"
        self.folder.mkdir(parents=True)
        self.daemon_environment = {"PATH": "/usr/bin:/bin"}
        self.config = WorkerConfig(
            home=str(folder), pool="default", kinds=BUILT_IN, timeout_seconds=50, grace_seconds=5, log_bytes=1 << 20
        )

    def run(self, description: str, *, cancelled: bool = False, **fields: object) -> TaskResult | None:
        spec = TaskSpec("t1", description, **{"agent": "command", **fields})  # type: ignore[arg-type]
        claim = Claim(spec, Tries(started=1), "w1-2-3-0123abcd", str(self.folder))

        def work() -> TaskResult | None:
            signals = SignalPipe((signal.SIGUSR1, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP))
            bench = Workbench(
                self.config, registry(self.config.agents, self.config.kinds), signals, self.daemon_environment
            )
            return run_attempt(claim, bench, lambda: cancelled)

        return in_child(work)

    def done(self, description: str, **fields: object) -> TaskResult:
        result = self.run(description, **fields)  # type: ignore[arg-type]
        assert result is not None
        return result

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# -- what it says of itself


def test_a_success_is_recorded_with_its_last_line_and_its_costs(desk: Desk) -> None:
    result = desk.done("echo one; echo two; echo")

    assert (result.outcome, result.reason, result.preview) == (Outcome.SUCCESS, "", "two")
    assert (result.exit_code, result.signal) == (0, None)
    assert result.output_bytes == len("one\ntwo\n\n")
    assert result.peak_memory_bytes > 100_000
    assert 0 <= result.ended - result.started < 50


def test_a_failure_says_how_and_what_was_said_last(desk: Desk) -> None:
    result = desk.done("echo no such luck; exit 3")

    assert (result.outcome, result.reason, result.preview) == (Outcome.FAILED, "exit 3", "exit 3: no such luck")


def test_a_death_by_signal_says_which(desk: Desk) -> None:
    result = desk.done("kill -SEGV $$")

    assert (result.outcome, result.exit_code, result.signal) == (Outcome.FAILED, None, signal.SIGSEGV)
    assert result.preview == "signal 11"


def test_a_timeout_says_after_how_long_and_what_was_said_last(desk: Desk) -> None:
    result = desk.done("echo busy; exec sleep 600", timeout_seconds=0.3)

    assert (result.outcome, result.reason) == (Outcome.TIMEOUT, "ran longer than its 0.3 s")
    assert result.preview == "timeout after 0.3 s: signal 15: busy"


def test_a_stall_is_a_timeout_that_says_so(desk: Desk) -> None:
    result = desk.done("echo busy; exec sleep 600", stall_seconds=0.3)

    assert (result.outcome, result.reason) == (Outcome.TIMEOUT, "said nothing for 0.3 s")


def test_a_cancelled_attempt_says_so(desk: Desk) -> None:
    result = desk.done("kill -USR1 $PPID; exec sleep 600", cancelled=True)

    assert (result.outcome, result.preview) == (Outcome.CANCELLED, "cancelled")


def test_a_worker_that_is_told_to_stop_has_no_result(desk: Desk) -> None:
    assert desk.run("kill -TERM $PPID; exec sleep 600") is None
    assert not (desk.folder / "RESULT.txt").exists()


def test_a_workspace_that_is_gone_fails_with_that_reason(desk: Desk) -> None:
    result = desk.done("echo never", workspace=f"{desk.folder}/gone")

    assert result.outcome is Outcome.FAILED
    assert result.reason == f"the workspace {desk.folder}/gone is gone"
    assert desk.text("RESULT.txt") == result.reason + "\n"
    assert desk.text("agent.log") == ""


def test_an_agent_that_is_not_installed_fails_with_those_that_are(desk: Desk) -> None:
    result = desk.done("echo never", agent="oracle")

    assert result.outcome is Outcome.FAILED
    assert result.reason.startswith("no agent 'oracle' here: there is ")


# -- where it runs


def test_without_a_workspace_it_runs_in_a_folder_of_its_own(desk: Desk) -> None:
    desk.done("pwd; touch here")

    work = desk.folder / "work"
    assert desk.text("RESULT.txt") == f"{work}\n"
    assert (work / "here").exists()
    assert stat.S_IMODE(work.stat().st_mode) == 0o700


def test_a_workspace_is_where_it_runs(desk: Desk, tmp_path: Path) -> None:
    desk.done("touch here", workspace=str(tmp_path))

    assert (tmp_path / "here").exists()
    assert not (desk.folder / "work").exists()


def test_a_command_too_long_for_one_argument_runs_from_a_file(desk: Desk) -> None:
    result = desk.done("x='" + "é" * 200_000 + "'; echo ${#x}; exit 4")

    assert result.exit_code == 4
    assert result.preview.startswith("exit 4: ")


def test_the_task_s_own_limits_win_over_the_pool_s(desk: Desk) -> None:
    claim = Claim(TaskSpec("t1", "x", timeout_seconds=7.0, stall_seconds=3.0), Tries(1), "w", "/d")
    plain = Claim(TaskSpec("t1", "x"), Tries(1), "w", "/d")
    config = replace(desk.config, stall_seconds=9.0)

    assert limits_for(claim, config) == Limits(7.0, 3.0, 5)
    assert limits_for(plain, config) == Limits(50, 9.0, 5)


# -- RESULT.txt and SUMMARY.txt


def test_the_answer_is_what_the_agent_said(desk: Desk) -> None:
    desk.done("echo one; echo two >&2; printf three")

    assert desk.text("RESULT.txt") == desk.text("SUMMARY.txt") == "one\ntwo\nthree\n"
    assert desk.text("agent.log") == "one\ntwo\nthree"


def test_silence_leaves_empty_files(desk: Desk) -> None:
    result = desk.done("true")

    assert desk.text("RESULT.txt") == desk.text("SUMMARY.txt") == ""
    assert result.preview == ""


@pytest.mark.parametrize(
    "said", ["seq 1 5000", "yes | tr -d '\\n' | head -c 3000", "printf '%02000d' 7", "printf '%01999d' 7"]
)
def test_the_summary_has_at_most_two_thousand_characters_and_is_the_end(desk: Desk, said: str) -> None:
    desk.done(said)

    summary, whole = desk.text("SUMMARY.txt"), desk.text("RESULT.txt")
    assert len(summary) <= SUMMARY_CHARACTERS
    assert len(summary) > 1700
    assert whole.endswith(summary.removeprefix("…\n"))
    assert summary.startswith("…\n") == (len(whole) > SUMMARY_CHARACTERS)


@given(st.text(max_size=50), st.integers(0, 300), st.text(max_size=50))
def test_any_summary_is_short_ends_its_last_line_and_keeps_short_texts_whole(a: str, times: int, b: str) -> None:
    text = a * times + b

    summary = summary_of(text)

    assert len(summary) <= SUMMARY_CHARACTERS
    assert summary == "" or summary.endswith("\n")
    if len(text) < SUMMARY_CHARACTERS:
        assert summary.removesuffix("\n") == text.removesuffix("\n")


def test_what_an_agent_wrote_itself_is_kept(desk: Desk) -> None:
    result = desk.done('cd "$CONDUCTOR_TASK_DIR"; echo mine > RESULT.txt; echo short > SUMMARY.txt; echo chatter')

    assert desk.text("RESULT.txt") == "mine\n"
    assert desk.text("SUMMARY.txt") == "short\n"
    assert result.preview == "chatter"


def test_a_summary_is_made_of_the_answer_that_the_agent_wrote(desk: Desk) -> None:
    result = desk.done('echo mine > "$CONDUCTOR_TASK_DIR/RESULT.txt"')

    assert desk.text("SUMMARY.txt") == "mine\n"
    assert result.preview == "mine\n"


def test_an_agent_s_own_summary_is_cut_at_two_thousand_characters(desk: Desk) -> None:
    desk.done('seq 1 5000 > "$CONDUCTOR_TASK_DIR/SUMMARY.txt"')

    assert len(desk.text("SUMMARY.txt")) == SUMMARY_CHARACTERS
    assert desk.text("SUMMARY.txt").startswith("1\n2\n3\n")


def test_an_agent_s_own_answer_is_cut_at_a_mebibyte(desk: Desk) -> None:
    desk.done('yes | head -c 3000000 > "$CONDUCTOR_TASK_DIR/RESULT.txt"')

    assert (desk.folder / "RESULT.txt").stat().st_size == 1 << 20


def test_an_answer_that_is_no_text_does_not_stop_the_record(desk: Desk) -> None:
    result = desk.done(r"printf '\377\000\200ok\n'; printf '\377\376' > $CONDUCTOR_TASK_DIR/SUMMARY.txt")

    assert result.outcome is Outcome.SUCCESS
    assert desk.text("RESULT.txt") == "\ufffd\0\ufffdok\n"
    assert desk.text("SUMMARY.txt") == "\ufffd\ufffd"


# -- secrets


def test_a_secret_of_the_task_reaches_no_file_and_no_result(desk: Desk) -> None:
    script = (
        'echo "log $MY_TOKEN"; cd "$CONDUCTOR_TASK_DIR"; echo "own $MY_TOKEN" > SUMMARY.txt; echo "$MY_TOKEN"; exit 3'
    )
    result = desk.done(script, env=(("MY_TOKEN", SECRET),))

    files = [desk.text(name) for name in ("agent.log", "RESULT.txt", "SUMMARY.txt")]
    assert not any(SECRET in text for text in (*files, result.preview, result.reason))
    assert files == [f"log {MASK}\n{MASK}\n", f"log {MASK}\n{MASK}\n", f"own {MASK}\n"]
    assert result.preview == f"exit 3: {MASK}"


def test_a_secret_of_the_daemon_is_masked_though_the_agent_has_it_from_elsewhere(desk: Desk) -> None:
    desk.daemon_environment["ANTHROPIC_API_KEY"] = SECRET

    desk.done(f'echo "key ${{ANTHROPIC_API_KEY:-none}} {SECRET}"; echo {SECRET} > "$CONDUCTOR_TASK_DIR/RESULT.txt"')

    assert desk.text("agent.log") == f"key none {MASK}\n"
    assert desk.text("RESULT.txt") == f"{MASK}\n"


def test_what_an_agent_s_own_judgement_gives_away_is_masked(desk: Desk) -> None:
    desk.config = replace(desk.config, kinds={"telltale": "tests.worker.telltale:Telltale"})

    result = desk.done("ask me", agent="telltale", env=(("MY_TOKEN", SECRET),))

    assert (result.outcome, result.reason, result.preview) == (Outcome.FAILED, f"why {MASK}", f"preview {MASK}")
    assert desk.text("RESULT.txt") == f"answer {MASK}\n"


# -- tricks


@pytest.mark.parametrize("name", ["RESULT.txt", "SUMMARY.txt"])
def test_a_link_in_the_answer_s_place_is_not_followed(desk: Desk, tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text(f"do not read, do not write: {SECRET}\n")

    result = desk.done(f'ln -s {precious} "$CONDUCTOR_TASK_DIR/{name}"; echo answer', env=(("MY_TOKEN", SECRET),))

    assert precious.read_text() == f"do not read, do not write: {SECRET}\n"
    assert not (desk.folder / name).is_symlink()
    assert desk.text(name) == "answer\n"
    assert result.outcome is Outcome.SUCCESS


@pytest.mark.parametrize("trick", ["mkfifo {}", "ln -s nowhere {}", "ln -s {} {}", "ln -s /dev/zero {}"])
def test_what_is_no_regular_file_is_replaced_by_the_answer(desk: Desk, trick: str) -> None:
    path = f"{desk.folder}/RESULT.txt"

    result = desk.done(f"{trick.format(path, path)}; echo answer")

    assert result.outcome is Outcome.SUCCESS
    assert stat.S_ISREG(os.lstat(path).st_mode)
    assert desk.text("RESULT.txt") == "answer\n"


def test_a_folder_in_the_answer_s_place_fails_the_attempt_with_a_reason(desk: Desk) -> None:
    result = desk.done('mkdir -p "$CONDUCTOR_TASK_DIR/RESULT.txt/x"; echo answer')

    assert result.outcome is Outcome.FAILED
    assert result.reason.startswith("its answer could not be written: ")
    assert "RESULT.txt" in result.reason


def test_an_agent_that_removes_its_own_folder_still_has_its_answer_written(desk: Desk) -> None:
    result = desk.done('rm -rf "$CONDUCTOR_TASK_DIR"; echo answer')

    assert result.outcome is Outcome.SUCCESS
    assert desk.text("RESULT.txt") == "answer\n"
