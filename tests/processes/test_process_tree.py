"""No orphans: however a task ends, its whole process tree is gone."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.home import Home
from conductor.kit.process import send_signal, stat_fields
from tests.conftest import DaemonFactory
from tests.processes import tree
from tests.support import (
    Conductord,
    eventually,
    named_processes,
    record_of,
    run_cli,
    said,
    statuses,
    submit,
    wait_for_end,
)


class Tree:
    """A task that starts a tree of processes, and who of it is alive."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home = home
        self._ledger = folder / "ledger"
        self.task = ""

    def plant(self, mode: str, **options: Any) -> None:
        words = (sys.executable, str(Path(tree.__file__)), str(self._ledger), mode)
        self.task = submit(self._home, "exec " + shlex.join(words), **options)

    def wait_until_grown(self) -> None:
        eventually(lambda: self._ledger.exists() and tree.has_grown(str(self._ledger)), what="the tree")

    def members(self) -> int:
        return len(self._ledger.read_text().splitlines())

    def living(self, *without: str) -> list[int]:
        return [pid for kind, pid in tree.living(str(self._ledger)) if kind not in without]

    def wait_until_gone(self, *without: str) -> None:
        assert self.members() > tree.FEW
        eventually(lambda: not self.living(*without), what="the end of the tree")

    def fell(self) -> None:
        """Ends whatever is left: for the end of a test only."""
        with suppress(FileNotFoundError):
            for pid in self.living():
                send_signal(pid, signal.SIGKILL)


@pytest.fixture
def planted(home: Home, tmp_path: Path) -> Iterator[Tree]:
    one = Tree(home, tmp_path)
    yield one
    one.fell()


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[str]:
    """A cgroup v2 folder in which groups can be made."""
    lines = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    mounts = [fields[4] for fields in lines if fields[fields.index("-") + 1] == "cgroup2"]
    if not mounts or not os.access(mounts[0], os.W_OK):
        pytest.skip("no cgroup v2 that this user may write to")
    folder = f"{mounts[0]}/conductor-test-{os.getpid()}-{tmp_path.name}"
    try:
        os.mkdir(folder)
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    yield folder
    os.rmdir(folder)  # fails when a group in it was left


def test_a_task_s_end_is_the_end_of_all_it_started(daemon: DaemonFactory, planted: Tree, home: Home) -> None:
    # given
    conductord = daemon(workers=1)

    # when the agent ends by itself and leaves everything behind
    planted.plant("end")

    # then nothing is left by the time that its result is told
    assert wait_for_end(home, planted.task).status.value == "SUCCESS"
    assert planted.living() == []
    planted.wait_until_gone()
    assert conductord.log_lines("strays_ended") == []


def test_a_cancelled_task_s_tree_is_gone_when_cancel_returns(daemon: DaemonFactory, planted: Tree, home: Home) -> None:
    # given
    daemon(workers=1)
    planted.plant("hang")
    planted.wait_until_grown()

    # when
    done = run_cli(home, "cancel", planted.task)

    # then
    assert (done.returncode, done.stderr) == (0, f"{planted.task} cancelled\n")
    assert planted.living() == []
    assert statuses(home, planted.task) == ["CANCELLED"]
    planted.wait_until_gone()


@pytest.mark.parametrize(
    ("mode", "limits", "preview"),
    [
        ("hang", {"timeout_seconds": 1.5}, "timeout after 1.5 s: signal 15"),
        ("ignore", {"timeout_seconds": 1.5}, "timeout after 1.5 s: signal 9"),
        ("talk", {"stall_seconds": 0.7}, "stalled for 0.7 s: signal 15: growing"),
    ],
    ids=["timeout", "timeout, ignoring TERM", "stall timeout"],
)
def test_a_task_that_takes_too_long_is_ended_with_its_tree(
    daemon: DaemonFactory, planted: Tree, home: Home, mode: str, limits: dict[str, float], preview: str
) -> None:
    # given
    daemon(workers=1, grace="300ms")

    # when
    planted.plant(mode, **limits)

    # then
    line = wait_for_end(home, planted.task)
    assert (line.status.value, line.preview) == ("TIMEOUT", preview)
    assert planted.living() == []
    planted.wait_until_gone()
    assert record_of(home, planted.task)["signal"] == (signal.SIGKILL if mode == "ignore" else signal.SIGTERM)


def test_the_tree_of_a_killed_worker_is_ended_before_its_task_runs_again(
    daemon: DaemonFactory, planted: Tree, home: Home
) -> None:
    # given
    conductord = daemon(workers=1)
    planted.plant("hang")
    planted.wait_until_grown()
    (slot,) = conductord.slots("busy")

    # when
    os.kill(slot["pid"], signal.SIGKILL)

    # then it was gone, with what had no parent and no environment any more, before the next attempt looked
    assert wait_for_end(home, planted.task).status.value == "SUCCESS"
    assert statuses(home, planted.task) == ["RETRY", "SUCCESS"]
    assert said(home, planted.task, attempt=2).split() == []
    planted.wait_until_gone()


def test_a_killed_nursery_takes_no_tree_with_it_and_leaves_none(
    daemon: DaemonFactory, planted: Tree, home: Home
) -> None:
    # given
    conductord: Conductord = daemon(workers=1)
    planted.plant("hang")
    planted.wait_until_grown()
    before = set(planted.living())

    # when
    for nursery in conductord.nurseries():
        os.kill(nursery, signal.SIGKILL)
    eventually(lambda: conductord.log_lines("nursery_gone") and conductord.nurseries())

    # then the task runs on, and its end is complete
    assert before <= set(planted.living())
    assert run_cli(home, "cancel", planted.task).returncode == 0
    assert planted.living() == []
    planted.wait_until_gone()


def test_what_was_left_when_supervisor_and_worker_were_killed_is_ended_at_the_next_start(
    daemon: DaemonFactory, planted: Tree, home: Home
) -> None:
    # given
    conductord = daemon(workers=1)
    planted.plant("hang")
    planted.wait_until_grown()

    # when
    conductord.kill()
    for worker in named_processes(home, "conductor-work"):
        os.kill(worker, signal.SIGKILL)
    conductord.start()

    # then all is gone but what emptied its environment: without a cgroup that is a stated limit
    assert wait_for_end(home, planted.task).status.value == "SUCCESS"
    assert statuses(home, planted.task) == ["RETRY", "SUCCESS"]
    assert set(said(home, planted.task, attempt=2).split()) <= {"scrubbed"}
    planted.wait_until_gone("scrubbed")


@pytest.mark.parametrize("victims", ["nobody", "worker", "supervisor and worker"])
def test_nothing_hides_from_the_end_of_its_cgroup(
    daemon: DaemonFactory, planted: Tree, home: Home, cgroup: str, victims: str
) -> None:
    # given a daemon that gives each attempt a group
    conductord = daemon(workers=1, cgroup=cgroup)
    planted.plant("hang" if victims != "nobody" else "end")
    if victims != "nobody":
        planted.wait_until_grown()
        assert len(os.listdir(cgroup)) > 0

    # when
    if "supervisor" in victims:
        conductord.kill()
    if "worker" in victims:
        os.kill(named_processes(home, "conductor-work")[0], signal.SIGKILL)
    if "supervisor" in victims:
        conductord.start()

    # then
    assert wait_for_end(home, planted.task).status.value == "SUCCESS"
    planted.wait_until_gone()
    eventually(lambda: not [name for name in os.listdir(cgroup) if os.path.isdir(f"{cgroup}/{name}")])


def test_a_stop_at_once_leaves_nothing(daemon: DaemonFactory, planted: Tree) -> None:
    # given a tree that ignores TERM
    conductord = daemon(workers=1, grace="5m")
    planted.plant("ignore")
    planted.wait_until_grown()

    # when
    assert conductord.stop(signal.SIGINT) == 0

    # then
    assert planted.living() == []
    planted.wait_until_gone()


# -- TERM, grace, KILL


def said_by_itself(home: Home, task: str) -> list[str]:
    """Without what the shell says of its own children that got TERM too."""
    return [line for line in said(home, task).splitlines() if line not in ("Terminated", "Killed")]


def test_a_task_that_ends_within_its_grace_keeps_what_it_said(daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon(workers=1, grace="1m")

    # when
    task = submit(
        home,
        "trap 'echo writing it down; sleep 0.1; echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.02; done",
        timeout_seconds=0.4,
    )

    # then it is a timeout all the same
    line = wait_for_end(home, task)
    assert (line.status.value, line.preview) == ("TIMEOUT", "timeout after 0.4 s: goodbye")
    assert said_by_itself(home, task) == ["hello", "writing it down", "goodbye"]
    assert record_of(home, task)["exit_code"] == 0


def test_a_task_that_ignores_term_is_killed_after_its_grace(daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon(workers=1, grace="300ms")

    # when
    task = submit(home, "trap 'echo never' TERM; trap '' TERM; while :; do sleep 0.02; done", timeout_seconds=0.3)

    # then
    assert wait_for_end(home, task).status.value == "TIMEOUT"
    record = record_of(home, task)
    assert (record["exit_code"], record["signal"]) == (None, signal.SIGKILL)
    assert record["seconds"] >= 0.6
    assert said_by_itself(home, task) == []


def test_a_child_has_the_rest_of_the_grace_when_the_agent_went_at_once(daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon(workers=1, grace="1m")

    # when
    task = submit(
        home,
        "(trap 'sleep 0.2; echo child is done; exit' TERM; echo ready; while :; do sleep 0.02; done) & wait",
        timeout_seconds=0.5,
    )

    # then
    assert wait_for_end(home, task).status.value == "TIMEOUT"
    assert said_by_itself(home, task) == ["ready", "child is done"]


def test_a_stopped_process_hears_term_too(daemon: DaemonFactory, home: Home) -> None:
    # given a task that has put itself to sleep with SIGSTOP
    daemon(workers=1, grace="1m")
    task = submit(home, "trap 'echo woken; exit' TERM; kill -STOP $$; while :; do sleep 0.02; done")
    eventually(lambda: [pid for pid in named_processes(home, "sh") if (stat_fields(pid) or "?")[0] == "T"])

    # when
    assert run_cli(home, "cancel", task).returncode == 0

    # then
    assert statuses(home, task) == ["CANCELLED"]
    assert said_by_itself(home, task) == ["woken"]


def test_what_a_task_leaves_holds_up_neither_its_end_nor_its_log(daemon: DaemonFactory, home: Home) -> None:
    # given a task whose background child keeps its output open and ignores TERM
    daemon(workers=1, grace="5m")

    # when
    task = submit(home, "(trap '' TERM; echo from the child; sleep 600) & sleep 0.1; echo from the agent")

    # then
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert sorted(said(home, task).splitlines()) == ["from the agent", "from the child"]
