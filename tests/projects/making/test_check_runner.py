"""A project's check as a real process tree: its verdict, its output, and that nothing of it outlives it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.masking import MASK
from conductor.domain.worker_id import OWNER_VARIABLE
from conductor.kit.process import children_of, identity_of, pids_with_variable
from conductor.ports.orchestration import CheckResult
from conductor.projects.check_runner import ProcessCheckRunner
from conductor.projects.kept_process import KeptProcess
from tests.support import eventually

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        for number in (0, 1, 2):
            os.close(number)
        os.execve("/bin/sh", ["sh", "-c", "echo $$ >daemon.pid.new; mv daemon.pid.new daemon.pid; sleep 600; :"], {})
    os._exit(0)
os.wait()
while not os.path.exists("daemon.pid"):
    time.sleep(0.01)
"""
"""Leaves a daemon behind that no process group, session, variable or pipe leads to."""


class Checks:
    """A runner, and what it left."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder = folder
        self.log = folder.parent / "logs" / "check.log"
        self.token = f"o0-{os.getpid()}-1-{os.urandom(4).hex()}"
        self.kept = KeptProcess(self.token, secrets=("correct-horse-battery",), grace_seconds=0.3)
        self.runner = ProcessCheckRunner(self.kept, {"PATH": os.environ["PATH"], **more})

    def start(self, command: str, timeout: float = 60.0) -> None:
        self.runner.start(str(self.folder), command, str(self.log), timeout)

    def result(self) -> CheckResult:
        def taken() -> CheckResult | None:
            select.select([self.runner.fileno()], [], [], 30)
            return self.runner.take(0.0)

        return eventually(taken, what="the check's end")

    def run(self, command: str, timeout: float = 60.0) -> CheckResult:
        self.start(command, timeout)
        return self.result()

    def keeper(self) -> int:
        (pid,) = (pid for pid in children_of(os.getpid()) if b"projects.keeper" in command_line(pid))
        return pid

    def left(self) -> list[int]:
        return [pid for pid in pids_with_variable(OWNER_VARIABLE, [self.token]) if identity_of(pid)]

    def pid_in(self, name: str) -> int:
        return int(eventually(lambda: self.folder.joinpath(name).exists() and self.folder.joinpath(name).read_text()))


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def checks(tmp_path: Path) -> Iterator[Checks]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "daemon.py").write_text(DAEMON)
    one = Checks(folder, ANTHROPIC_API_KEY="k-1234567890", CONDUCTOR_HOME="/x", LANG="C.UTF-8")
    yield one
    one.runner.stop()
    assert one.left() == []


def test_a_check_passes_with_exit_code_0_in_its_folder(checks: Checks) -> None:
    result = checks.run('pwd; echo "to stderr" >&2')

    assert (result.passed, result.reason) == (True, "")
    assert result.tail == f"{checks.folder}\nto stderr\n" == checks.log.read_text()
    assert checks.runner.fileno() == -1
    assert checks.runner.take(0.0) is None


@pytest.mark.parametrize(
    ("command", "reason"),
    [("exit 3", "exit code 3"), ("kill -SEGV $$", "ended by SIGSEGV"), ("no-such-command", "exit code 127")],
)
def test_a_check_that_fails_says_how(checks: Checks, command: str, reason: str) -> None:
    result = checks.run(command)

    assert (result.passed, result.reason) == (False, reason)


def test_a_folder_that_is_gone_is_a_failure_that_says_so(checks: Checks) -> None:
    checks.folder = checks.folder / "gone"

    result = checks.run("true")

    assert (result.passed, result.reason) == (False, "exit code 126")
    assert "No such file" in result.tail


def test_a_check_sees_no_keys_nothing_of_conductor_and_no_input(checks: Checks) -> None:
    result = checks.run("env | grep -v PWD= | sort; cat")

    assert result.tail.splitlines() == [
        f"{OWNER_VARIABLE}={checks.token}",
        "LANG=C.UTF-8",
        f"PATH={os.environ['PATH']}",
    ]


def test_secrets_in_its_output_are_masked_on_file_and_in_the_tail(checks: Checks) -> None:
    result = checks.run("echo correct-horse-battery; printf sk-ant-; echo api03-abcdefghijklmnop1234")

    assert result.tail == f"{MASK}\n{MASK}\n" == checks.log.read_text()


def test_a_deadline_may_be_years_away(checks: Checks) -> None:
    assert checks.run("true", timeout=10 * 365 * 86400.0).passed


def test_nothing_waits_for_the_check(checks: Checks) -> None:
    checks.start("while [ ! -e go ]; do sleep 0.01; done; echo went")

    assert checks.runner.take(0.0) is None
    assert select.select([checks.runner.fileno()], [], [], 0)[0] == []

    (checks.folder / "go").touch()
    assert checks.result().tail == "went\n"


def test_checks_run_one_after_the_other_with_one_runner(checks: Checks) -> None:
    assert [checks.run(f"echo {number}").tail for number in range(3)] == ["0\n", "1\n", "2\n"]


def test_a_daemon_that_a_passed_check_left_is_ended(checks: Checks) -> None:
    result = checks.run(f"{sys.executable} daemon.py && echo well")

    assert result.passed
    assert result.tail == "well\n"
    assert identity_of(checks.pid_in("daemon.pid")) is None


def test_a_writer_in_the_background_does_not_hold_up_the_result(checks: Checks) -> None:
    result = checks.run("(while :; do echo again; done) & sleep 0.05; exit 0")

    assert result.passed
    assert checks.left() == []


def test_past_its_deadline_a_check_is_told_to_end_and_may_clean_up(checks: Checks) -> None:
    result = checks.run("trap 'echo cleaned; exit 0' TERM; while :; do sleep 0.01; done", timeout=1.0)

    assert (result.passed, result.reason) == (False, "longer than 1.0s")
    assert result.tail.endswith("cleaned\n")


def test_past_its_deadline_a_check_that_ignores_sigterm_is_killed_with_its_daemon(checks: Checks) -> None:
    result = checks.run(
        "trap '' TERM; setsid -f sh -c 'echo $$ >daemon.pid; sleep 600; :'; while :; do sleep 0.01; done", timeout=1.0
    )

    assert (result.passed, result.reason) == (False, "longer than 1.0s")
    assert identity_of(checks.pid_in("daemon.pid")) is None


def test_stopping_ends_the_whole_tree_at_once(checks: Checks) -> None:
    checks.start(f"trap '' TERM; {sys.executable} daemon.py; touch ready; sleep 600; :")
    eventually((checks.folder / "ready").exists)

    checks.runner.stop()

    assert checks.runner.fileno() == -1
    assert checks.left() == []
    assert identity_of(checks.pid_in("daemon.pid")) is None
    assert checks.run("echo again").passed


def test_50_megabytes_of_output_are_bounded_and_told(checks: Checks) -> None:
    result = checks.run("echo first; head -c 52428800 /dev/zero | tr '\\0' 'x' | fold -w 99; echo last; exit 1")

    assert result.reason == "exit code 1"
    assert checks.log.stat().st_size <= 10 * (1 << 20) + 100
    with checks.log.open("rb") as file:
        assert file.readline() == b"first\n"
    assert result.tail.endswith("xlast\n") or result.tail.endswith("x\nlast\n")
    assert len(result.tail) <= 65536


def test_a_killed_keeper_is_a_failed_check_and_leaves_nothing_that_has_the_token(checks: Checks) -> None:
    checks.start("sleep 600 & setsid sleep 600 & touch ready; wait")
    eventually((checks.folder / "ready").exists)

    os.kill(checks.keeper(), signal.SIGKILL)
    result = checks.result()

    assert (result.passed, result.reason) == (False, "the process that kept it was killed")
    assert checks.left() == []


def test_a_keeper_is_known_by_its_name_and_shows_nobody_what_is_to_be_masked(checks: Checks) -> None:
    checks.start("touch ready; sleep 600; :")
    eventually((checks.folder / "ready").exists)
    keeper = checks.keeper()

    assert Path(f"/proc/{keeper}/comm").read_text() == "conductor-check\n"
    assert b"correct-horse" not in command_line(keeper)
    assert Path(f"/proc/{keeper}/stat").stat().st_uid == 0  # not dumpable: its memory and files are root's to see


def test_a_keeper_that_is_stopped_is_found_late_and_ended(tmp_path: Path) -> None:
    now = [0.0]
    kept = KeptProcess(f"o0-{os.getpid()}-1-{os.urandom(4).hex()}", clock=lambda: now[0])
    runner = ProcessCheckRunner(kept, {"PATH": os.environ["PATH"]})
    runner.start(str(tmp_path), "touch ready; sleep 600; :", str(tmp_path / "log"), 5.0)
    eventually((tmp_path / "ready").exists)
    (keeper,) = (pid for pid in children_of(os.getpid()) if b"projects.keeper" in command_line(pid))
    os.kill(keeper, signal.SIGSTOP)

    assert runner.take(0.0) is None
    now[0] = 1000.0
    result = runner.take(0.0)

    assert result is not None
    assert not result.passed
    assert identity_of(keeper) is None


def test_a_killed_orchestrator_leaves_nothing_of_its_check(checks: Checks) -> None:
    orchestrator = subprocess.Popen([sys.executable, "-c", textwrap.dedent(f"""
        import sys, time
        from conductor.projects.check_runner import ProcessCheckRunner
        from conductor.projects.kept_process import KeptProcess
        runner = ProcessCheckRunner(KeptProcess({checks.token!r}), {{"PATH": {os.environ["PATH"]!r}}})
        command = sys.executable + " daemon.py; touch ready; sleep 600; :"
        runner.start({str(checks.folder)!r}, command, {str(checks.log)!r}, 600.0)
        time.sleep(600)
    """)])  # fmt: skip
    eventually((checks.folder / "ready").exists)

    orchestrator.kill()
    orchestrator.wait()

    eventually(lambda: not checks.left(), what="the end of the check")
    eventually(lambda: identity_of(checks.pid_in("daemon.pid")) is None, what="the end of its daemon")


def test_a_module_in_the_checked_folder_is_not_loaded_by_the_keeper(checks: Checks) -> None:
    (checks.folder / "conductor").mkdir()
    (checks.folder / "conductor" / "__init__.py").write_text("raise SystemExit('theirs')")
    (checks.folder / "json.py").write_text("raise SystemExit('theirs')")

    assert checks.run("true").passed
