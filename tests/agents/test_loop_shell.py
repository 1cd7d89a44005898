from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TypeVar

from conductor.agents.loop.shell import Shell
from conductor.kit.process import descendants_of, identity_of
from tests.worker.forked import in_child

T = TypeVar("T")


def told(folder: Path, command: str, **more: int) -> str:
    """In a child, as the loop lives."""
    return in_child(lambda: shell(folder).run(command, **more))


def shell(folder: Path) -> Shell:
    return Shell(str(folder), {"PATH": os.environ["PATH"], "GIVEN": "yes"})


def test_output_and_exit_code_are_told(tmp_path: Path) -> None:
    assert told(tmp_path, "echo out; echo err >&2; exit 3") == "out\nerr\n[exit code 3]"


def test_it_runs_in_the_workspace_with_the_given_environment_alone(tmp_path: Path) -> None:
    said = told(tmp_path, "pwd -P; echo $GIVEN; echo ${HOME-none}; read x || echo nothing to read")
    assert said == f"{os.path.realpath(tmp_path)}\nyes\nnone\nnothing to read\n[exit code 0]"


def test_output_is_a_sign_of_life(tmp_path: Path) -> None:
    def work() -> int:
        heard: list[int] = []
        Shell(str(tmp_path), {"PATH": os.environ["PATH"]}, lambda: heard.append(1)).run("echo one; echo two")
        return len(heard)

    assert in_child(work) > 0


def test_of_50_mb_head_and_tail_are_kept(tmp_path: Path) -> None:
    said = told(tmp_path, "echo first; head -c 50000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert said.startswith("first\nxxx")
    assert said.endswith("xxx\nlast\n[exit code 0]")
    assert len(said) < 31_000
    assert "bytes left out" in said


def test_bytes_that_are_no_text_are_told_as_far_as_they_are(tmp_path: Path) -> None:
    assert told(tmp_path, "printf 'a\\377b'") == "a\ufffdb\n[exit code 0]"


def test_at_its_timeout_all_that_it_started_is_killed(tmp_path: Path) -> None:
    # given: a child in another session that holds the output open
    command = "setsid sleep 300 & sleep 300"

    def work() -> tuple[str, list[int]]:
        said = shell(tmp_path).run(command, timeout_seconds=1)
        return said, [pid for pid in descendants_of(os.getpid()) if identity_of(pid)]

    # when
    said, left = in_child(work)
    # then
    assert "killed after 1 s" in said
    assert left == []


def test_a_daemon_that_it_leaves_holds_nothing_up_and_lives_on_below_us(tmp_path: Path) -> None:
    # given
    command = "(setsid sleep 300 &) ; echo started"

    def work() -> tuple[str, float, int, str]:
        began = time.monotonic()
        said = shell(tmp_path).run(command)
        took = time.monotonic() - began
        left = [pid for pid in descendants_of(os.getpid()) if identity_of(pid)]
        killed = shell(tmp_path).run("sleep 300", timeout_seconds=1)
        still = [pid for pid in left if identity_of(pid)]
        for pid in left:
            os.kill(pid, 9)
        return said, took, len(left) + len(still), killed

    # when
    said, took, found, killed = in_child(work)
    # then: the timeout of a later command does not touch it either
    assert said == "started\n[exit code 0]"
    assert took < 100
    assert found == 2
    assert "killed" in killed
