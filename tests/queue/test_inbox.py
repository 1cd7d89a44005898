"""inbox/: anyone may move files in there; each line becomes a task or goes to corrupt/ with a reason."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from conductor.domain.errors import DuplicateTask
from conductor.domain.task import TaskSpec
from conductor.domain.view import Counts
from conductor.testing.contract_base import CALLER, claim_order, result, task
from tests.queue.homes import Inbox, corrupt_files
from tests.support import PATIENCE

LINE = "|echo hello|m|t\n"


# -- lines


def test_a_bare_four_field_line_is_a_whole_task(inbox: Inbox) -> None:
    inbox.drop("|echo a \\| b\\nc|opus|high")

    assert inbox.tend() == []

    (spec,) = inbox.specs()
    assert (spec.description, spec.model, spec.thinking, spec.agent) == ("echo a | b\nc", "opus", "high", "command")
    assert spec.submitted_ms == inbox.clock.now_ms
    assert os.listdir(inbox.layout.inbox) == []


def test_options_and_ids_of_a_line_are_kept(inbox: Inbox) -> None:
    inbox.drop("mine|echo hi|m|t|agent=claude|pool=gpu|priority=3|retries=2|timeout=10m|env=A=b|workspace=/srv\n")

    inbox.tend()

    assert inbox.specs() == [
        TaskSpec(
            "mine", "echo hi", "m", "t", "claude", "gpu", 3, 600.0, None, 2, "/srv", (("A", "b"),),
            submitted_ms=inbox.clock.now_ms,
        )
    ]  # fmt: skip


def test_lines_run_in_their_order(inbox: Inbox) -> None:
    inbox.drop("".join(f"|line {number}|m|t\n" for number in range(300)))

    inbox.tend()

    assert inbox.descriptions() == [f"line {number}" for number in range(300)]


def test_windows_line_ends_blank_lines_and_comments_are_no_matter(inbox: Inbox) -> None:
    inbox.drop("# tasks of the night\r\n\r\n|one|m|t\r\n   \n\t# indented\n|two|m|t|agent=mine\r\n\n|three|m|t")

    assert inbox.tend() == []

    assert inbox.descriptions() == ["one", "two", "three"]
    assert [spec.agent for spec in inbox.specs()] == ["command", "mine", "command"]


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing here\n"])
def test_a_file_without_a_task_is_taken_and_leaves_nothing(inbox: Inbox, content: str) -> None:
    inbox.drop(content)

    assert inbox.tend() == []

    assert (inbox.queue.counts(), os.listdir(inbox.layout.inbox)) == (Counts(), [])


def test_a_line_without_an_agent_where_none_is_configured_goes_to_corrupt(inbox: Inbox) -> None:
    inbox.drop("|please tidy up|m|t\n|echo fine|m|t|agent=command\n")

    reasons = inbox.tend(default_agent="")

    assert inbox.descriptions() == ["echo fine"]
    assert len(reasons) == 1
    assert "no agent" in reasons[0]
    ((content, reason),) = inbox.corrupt().items()
    assert content == "|please tidy up|m|t\n"
    assert reason.startswith("line 1: ")
    assert "agent=command" in reason


def test_lines_that_can_t_be_read_go_to_corrupt_and_the_others_run(inbox: Inbox) -> None:
    bad = {
        b"half a line": "at least four fields",
        b"../up|d|m|t": "task id",
        b"|d|m|t|colour=red": "unknown option",
        b"|d|m|t|retries=many": "retries=many",
        b"|bad \\x escape|m|t": "unknown escape",
        b"|not utf-8 \xff|m|t": "utf-8",
        b"| |m|t": "description is empty",
        b"|d|m|t|workspace=here": "not an absolute path",
    }
    inbox.drop(b"|first|m|t\n" + b"\n".join(bad) + b"\n|last|m|t\n")

    reasons = inbox.tend()

    assert inbox.descriptions() == ["first", "last"]
    assert len(reasons) == len(bad)
    (name,) = corrupt_files(inbox.layout)
    assert Path(inbox.layout.corrupt, name).read_bytes() == b"\n".join(bad) + b"\n"
    told = corrupt_files(inbox.layout)[name].splitlines()
    for number, (words, line) in enumerate(zip(bad.values(), told, strict=True), start=2):
        assert line.startswith(f"line {number}: ")
        assert words in line


def test_taken_ids_go_to_corrupt_with_the_reason(inbox: Inbox) -> None:
    inbox.queue.submit(task("queued"))
    inbox.queue.submit(task("t-20270115-080000-abcdefgh"), fresh=True)
    inbox.queue.submit_many([task("batched")])
    inbox.drop("queued|d|m|t\nt-20270115-080000-abcdefgh|d|m|t\nbatched|d|m|t\ntwin|1|m|t\ntwin|2|m|t\nfree|d|m|t\n")

    reasons = inbox.tend()

    assert [reason.partition(": ")[2] for reason in reasons] == [
        f"task id '{name}' is taken" for name in ("queued", "t-20270115-080000-abcdefgh", "batched", "twin")
    ]
    taken = {spec.id: spec.description for spec in inbox.specs()}
    assert (taken["twin"], taken["free"], len(taken)) == ("1", "d", 5)


def test_an_id_that_ended_is_still_taken(inbox: Inbox) -> None:
    inbox.drop("once|d|m|t\n")
    inbox.tend()
    claim = inbox.queue.claim("default", CALLER)
    assert claim is not None
    inbox.queue.finish(claim, result())
    inbox.drop("once|again|m|t\n")

    assert inbox.tend() == ["line 1: task id 'once' is taken"]


def test_the_same_file_name_dropped_twice_runs_twice(inbox: Inbox) -> None:
    inbox.drop(LINE)
    inbox.tend()
    inbox.drop(LINE)
    inbox.tend()

    assert inbox.descriptions() == ["echo hello", "echo hello"]
    assert len(set(claim_order(inbox.queue))) == 2


# -- files


def test_a_file_still_open_for_writing_is_left_alone_until_it_is_closed(inbox: Inbox) -> None:
    with inbox.path("slow.txt").open("w") as file:
        file.write("|first half|m|t\n|second h")
        file.flush()
        inbox.tend()
        assert inbox.queue.counts() == Counts()
        assert os.listdir(inbox.layout.inbox) == ["slow.txt"]
        file.write("alf|m|t\n")

    inbox.tend()

    assert inbox.descriptions() == ["first half", "second half"]


def test_a_file_opened_just_before_it_is_taken_waits_for_its_writer(inbox: Inbox) -> None:
    inbox.drop("|there already|m|t\n")
    writers = []
    real_rename = os.rename

    def rename(source: str, target: str) -> None:
        if target.endswith(".raw"):
            writers.append(open(source, "a"))  # noqa: SIM115 - it stays open
        real_rename(source, target)

    with patch.object(os, "rename", rename):
        inbox.tend()
    assert inbox.descriptions() == []
    writers[0].write("|appended|m|t\n")
    writers[0].close()

    inbox.tend()

    assert inbox.descriptions() == ["there already", "appended"]


def test_who_opens_a_file_while_it_is_looked_at_does_not_end_the_daemon(inbox: Inbox) -> None:
    """A lease tells whether a file is open for writing; the kernel tells a lease's holder of writers by a signal."""
    inbox.drop(LINE)
    program = f"""
import fcntl, os
from pathlib import Path
from conductor.testing.clock import ManualClock
from tests.queue.homes import open_queue
real = fcntl.fcntl
def fcntl_and_a_writer(descriptor, command, argument=0):
    answer = real(descriptor, command, argument)
    if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
        try:
            os.open({str(inbox.path("tasks.txt"))!r}, os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("the writer waits")
    return answer
queue, _ = open_queue(Path({str(inbox.folder / "home")!r}), ManualClock())
fcntl.fcntl = fcntl_and_a_writer
queue.tend("command")
print("the daemon lives")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert (done.stdout.splitlines()[:1], done.stdout.splitlines()[-1:]) == (["the writer waits"], ["the daemon lives"])


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Who opens a FIFO waits for ever: here not longer than this."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: pytest.fail(f"held for {seconds} s"))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("|not looked at|m|t\n")


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("name", ["a name", "b-1.batch", "b-1@7.batch", "b-1.raw"])
@pytest.mark.parametrize("make", [make_directory, make_fifo, make_link])
def test_what_is_no_regular_file_goes_to_corrupt_and_blocks_nobody(inbox: Inbox, name: str, make: Any) -> None:
    make(inbox.path(name))
    inbox.drop(LINE)
    inbox.queue.submit_many([task("other")])

    with deadline(PATIENCE):
        assert inbox.queue.counts().batched == 1
        assert inbox.queue.find("absent") is None
        with pytest.raises(DuplicateTask):
            inbox.queue.submit(task("other"))
        reasons = inbox.tend()

    assert reasons == [f"inbox/{name} is not a regular file"]
    assert sorted(inbox.descriptions()) == ["echo hello", "echo other"]
    ((refused, reason),) = corrupt_files(inbox.layout).items()
    assert (refused.partition(".")[2], reason) == (name, reasons[0] + "\n")
    assert os.path.lexists(f"{inbox.layout.corrupt}/{refused}")


def test_a_file_that_is_too_large_goes_to_corrupt_unread(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conductor.queue.inbox.LARGEST_FILE", 100)
    inbox.drop(LINE * 100, name="large")
    inbox.drop(LINE, name="small")

    assert inbox.tend() == ["inbox/large is larger than 100 bytes"]

    assert inbox.descriptions() == ["echo hello"]
    assert list(inbox.corrupt()) == [LINE * 100]


def test_a_file_that_conductor_may_not_read_goes_to_corrupt(inbox: Inbox) -> None:
    inbox.drop(LINE, name="closed")
    inbox.path("closed").chmod(0)
    inbox.drop(LINE, name="open")

    with as_an_ordinary_user():
        reasons = inbox.tend()

    assert reasons == ["inbox/closed can't be read by conductor"]
    assert inbox.descriptions() == ["echo hello"]


def as_an_ordinary_user() -> AbstractContextManager[Any]:
    """Root may read everything: then what the file's mode says is asked instead."""
    if os.geteuid() != 0:
        return nullcontext()
    return patch.object(os, "access", lambda path, mode: os.stat(path).st_mode & 0o400)


def test_a_stranger_s_file_without_a_lease_is_taken_when_it_has_been_quiet(inbox: Inbox) -> None:
    """Another user's file, or a file system without leases: only its time tells."""
    inbox.drop(LINE)
    os.utime(inbox.path("tasks.txt"), (inbox.clock.now, inbox.clock.now))

    with patch.object(fcntl, "fcntl", side_effect=PermissionError):
        inbox.tend()
        assert inbox.descriptions() == []
        inbox.clock.advance(5)
        inbox.tend()

    assert inbox.descriptions() == ["echo hello"]


def test_hidden_files_are_left_alone(inbox: Inbox) -> None:
    inbox.drop(LINE, name=".tasks.txt.k3Jd0s")
    inbox.tend()
    assert inbox.descriptions() == []

    inbox.path(".tasks.txt.k3Jd0s").rename(inbox.path("tasks.txt"))
    inbox.tend()

    assert inbox.descriptions() == ["echo hello"]


@pytest.mark.parametrize("name", ["ä" * 127, "x" * 255, "new\nline", b"\xff\xfe".decode("utf-8", "surrogateescape")])
def test_any_file_name_can_be_taken_and_refused(inbox: Inbox, name: str) -> None:
    inbox.drop(LINE, name=name)
    inbox.tend()
    inbox.path(name).mkdir()

    reasons = inbox.tend()

    assert len(reasons) == 1
    assert inbox.descriptions() == ["echo hello"]
    assert len(corrupt_files(inbox.layout)) == 1


def test_of_two_that_are_refused_in_the_same_moment_none_vanishes(inbox: Inbox) -> None:
    for content in ("one", "two", "three"):
        inbox.path("same").mkdir()
        (inbox.path("same") / content).touch()
        inbox.tend()

    found = [os.listdir(Path(inbox.layout.corrupt, name)) for name in corrupt_files(inbox.layout)]
    assert sorted(found) == [["one"], ["three"], ["two"]]


def test_a_dropped_batch_of_ours_is_looked_through_line_by_line(inbox: Inbox) -> None:
    """For instance from a backup, damaged: what is whole runs."""
    inbox.queue.submit_many([task(f"t{number}") for number in range(4)])
    (name,) = os.listdir(inbox.layout.inbox)
    content = inbox.path(name).read_bytes().replace(b"echo t1", b"echo T1").replace(b"echo t3", b"echo \xff")
    inbox.path(name).write_bytes(content + b"torn|li")

    reasons = inbox.tend()

    assert claim_order(inbox.queue) == ["t0", "t2"]
    assert len(reasons) == 3
    assert len(inbox.corrupt()) == 3
