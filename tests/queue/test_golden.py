"""A home of format version 1 with a file in every state loads for ever.

tests/golden/home-v1 was written by the code of version 1 and is never made anew while that version is read. A new
format gets a new home beside it, by this file's `make` as it is then:

    python -m tests.queue.test_golden tests/golden/home-v2
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conductor.domain.errors import DuplicateTask
from conductor.domain.lines import parse_result
from conductor.domain.outcome import Outcome, Status, TaskResult
from conductor.domain.task import Claim, TaskSpec, Tries
from conductor.domain.view import Counts, Ended, Queued, Recovered, Running, Waiting, view_id
from conductor.kit.process import owner_lives
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout
from conductor.supervisor.events import EventLog
from conductor.testing.clock import ManualClock
from conductor.testing.contract_base import task, tend_all
from tests.queue.homes import corrupt_files, open_queue, result_lines
from tests.queue.kills import killed_when

GOLDEN = Path(__file__).parent.parent / "golden" / "home-v1"
MADE_AT = 1_800_000_000.0
FAR_MS = 4_102_444_800_000  # in the year 2100
WORKER = "w1-4711-1a2b3c-00000000"  # of a boot that never was
FULL = TaskSpec(
    id="ready-full",
    description="printf 'a|b\\n' | wc -c\nsecond line, é",
    model="opus",
    thinking="high",
    agent="command",
    priority=5,
    timeout_seconds=90.5,
    stall_seconds=30.0,
    retries=2,
    workspace="/srv/project",
    env=(("LANG", "C.UTF-8"), ("EMPTY", "")),
    submitted_ms=1_799_999_999_000,
)
BULK = [f"bulk-{number}" for number in range(10)]
NEVER_RAN = ("ready-full", "ready-gpu", "waiting-far", "batched-1", "batched-2", *BULK)


# -- what is expected of it


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy as it was written: git keeps neither empty folders nor modes."""
    folder = tmp_path / "home"
    shutil.copytree(GOLDEN, folder, symlinks=True)
    for name in ("queue/tmp", *(f"tasks/{task_id}" for task_id in NEVER_RAN)):
        (folder / name).mkdir()
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    return folder


@pytest.fixture
def opened(home: Path) -> tuple[DirectoryQueue, Layout]:
    return open_queue(home, ManualClock(MADE_AT + 86_400))


def test_every_state_is_found_as_it_was_left(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened

    states = {view_id(view): type(view) for view in queue.tasks()}
    assert states == {
        **dict.fromkeys(("claimed-lost", "claimed-recorded", "claimed-cancelled"), Running),
        **dict.fromkeys(("finishing-no-line", "finishing-torn", "finishing-with-line"), Running),
        **dict.fromkeys(("ready-full", "ready-gpu", "given-back", "batched-1", "batched-2", *BULK), Queued),
        **dict.fromkeys(("waiting-far", "waiting-retry"), Waiting),
        **dict.fromkeys(("dead", "cancelled"), Ended),
    }
    assert queue.find("ready-full") == Queued(FULL, Tries())
    assert queue.find("given-back") == Queued(task("given-back", priority=1), Tries(started=1, refunded=1))
    assert queue.find("waiting-far") == Waiting(task("waiting-far", not_before_ms=FAR_MS), Tries(), FAR_MS)
    retry = queue.find("waiting-retry")
    assert isinstance(retry, Waiting)
    assert (retry.tries, retry.due_ms) == (Tries(started=1), int(MADE_AT * 1000) + 1000)
    for name, status in (("ended", Status.SUCCESS), ("dead", Status.TIMEOUT), ("cancelled", Status.CANCELLED)):
        view = queue.find(name)
        assert isinstance(view, Ended)
        assert (view.status, view.can_retry) == (status, name != "ended")
    assert sorted(owned for owned in queue.owned() if owned[0] == "claimed-lost") == [("claimed-lost", 1, WORKER)]
    for name in (*states, "ended"):
        with pytest.raises(DuplicateTask):
            queue.submit(task(name))
    assert queue.paused()
    ((content, reason),) = corrupt_files(layout).items()
    assert Path(layout.corrupt, content).read_text() == "half a line\n"
    assert reason.startswith("line 1: a task line has at least four fields")


def test_recovery_and_housekeeping_bring_it_in_order(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened

    recovered = queue.recover(owner_lives)
    tend_all(queue)

    assert sorted(recovered, key=lambda one: one.task_id) == [
        Recovered("claimed-cancelled", 1, WORKER, Status.CANCELLED, False),
        Recovered("claimed-lost", 1, WORKER, Status.RETRY, False),
        Recovered("claimed-recorded", 1, WORKER, Status.SUCCESS, True),
        Recovered("finishing-no-line", 1, WORKER, Status.SUCCESS, True),
        Recovered("finishing-torn", 1, WORKER, Status.FAILED, True),
        Recovered("finishing-with-line", 1, WORKER, Status.SUCCESS, True),
    ]
    queued = [view.spec for view in queue.tasks() if isinstance(view, Queued)]
    (foreign,) = [spec.id for spec in queued if spec.description == "foreign"]
    ready = [spec.id for spec in queued if spec.pool == "default"]
    assert ready[:4] == ["claimed-lost", "waiting-retry", "ready-full", "given-back"]
    assert [name for name in ready if name in BULK] == BULK
    assert set(ready[4:]) == {*BULK, "batched-1", "batched-2", foreign}
    assert queue.counts() == Counts(ready=len(ready) + 1, waiting=1, dead=4, corrupt=1)
    assert os.listdir(layout.inbox) == os.listdir(layout.claimed) == os.listdir(layout.finishing) == []


def test_each_result_line_is_there_once(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened
    before = Path(layout.home.results).read_bytes()
    whole = before[: before.rindex(b"\n") + 1]

    queue.recover(owner_lives)

    assert len(whole) < len(before)  # its last line was torn
    assert Path(layout.home.results).read_bytes().startswith(whole)
    lines = result_lines(layout)
    assert sorted((line.task_id, line.status.value) for line in lines) == [
        ("cancelled", "CANCELLED"),
        ("claimed-cancelled", "CANCELLED"),
        ("claimed-lost", "RETRY"),
        ("claimed-recorded", "SUCCESS"),
        ("dead", "TIMEOUT"),
        ("ended", "SUCCESS"),
        ("finishing-no-line", "SUCCESS"),
        ("finishing-torn", "FAILED"),
        ("finishing-with-line", "SUCCESS"),
        ("waiting-retry", "RETRY"),
    ]
    assert lines[0] == parse_result(f"ended|{WORKER}|SUCCESS|2027-01-15T08:00:01.500Z|a \\| b\\nc é\n")


def test_what_an_attempt_left_can_be_read(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened

    view = queue.find("ended")

    assert isinstance(view, Ended)
    assert view.record["version"] == 1
    assert (view.record["seconds"], view.record["exit_code"], view.record["peak_memory_bytes"]) == (1.5, 0, 4096)
    attempt = Path(layout.home.attempt("ended", 1))
    names = ("RESULT.txt", "SUMMARY.txt", "TASK.txt", "agent.log", "result.json")
    assert sorted(path.name for path in attempt.iterdir()) == list(names)
    assert (attempt / "TASK.txt").read_text() == "ended|echo ended|||agent=command|priority=9\n"
    assert os.readlink(f"{layout.home.task('ended')}/latest") == "1"


def test_the_events_go_on_where_they_ended(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened
    queue.recover(owner_lives)
    old = Path(layout.home.events).read_text().splitlines()

    log = EventLog(layout.home.events, layout.home.results, ManualClock(MADE_AT + 86_400), str)
    log.follow_results()
    log.close()

    events = [json.loads(line) for line in Path(layout.home.events).read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    finished = [event["task"] for event in events if event["action"] in ("task_finished", "task_retrying")]
    assert sorted(finished) == sorted(line.task_id for line in result_lines(layout))
    assert 0 < len(old) < len(events)


def test_everything_that_was_accepted_can_still_run(opened: tuple[DirectoryQueue, Layout]) -> None:
    queue, layout = opened
    queue.recover(owner_lives)
    for name in ("dead", "cancelled"):
        queue.retry(name)
    queue.resume()
    tend_all(queue)

    ran = set()
    for pool in ("default", "gpu"):
        while claim := queue.claim(pool, WORKER):
            assert not queue.cancel_requested(claim)
            queue.finish(claim, outcome())
            ran.add(claim.spec.id)

    assert {"ready-full", "ready-gpu", "given-back", "claimed-lost", "waiting-retry", "dead", "cancelled"} <= ran
    assert {*BULK, "batched-1", "batched-2"} <= ran
    assert [view_id(view) for view in queue.tasks() if not isinstance(view, Ended)] == ["waiting-far"]
    assert len(result_lines(layout)) == len(ran) + 10


# -- how it was made


def outcome(kind: Outcome = Outcome.SUCCESS, preview: str = "done") -> TaskResult:
    reason = "" if kind is Outcome.SUCCESS else f"it was {kind}"
    return TaskResult(kind, reason, preview, MADE_AT, MADE_AT + 1.5, 0, None, 0.25, 4096, 12)


def make(folder: Path) -> None:
    """Writes the home into `folder`, which must not exist."""
    queue, layout = open_queue(folder, ManualClock(MADE_AT))
    make_ended(queue, layout)
    make_owned(queue, layout)
    make_queued(queue, layout)
    events = EventLog(layout.home.events, layout.home.results, ManualClock(MADE_AT), str)
    events.emit("daemon_started", pid=4711)
    events.follow_results()
    events.close()
    with killed_when(writes_to(layout.home.results)):
        run(queue, "finishing-torn", lambda claim: queue.finish(claim, outcome(Outcome.FAILED)))
    queue.pause()
    shutil.rmtree(layout.tmp)


def make_ended(queue: DirectoryQueue, layout: Layout) -> None:
    run(queue, "ended", lambda claim: queue.finish(claim, outcome(preview="a | b\nc é")))
    for name in ("RESULT.txt", "SUMMARY.txt", "agent.log"):
        Path(layout.home.attempt("ended", 1), name).write_text("a | b\nc é\n")
    run(queue, "dead", lambda claim: queue.finish(claim, outcome(Outcome.TIMEOUT)))
    run(queue, "waiting-retry", lambda claim: queue.finish(claim, outcome(Outcome.FAILED)), retries=1)
    queue.submit(task("cancelled"))
    queue.cancel("cancelled", "cli-4712-1a2b3d-00000000")


def make_owned(queue: DirectoryQueue, layout: Layout) -> None:
    """Each by a worker that was killed at another step of its way. The torn line of the second is cut by the third."""
    with killed_when(lambda deed, path: deed == "rename" and path.startswith(layout.claimed)):
        run(queue, "claimed-recorded", lambda claim: queue.finish(claim, outcome()))
    with killed_when(writes_to(layout.home.results)):
        run(queue, "finishing-no-line", lambda claim: queue.finish(claim, outcome()))
    with killed_when(lambda deed, path: path.startswith(layout.finishing)):
        run(queue, "finishing-with-line", lambda claim: queue.finish(claim, outcome()))
    run(queue, "claimed-cancelled", lambda claim: queue.cancel("claimed-cancelled", "cli-4712-1a2b3d-00000000"))
    run(queue, "claimed-lost", lambda claim: None)


def make_queued(queue: DirectoryQueue, layout: Layout) -> None:
    Path(layout.inbox, "torn.txt").write_text("half a line\n")
    queue.submit_many([task(name) for name in BULK])
    queue.tend("command")  # eight of ten lines lie in ready/ now
    run(queue, "given-back", queue.give_back, priority=1)
    queue.submit(FULL)
    queue.submit(task("ready-gpu", pool="gpu"))
    queue.submit(task("waiting-far", not_before_ms=FAR_MS))
    queue.submit_many([task("batched-1"), task("batched-2")])
    Path(layout.inbox, "foreign.txt").write_text("# dropped by hand\n|foreign|m|t|agent=command\n")


def writes_to(path: str) -> Callable[[str, str], bool]:
    return lambda deed, target: deed == "write" and os.readlink(f"/proc/self/fd/{target}") == path


def run(queue: DirectoryQueue, name: str, end: Callable[[Claim], object], **options: int) -> None:
    """One task, claimed at once and ended by `end`."""
    queue.submit(task(name, **{"priority": 9, **options}))
    claim = queue.claim("default", WORKER)
    assert claim is not None
    assert claim.spec.id == name
    end(claim)


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
