"""results.txt as a program follows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conductor import Conductor, Status
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, format_result
from conductor.kit.segments import rotate
from conductor.library import result_lines
from conductor.library.result_lines import ResultLines
from tests.conftest import DaemonFactory


def line(number: int) -> ResultLine:
    return ResultLine(f"t{number}", "w1-1-1-00000000", Status.SUCCESS, "2026-01-02T03:04:05.000Z", "fine")


def append(path: Path, *lines: ResultLine) -> None:
    with path.open("a") as file:
        file.write("".join(format_result(one) for one in lines))


def test_results_that_are_there_are_told_oldest_first_and_then_those_that_come(
    daemon: DaemonFactory, home: Home
) -> None:
    daemon()

    with Conductor(home.path) as conductor:
        first = conductor.submit("exit 1", agent="command", retries=1)
        first.wait(timeout=30)
        assert [(one.task_id, one.status) for one in conductor.results()] == [
            (first.id, Status.RETRY),
            (first.id, Status.FAILED),
        ]

        fresh = conductor.results(follow=True, new_only=True, timeout=30)
        second = conductor.submit("true", agent="command")
        assert next(fresh).task_id == second.id
        assert len(list(conductor.results(follow=True, timeout=0.1))) == 3


def test_lines_are_told_once_each_however_often_the_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    path.touch()
    lines = ResultLines(str(path))
    told = []

    for number in range(400):
        append(path, line(number))
        if number % 7 == 0:
            told += lines.take()
        if number % 20 == 9:
            rotate(str(path))
    told += lines.take()

    assert [one.task_id for one in told] == [f"t{number}" for number in range(400)]


def test_a_torn_line_is_told_when_it_is_whole_and_nonsense_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    path.write_text("what is this\n")
    append(path, line(1))
    lines = ResultLines(str(path), 0)
    whole = format_result(line(2))

    with path.open("a") as file:
        file.write(whole[:10])
    assert [one.task_id for one in lines.take()] == ["t1"]
    with path.open("a") as file:
        file.write(whole[10:])
    assert [one.task_id for one in lines.take()] == ["t2"]


def test_a_wait_is_over_when_a_line_has_come(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    path.touch()
    lines = ResultLines(str(path))

    append(path, line(1))
    lines.wait(1e9)

    assert [one.task_id for one in lines.take()] == ["t1"]


def test_where_the_kernel_refuses_to_tell_one_looks_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(24, "too many")

    monkeypatch.setattr(result_lines, "Inotify", refuse)
    path = tmp_path / "results.txt"
    path.touch()
    lines = ResultLines(str(path))

    append(path, line(1))
    lines.wait(1e9)

    assert [one.task_id for one in lines.take()] == ["t1"]


def test_an_iterator_that_nobody_reads_keeps_no_file_open(home: Home) -> None:
    with Conductor(home.path) as conductor:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            conductor.results(follow=True)

    assert len(os.listdir("/proc/self/fd")) == before
