"""One agent process from start to end, in a forked child that stands for the worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from conductor.domain.masking import Masker
from conductor.kit.process import identity_of, pids_with_variable
from conductor.kit.signals import SignalPipe
from conductor.worker import execute
from conductor.worker.agent_log import AgentLog
from conductor.worker.cut import Cut
from conductor.worker.execute import AgentCommand, AgentProcess, Limits, ProcessEnd
from tests.support import eventually
from tests.worker.forked import in_child

STOP_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
SPIN = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"


@dataclass(frozen=True)
class Run:
    """What came of an agent."""

    end: ProcessEnd
    said: str


class Stage:
    """Runs agents in a folder; what they started carries a mark in its environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = str(folder)
        self.env = {"PATH": "/usr/bin:/bin", "MARK": self.mark}

    def run(
        self,
        *argv: str,
        timeout: float | None = 50.0,
        stall: float | None = None,
        grace: float = 20.0,
        directory: str = "",
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Run:
        def work() -> ProcessEnd:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a nursery has it
            os.umask(0o077)
            signals = SignalPipe(STOP_SIGNALS)
            log = AgentLog(str(self.folder / "agent.log"), 1 << 20, Masker())
            command = AgentCommand(argv, self.env, directory or str(self.folder))
            end = AgentProcess(command, log, Limits(timeout, stall, grace), signals, is_cancelled).run()
            log.close()
            return end

        end = in_child(work)
        return Run(end, (self.folder / "agent.log").read_text(errors="replace"))

    def sh(self, script: str, **limits: float) -> Run:
        return self.run("/bin/sh", "-c", script, **limits)  # type: ignore[arg-type]

    def survivors(self) -> list[int]:
        return [pid for pid in pids_with_variable("MARK", [self.mark]) if identity_of(pid)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


# -- how it ends by itself


@pytest.mark.parametrize("code", [0, 1, 7, 126, 255])
def test_the_exit_code_is_told(stage: Stage, code: int) -> None:
    end = stage.sh(f"exit {code}").end

    assert (end.exit_code, end.signal, end.cut, end.tree_gone) == (code, None, None, True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_the_signal_that_ended_it_is_told(stage: Stage, number: signal.Signals) -> None:
    end = stage.sh(f"kill -{number:d} $$").end

    assert (end.exit_code, end.signal, end.cut) == (None, number, None)


@pytest.mark.parametrize("argv", [("no-such-program",), ("/dev/null",), ("/",)])
def test_a_program_that_cannot_be_started_says_so_in_its_log(stage: Stage, argv: tuple[str, ...]) -> None:
    run = stage.run(*argv)

    assert run.end.exit_code == 126
    assert run.said.startswith(f"conductor: can't start {argv[0]}: ")


def test_a_folder_that_went_away_before_the_start_is_said_too(stage: Stage) -> None:
    run = stage.run("true", directory=str(stage.folder / "gone"))

    assert run.end.exit_code == 126
    assert "No such file or directory" in run.said


def test_both_outputs_are_kept_in_the_order_in_which_they_came(stage: Stage) -> None:
    run = stage.sh("echo one; echo two >&2; printf three; exit 3")

    assert run.said == "one\ntwo\nthree"
    assert run.end.exit_code == 3


def test_the_last_words_of_a_flood_are_kept(stage: Stage) -> None:
    run = stage.sh("yes | head -c 700000; echo the end")

    assert len(run.said) == 700_000 + len("the end\n")
    assert run.said.endswith("y\nthe end\n")


def test_an_agent_that_closes_its_output_and_goes_on_is_waited_for(stage: Stage) -> None:
    run = stage.sh(f"exec >&- 2>&-; {SPIN}; touch {stage.folder}/done; exit 5")

    assert run.end.exit_code == 5
    assert (stage.folder / "done").exists()


def test_cpu_and_memory_of_the_whole_tree_are_counted(stage: Stage) -> None:
    end = stage.sh(f"({SPIN}) & wait").end

    assert end.cpu_seconds > 0.01
    assert end.peak_memory_bytes > 100_000


# -- what it is born with


def test_the_environment_is_exactly_what_was_given(stage: Stage) -> None:
    stage.env |= {"A": "1", "WITH_EQUALS": "a=b", "EMPTY": ""}

    said = stage.run("env").said

    assert dict(line.split("=", 1) for line in said.splitlines()) == stage.env


def test_standard_input_is_empty(stage: Stage) -> None:
    assert stage.sh("cat; echo end of input").said == "end of input\n"


def test_folder_and_umask_are_set(stage: Stage) -> None:
    assert stage.sh("pwd; umask").said.split() == [os.path.realpath(stage.folder), "0022"]


def test_it_leads_a_session_of_its_own(stage: Stage) -> None:
    fields = stage.run("cat", "/proc/self/stat").said.split()

    pid, group, session = fields[0], fields[4], fields[5]
    assert pid == group == session


def test_no_descriptor_is_inherited(stage: Stage) -> None:
    assert stage.run("ls", "/proc/self/fd").said.split() == ["0", "1", "2", "3"]  # 3 is what ls itself opened


def test_no_signal_is_blocked_or_ignored(stage: Stage) -> None:
    said = stage.run("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status").said

    assert [int(line.split()[1], 16) for line in said.splitlines()] == [0, 0]


# -- its tree ends with it


def test_children_sessions_and_daemons_are_gone_after_its_end(stage: Stage) -> None:
    run = stage.sh("sleep 600 & setsid sleep 600 & (setsid sh -c 'sleep 600 & sleep 600' &) ; sleep 0.1; exit 4")

    assert run.end.exit_code == 4
    assert run.end.tree_gone
    assert stage.survivors() == []


def test_a_child_that_ignores_every_signal_is_gone_too(stage: Stage) -> None:
    run = stage.sh("sh -c 'trap \"\" TERM HUP INT; echo up; while :; do sleep 600; done' & sleep 0.2")

    assert run.end.tree_gone
    assert stage.survivors() == []


def test_a_stopped_child_is_gone_too(stage: Stage) -> None:
    stage.sh("sleep 600 & kill -STOP $!")

    assert stage.survivors() == []


def test_a_child_that_keeps_the_output_open_does_not_keep_the_task_going(stage: Stage) -> None:
    run = stage.sh("setsid sleep 600 & echo done")

    assert run.said == "done\n"
    assert stage.survivors() == []


# -- limits


def test_after_its_timeout_it_may_say_goodbye(stage: Stage) -> None:
    run = stage.sh("trap 'echo goodbye; exit 3' TERM; echo up; while :; do sleep 0.05; done", timeout=0.3)

    assert run.end.cut is Cut.TIMEOUT
    assert run.end.exit_code == 3
    assert run.said.startswith("up\n")
    assert run.said.endswith("goodbye\n")


def test_who_does_not_go_within_the_grace_is_killed_with_its_whole_tree(stage: Stage) -> None:
    run = stage.sh("trap '' TERM; setsid sleep 600 & while :; do sleep 0.05; done", timeout=0.2, grace=0.3)

    assert run.end.cut is Cut.TIMEOUT
    assert run.end.signal == signal.SIGKILL
    assert run.end.tree_gone
    assert stage.survivors() == []


def test_a_tree_whose_leader_goes_at_once_has_the_grace_too(stage: Stage) -> None:
    child = "trap 'sleep 0.3; echo child goodbye; exit 0' TERM; echo up; while :; do sleep 0.05; done"

    run = stage.sh(f'sh -c "{child}" & wait', timeout=0.5)

    assert run.end.cut is Cut.TIMEOUT
    assert run.said.endswith("child goodbye\n")


def test_a_stopped_agent_is_told_to_go_on_so_that_it_can_end(stage: Stage) -> None:
    run = stage.sh("trap 'echo goodbye; exit 3' TERM; kill -STOP $$; echo not reached", timeout=0.3)

    assert run.end.cut is Cut.TIMEOUT
    assert run.end.exit_code == 3
    assert "goodbye" in run.said


def test_who_says_nothing_for_too_long_is_stalled(stage: Stage) -> None:
    run = stage.sh("echo up; sleep 600", stall=0.3)

    assert run.end.cut is Cut.STALLED
    assert run.said == "up\n"


def test_who_goes_on_talking_is_not_stalled(stage: Stage) -> None:
    run = stage.sh("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.3; done", stall=2.0)

    assert run.end.cut is None
    assert run.end.exit_code == 0


def test_without_limits_it_ends_when_it_ends(stage: Stage) -> None:
    run = stage.run("/bin/sh", "-c", "sleep 0.1; exit 2", timeout=None)

    assert (run.end.cut, run.end.exit_code) == (None, 2)


# -- told to stop


def test_a_cancelled_task_is_stopped_when_its_worker_is_told_to_look(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "_LOOK_EVERY_SECONDS", 1e9)
    mark = stage.folder / "CANCEL"
    script = f"trap 'echo goodbye; exit 3' TERM; touch {mark}; kill -USR1 $PPID; while :; do sleep 0.05; done"

    run = stage.run("/bin/sh", "-c", script, is_cancelled=mark.exists)

    assert run.end.cut is Cut.CANCELLED
    assert run.said.endswith("goodbye\n")


def test_a_cancelled_task_is_stopped_though_nobody_told_its_worker_to_look(stage: Stage) -> None:
    mark = stage.folder / "CANCEL"

    run = stage.run("/bin/sh", "-c", f"touch {mark}; sleep 600", is_cancelled=mark.exists)

    assert run.end.cut is Cut.CANCELLED


def test_a_worker_that_is_told_to_stop_stops_its_agent_with_grace(stage: Stage) -> None:
    run = stage.sh("trap 'echo goodbye; exit 0' TERM; kill -TERM $PPID; while :; do sleep 0.05; done")

    assert run.end.cut is Cut.STOPPED
    assert run.said.endswith("goodbye\n")


def test_a_worker_that_is_told_to_stop_at_once_leaves_no_grace(stage: Stage) -> None:
    run = stage.sh("trap '' TERM; kill -QUIT $PPID; while :; do sleep 0.05; done", grace=600.0)

    assert run.end.cut is Cut.STOPPED
    assert run.end.signal == signal.SIGKILL


def test_a_second_word_ends_the_grace_of_the_first(stage: Stage) -> None:
    run = stage.sh("trap 'kill -QUIT $PPID' TERM; kill -TERM $PPID; while :; do sleep 0.05; done", grace=600.0)

    assert run.end.cut is Cut.STOPPED
    assert run.end.signal == signal.SIGKILL


def test_an_interrupt_and_a_hangup_do_not_touch_a_running_task(stage: Stage) -> None:
    run = stage.sh("kill -INT $PPID; kill -HUP $PPID; sleep 0.2; echo done")

    assert (run.end.cut, run.end.exit_code, run.said) == (None, 0, "done\n")


def test_an_agent_does_not_outlive_a_worker_that_is_killed(stage: Stage) -> None:
    with pytest.raises(AssertionError, match="without a word"):
        stage.sh("kill -KILL $PPID; exec sleep 600")

    eventually(lambda: not stage.survivors(), what="the agent gone after its worker")
