"""What `conductor top` reads, and how little of it: the end of results.txt, the queue's folders, logs, the store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from conductor.app import open_layout
from conductor.app.glancing import open_glance
from conductor.cli import top_hour
from conductor.cli.last_lines import LastLines, log_end, plain_lines
from conductor.cli.top_hour import Hour, HourWatch
from conductor.cli.top_look import Lookout, Paced
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, format_result, format_timestamp
from conductor.domain.outcome import Outcome, Status
from conductor.domain.run import Project, Run, RunStatus, StepState, StepStatus
from conductor.queue.layout import open_home
from conductor.queue.pools import PoolWatch
from conductor.store.sqlite import open_store
from conductor.testing.clock import ManualClock
from tests.cli.front import Shell
from tests.cli.pictures import a_step
from tests.support import submit, write_settings

NOW = 1_800_000_030.0


def a_line(task_id: str, status: Status = Status.SUCCESS, ago: float = 0.0, preview: str = "") -> str:
    return format_result(ResultLine(task_id, "w1-1-1-0000abcd", status, format_timestamp(NOW - ago), preview))


def counts(hour: Hour) -> list[tuple[int, int, int] | None]:
    return [(one.ended, one.failed, one.retried) if one else None for one in hour.minutes]


# -- the hour


def test_results_are_counted_by_minute_as_they_come(tmp_path: Path) -> None:
    path, clock = tmp_path / "results.txt", ManualClock(NOW)
    path.write_text(
        a_line("old", ago=4000) + a_line("a", ago=60) + a_line("b", Status.FAILED) + a_line("c", Status.RETRY)
    )
    watch = HourWatch(str(path), clock)

    assert counts(watch.look())[-3:] == [(0, 0, 0), (1, 0, 0), (1, 1, 1)]

    with path.open("a") as file:
        file.write(a_line("d", Status.TIMEOUT) + a_line("torn")[:9])
    hour = watch.look()
    assert counts(hour)[-1] == (2, 2, 1)
    assert [line.task_id for line in hour.recent] == ["d", "b", "a", "old"], "latest first"
    assert [line.task_id for line in hour.failures] == ["d", "b"]

    clock.now += 120
    assert counts(watch.look())[-4:] == [(1, 0, 0), (2, 2, 1), (0, 0, 0), (0, 0, 0)]
    assert hour.total.ended == 3


def test_the_file_is_read_from_its_end_and_what_was_not_read_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.txt"
    path.write_text("".join(a_line(f"t-{minute}", ago=60 * minute, preview="x" * 60) for minute in range(50, -1, -1)))
    monkeypatch.setattr(top_hour, "_READ_BACK_BYTES", 10 * len(a_line("t-10", preview="x" * 60)) + 5)

    hour = HourWatch(str(path), ManualClock(NOW)).look()

    known = [one for one in counts(hour) if one is not None]
    assert 8 <= len(known) <= 10
    assert set(known) == {(1, 0, 0)}, "a minute that is known in part is not shown"
    assert not hour.is_whole


def test_a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    path.write_text(a_line("a"))
    watch = HourWatch(str(path), ManualClock(NOW))
    watch.look()

    with path.open("a") as file:
        file.write(a_line("b"))
    path.rename(tmp_path / "results.txt.1")
    path.write_text(a_line("c"))

    assert [line.task_id for line in watch.look().recent] == ["c", "b", "a"]
    assert counts(watch.look())[-1] == (3, 0, 0)


def test_no_file_yet_is_an_hour_without_results(tmp_path: Path) -> None:
    watch = HourWatch(str(tmp_path / "results.txt"), ManualClock(NOW))

    assert watch.look().total.ended == 0
    Path(tmp_path, "results.txt").write_text(a_line("a"))
    assert watch.look().total.ended == 1


# -- the queue


def test_pools_tell_how_many_wait_and_the_oldest_for_how_long(home: Home) -> None:
    submit(home, "second", "b", priority=5, submitted_ms=2000)
    submit(home, "third", "c", submitted_ms=1000)
    submit(home, "fourth", "d", submitted_ms=3000)
    submit(home, "other", "e", pool="gpu", submitted_ms=9000)

    watch = PoolWatch(open_home(home), most=2)

    default, gpu = watch.pools()
    assert (default.pool, default.ready, default.oldest_ms) == ("default", 3, 1000)
    assert [spec.id for spec in default.upcoming] == ["b", "c"], "as they will be claimed"
    assert (gpu.ready, gpu.oldest_ms) == (1, 9000)
    assert watch.pools() == [default, gpu]


def test_a_task_that_waits_for_its_time_is_told_apart(shell: Shell) -> None:
    shell.ok("submit", "--agent", "command", "--id", "later", "--delay", "1h", "true")

    watch = PoolWatch(open_home(shell.home), most=5)

    assert watch.pools() == []
    assert [one.spec.id for one in watch.delayed()] == ["later"]


# -- logs


def test_the_last_line_is_what_the_agent_said_last(home: Home) -> None:
    folder = Path(home.attempt("t-a", 1))
    folder.mkdir(parents=True)
    lines = LastLines(home)
    assert lines.of("t-a", 1) == ""

    Path(folder, "agent.log").write_text("one\n\x1b[31mtwo\x1b[0m  \n\n")
    assert lines.of("t-a", 1) == "two  "

    events = [{"event": "text", "text": "hello"}, {"event": "tool_call", "name": "bash", "input": "ls"}, {"event": "?"}]
    Path(folder, "agent.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert lines.of("t-a", 1) == "> bash ls"


def test_a_long_log_is_read_from_its_end(home: Home) -> None:
    folder = Path(home.attempt("t-a", 1))
    folder.mkdir(parents=True)
    Path(folder, "agent.log").write_text("".join(f"line {number}\n" for number in range(100_000)))

    end = log_end(home, "t-a", 1, within=4096)

    assert end.lines[-1] == "line 99999"
    assert len(end.lines) < 500
    assert all(line.startswith("line ") for line in end.lines)


def test_a_link_or_a_pipe_in_the_place_of_a_log_tells_nothing_and_holds_nothing_up(home: Home, tmp_path: Path) -> None:
    folder = Path(home.attempt("t-a", 1))
    folder.mkdir(parents=True)
    (tmp_path / "private").write_text("not theirs\n")
    os.mkfifo(folder / "agent.log.tail-a")
    (folder / "agent.log").symlink_to(tmp_path / "private")

    assert log_end(home, "t-a", 1).lines == ()
    assert LastLines(home).of("t-a", 1) == ""


def test_lines_of_a_log_are_fit_for_a_terminal() -> None:
    assert plain_lines("10 %\r100 %\n\x1b]0;title\x07a\tb\n\x1b[2Jx\x9bq") == ["100 %", "a   b", "x·q"]


# -- the store


def test_runs_are_glanced_at_without_the_library(home: Home) -> None:
    open_home(home)
    assert open_glance(home) is None, "looking makes no store"
    store = open_store(home.path)
    store.add_project(Project("calc", "/w", "main", 1.0))
    run = Run("r-ab23cd45", "calc", "Half \ud800 a calculator", RunStatus.RUNNING, 2.0, started=3.0)
    steps = [
        StepState(run.id, a_step("one"), 0, StepStatus.COMPLETED),
        StepState(run.id, a_step("two"), 1, StepStatus.PENDING),
    ]
    store.add_run(run, steps)
    store.add_run(Run("r-ef67gh89", "calc", "Another", RunStatus.COMPLETED, 1.0))

    glance = open_glance(home)
    assert glance is not None

    assert [one.id for one in glance.runs()] == ["r-ab23cd45", "r-ef67gh89"], "latest first"
    (active,) = glance.runs(["planning", "running"])
    assert (active.project, active.status, active.started) == ("calc", "running", 3.0)
    assert "calculator" in active.title
    assert glance.steps(run.id) == {"completed": 1, "pending": 1}
    assert glance.step_ids(run.id) == [("one", "completed"), ("two", "pending")]
    assert glance.projects() == ["calc"]
    before = glance.version()
    store.add_run(Run("r-jk23lm45", "calc", "Third", RunStatus.RUNNING, 5.0))
    assert glance.version() != before
    glance.close()


def test_a_store_that_settings_put_elsewhere_is_found_there(home: Home, tmp_path: Path) -> None:
    open_home(home)
    open_store(home.path, str(tmp_path / "other.db")).add_project(Project("calc", "/w", "main", 1.0))

    write_settings(home, orchestrator={"store_location": str(tmp_path / "other.db")})
    glance = open_glance(home)
    assert glance is not None
    assert glance.projects() == ["calc"]
    glance.close()

    write_settings(home, orchestrator={"store": "mine"})
    assert open_glance(home) is None


# -- all of it


def test_a_look_without_conductord_tells_of_everything_that_lies_in_the_home(shell: Shell) -> None:
    submit(shell.home, "first", "a", ring=False)
    submit(shell.home, "fails", "b", ring=False)
    submit(shell.home, "runs", "c", ring=False)
    shell.run_next()
    shell.run_next(Outcome.FAILED)
    shell.claim()
    submit(shell.home, "waits, with sk-ant-0123456789abcdefghij0123", "d", ring=False)
    lookout = Lookout(open_layout(shell.home.path, {}))

    look = lookout.look()

    assert "no conductord runs" in look.trouble
    assert look.counts["dead"] == 1
    states = {row.task: row.state for row in look.rows}
    assert states == {"a": "SUCCESS", "b": "FAILED", "c": "busy", "d": "ready"}
    assert [row.task for row in look.failures] == ["b"]
    assert "sk-ant" not in repr(look.rows)
    lookout.close()


def test_what_takes_long_is_asked_seldom() -> None:
    clock, asked = ManualClock(0.0), []

    def ask() -> int:
        asked.append(clock.now)
        clock.now += 0.05 if clock.now < 50 else 0.001
        return len(asked)

    paced = Paced(ask, clock)
    while clock.now < 20:
        paced()
        clock.now += 1.0

    assert len(asked) == 4, "50 ms are asked every five seconds"
    paced.forget()
    assert paced() == 5
