"""The log of a check: head and tail, masked, whatever is thrown at it."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.masking import MASK, Masker
from conductor.projects.bounded_log import BoundedLog

SECRET = "correct-horse-battery-staple"
LEFT_OUT = re.compile(rb"\n\[conductor: (\d+) bytes left out here\]\n")


def written(path: Path, *chunks: bytes, cap: int = 1 << 20) -> tuple[bytes, str]:
    """(the file, the tail) after these chunks."""
    log = BoundedLog(str(path), cap, Masker([SECRET]))
    for chunk in chunks:
        log.write(chunk)
    log.close()
    return path.read_bytes(), log.tail()


def test_what_fits_is_kept_byte_for_byte(tmp_path: Path) -> None:
    said = bytes(range(256)) * 10 + b"\r\nno line end"

    assert written(tmp_path / "log", said[:100], said[100:])[0] == said


def test_of_what_does_not_fit_head_and_tail_are_kept_and_the_middle_is_counted(tmp_path: Path) -> None:
    lines = [b"line %07d\n" % number for number in range(100_000)]
    whole = b"".join(lines)

    found, tail = written(tmp_path / "log", *(whole[at : at + 4096] for at in range(0, len(whole), 4096)), cap=65536)

    match = LEFT_OUT.search(found)
    assert match is not None
    assert len(found) < 65536 + 100
    assert found.startswith(b"".join(lines[:2000]))
    assert found.endswith(b"".join(lines[-2000:]))
    assert len(found) - len(match[0]) + int(match[1]) == len(whole)
    assert tail.endswith("line 0099999\n")


@pytest.mark.parametrize("cap", [256, 1 << 20])
@given(cuts=st.lists(st.integers(0, 400), max_size=8), before=st.integers(0, 200), line_end=st.booleans())
def test_a_secret_is_masked_wherever_the_output_is_cut(
    tmp_path_factory: pytest.TempPathFactory, cap: int, cuts: list[int], before: int, line_end: bool
) -> None:
    said = b"x" * before + (b"\n" if line_end else b" ") + SECRET.encode() + b" after\n" + b"y" * 120 + b"\n"
    borders = [0, *sorted(min(cut, len(said)) for cut in cuts), len(said)]
    chunks = [said[start:end] for start, end in pairwise(borders)]

    found, tail = written(tmp_path_factory.mktemp("log") / "log", *chunks, cap=cap)

    for piece in (SECRET[:12], SECRET[-12:]):
        assert piece.encode() not in found
        assert piece not in tail
    assert MASK.encode() in found or LEFT_OUT.search(found)


def test_where_the_tail_begins_in_one_long_line_no_secret_is_cut_in_two(tmp_path: Path) -> None:
    said = f"{SECRET} ".encode() * 20_000

    found, _ = written(tmp_path / "log", said[:-7], cap=65536)

    assert LEFT_OUT.search(found)
    assert found.replace(MASK.encode(), b"").replace(b" ", b"").startswith(b"\n[conductor:")
    for end in range(4, 20):
        assert SECRET[-end:].encode() not in found


def test_a_place_that_cannot_be_written_costs_the_file_and_not_the_tail(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()

    log = BoundedLog(str(tmp_path / "log"), 1 << 20, Masker())
    log.write(b"told\n")
    log.close()

    assert log.tail() == "told\n"


def test_what_stood_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("precious")
    os.symlink(tmp_path / "theirs", tmp_path / "log")

    assert written(tmp_path / "log", b"ours\n")[0] == b"ours\n"
    assert (tmp_path / "theirs").read_text() == "precious"
