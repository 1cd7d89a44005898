"""A log in segments: who follows it has every line once, however often it is rotated and wherever that is killed."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conductor.kit import segments
from conductor.kit.segments import (
    Follower,
    begin_of,
    drop_torn_tail,
    end_of,
    lines_backwards,
    older_segments,
    open_to_append,
    prune,
    rotate,
)

ROTATIONS = 10_000
LINES_A_SEGMENT = 3
KEPT = 40


class Killed(BaseException):
    """Nobody catches it, as nobody catches a SIGKILL."""


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "results.txt"
    path.touch()
    return str(path)


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "sync_directory", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def append(log: str, text: str) -> None:
    descriptor = open_to_append(log)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def lines_of(follower: Follower) -> list[str]:
    return "".join(lines.decode() for lines in iter(follower.read, b"")).splitlines()


def write_and_rotate(log: str, followed: Callable[[], int]) -> None:
    """Line by line, a rotation after every third; never so far ahead that a segment is removed unread."""
    numbers = iter(range(ROTATIONS * LINES_A_SEGMENT))
    for _ in range(ROTATIONS):
        for _ in range(LINES_A_SEGMENT):
            append(log, f"line {next(numbers)}\n")
        rotate(log)
        prune(log, KEPT, followed())


def test_a_follower_has_every_line_once_over_ten_thousand_rotations(log: str, no_sync: None) -> None:
    # given
    forks = multiprocessing.get_context("fork")
    position = forks.Value("q", 0)
    writer = forks.Process(target=write_and_rotate, args=(log, lambda: position.value))
    follower, seen = Follower(log), 0

    # when
    writer.start()
    while seen < ROTATIONS * LINES_A_SEGMENT and (writer.is_alive() or follower.position < end_of(log)):
        for line in lines_of(follower):
            assert line == f"line {seen}"  # then: none lost, none doubled, none out of order
            seen += 1
        position.value = follower.position
    writer.join(10.0)

    # then
    assert (seen, writer.exitcode) == (ROTATIONS * LINES_A_SEGMENT, 0)


def test_tail_dash_capital_f_goes_along(log: str) -> None:
    # given
    tail = subprocess.Popen(
        ["tail", "-n", "+1", "-F", "-s", "0.05", log], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert tail.stdout is not None
    try:
        for number in range(3):
            # when
            append(log, f"line {number}\n")
            assert tail.stdout.readline() == b"line %d\n" % number
            rotate(log)
    finally:
        tail.kill()
        tail.wait()
        tail.stdout.close()


def test_a_position_names_the_same_byte_whatever_was_rotated_and_removed(log: str) -> None:
    # given
    append(log, "one\ntwo\n")
    behind_one = 4
    rotate(log)
    append(log, "three\n")
    rotate(log)
    append(log, "four\n")

    # when, then
    assert lines_of(Follower(log, behind_one)) == ["two", "three", "four"]
    assert (begin_of(log), end_of(log)) == (14, 19)
    prune(log, 1, needed_from=end_of(log))
    assert [segment.end for segment in older_segments(log)] == [14]
    assert lines_of(Follower(log, behind_one)) == ["three", "four"]
    assert lines_of(Follower(log, 14)) == ["four"]


def test_a_segment_that_somebody_needs_is_not_removed(log: str) -> None:
    for word in ("one\n", "two\n", "three\n"):
        append(log, word)
        rotate(log)

    prune(log, 1, needed_from=5)

    assert [segment.end for segment in older_segments(log)] == [8, 14]


def test_a_torn_tail_stays_out_of_a_segment_and_an_empty_file_is_not_rotated(log: str) -> None:
    append(log, "whole\nto")
    follower = Follower(log, 0)
    assert lines_of(follower) == ["whole"]

    assert rotate(log)
    assert not rotate(log)
    append(log, "torn no more\n")

    assert lines_of(follower) == ["torn no more"]
    assert Path(older_segments(log)[0].path).read_text() == "whole\n"


def test_a_position_behind_the_end_as_after_a_power_cut_goes_on_at_the_end(log: str) -> None:
    append(log, "one\n")

    follower = Follower(log, 400)
    append(log, "two\n")

    assert lines_of(follower) == ["two"]


@pytest.mark.parametrize("step", ["ftruncate", "fsync", "rename", "open", "sync_directory"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rotation_that_is_killed_anywhere_loses_and_doubles_nothing(
    log: str, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    # given
    follower = Follower(log, 0)
    append(log, "one\ntw")
    whose, real = (segments, segments.sync_directory) if step == "sync_directory" else (os, getattr(os, step))

    def killed(*args: object) -> object:
        if step == "open" and not args[1] & os.O_CREAT:  # type: ignore[operator]
            return real(*args)
        if moment == "after":
            real(*args)
        raise Killed

    # when
    with monkeypatch.context() as patch:
        patch.setattr(whose, step, killed)
        with pytest.raises(Killed):
            rotate(log)
    read = lines_of(follower)
    descriptor = open_to_append(log)  # as every writer does
    drop_torn_tail(descriptor)
    os.close(descriptor)
    append(log, "two\n")
    rotate(log)
    append(log, "three\n")

    # then
    assert [*read, *lines_of(follower)] == ["one", "two", "three"]
    assert lines_of(Follower(log, 0)) == ["one", "two", "three"]


_DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["rotate", "prune", "read", "restart", "lose the file"]), st.just(0)),
    ),
    max_size=40,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(deeds=_DEEDS)
def test_however_reading_writing_and_rotating_follow_each_other_each_line_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, no_sync: None, deeds: list[tuple[str, int]]
) -> None:
    # given
    log = str(tmp_path_factory.mktemp("log") / "results.txt")
    follower, written, read = Follower(log, 0), 0, list[str]()

    # when
    for deed, count in [*deeds, ("read", 0)]:
        match deed:
            case "append":
                for number in range(written, written + count):
                    append(log, f"{number}\n")
                written += count
            case "rotate":
                rotate(log)
            case "lose the file":  # a rotation that was killed between its two steps
                if rotate(log):
                    os.unlink(log)
            case "prune":
                prune(log, 1, follower.position)
            case "restart":
                follower.close()
                follower = Follower(log, follower.position)
            case "read":
                read.extend(lines_of(follower))
    follower.close()

    # then
    assert read == [str(number) for number in range(written)]


@pytest.mark.parametrize(
    "words", [[], [""], ["", ""], ["one"], ["a" * 9], ["a", "", "b" * 30, "", ""], list("abcdefgh")]
)
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_lines_are_read_backwards_over_all_segments(
    log: str, monkeypatch: pytest.MonkeyPatch, words: list[str], cut: int
) -> None:
    monkeypatch.setattr(segments, "_CHUNK", 4)
    for number, word in enumerate(words):
        append(log, f"{word}\n")
        if number == cut:
            rotate(log)
    append(log, "torn")

    assert [line.decode() for line in lines_backwards(log)] == words[::-1]


def test_one_that_begins_to_follow_while_it_is_rotated_knows_where_it_stands(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a rotation between the opening of the file and the look at the names
    append(log, "one\n")
    list_segments, is_first = segments.older_segments, True

    def rotated_first(path: str) -> list[segments.Segment]:
        nonlocal is_first
        if is_first:
            is_first = False
            rotate(path)
        return list_segments(path)

    monkeypatch.setattr(segments, "older_segments", rotated_first)

    # when
    follower = Follower(log)
    append(log, "two\n")

    # then
    assert lines_of(follower) == ["two"]
    assert follower.position == end_of(log) == 8
