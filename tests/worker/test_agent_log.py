"""agent.log: head and tail are kept, the middle is counted; secrets are masked wherever the output is cut."""

from __future__ import annotations

import os
import re
import resource
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductor.domain.masking import MASK, Masker
from conductor.worker.agent_log import AgentLog
from tests.worker.forked import in_child

KEY = b"sk-ant-" + b"api03-" + b"x1Y2z3W4" * 10
HEX = b"9f86d081884c7d659a2feaa0c55ad015"
LEFT_OUT = re.compile(rb"\n\[conductor: (\d+) bytes left out here\]\n")
MASKED = MASK.encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.log"


def written(path: Path, *chunks: bytes, cap: int = 1 << 20, secrets: tuple[str, ...] = ()) -> bytes:
    """agent.log after these chunks."""
    log = AgentLog(str(path), cap, Masker(secrets))
    for chunk in chunks:
        log.write(chunk)
    log.close()
    return path.read_bytes()


def test_what_fits_is_kept_byte_for_byte(path: Path) -> None:
    said = bytes(range(256)) * 10 + b"\r\nno line end"

    assert written(path, said[:100], said[100:101], said[101:]) == said
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["agent.log"]


def test_a_line_can_be_read_as_soon_as_it_has_ended(path: Path) -> None:
    log = AgentLog(str(path), 1 << 20, Masker())

    log.write(b"one\ntw")
    assert path.read_bytes() == b"one\n"
    log.write(b"o\n")
    assert path.read_bytes() == b"one\ntwo\n"
    log.close()


def test_silence_leaves_an_empty_log(path: Path) -> None:
    assert written(path) == b""
    assert written(path, b"", b"") == b""


def test_a_link_where_the_log_should_be_is_not_followed_but_replaced(path: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    path.symlink_to(precious)

    assert written(path, b"said\n") == b"said\n"

    assert not path.is_symlink()
    assert precious.read_text() == "keep me"


@pytest.mark.parametrize("name", ["agent.log", "agent.log.tail-a", "agent.log.tail-b"])
def test_what_is_put_in_the_place_of_the_log_or_its_tail_is_neither_read_nor_written(
    path: Path, tmp_path: Path, name: str
) -> None:
    # given a log that is in all of its files
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    log = AgentLog(str(path), 4096, Masker())
    log.write(b"said\n" * 1000)
    assert sorted(os.listdir(tmp_path)) == ["agent.log", "agent.log.tail-a", "agent.log.tail-b", "secret"]
    kept = path.with_name("kept")
    os.link(path, kept)

    # when one of them is replaced by a link
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(secret)
    log.write(b"more\n" * 1000)
    log.close()

    # then what was said is whole in the log that was begun, and nothing else in it or outside of it
    assert secret.read_text() == "s3cret"
    head, _, tail = LEFT_OUT.split(kept.read_bytes())
    assert b"said\n" * 409 in head
    assert tail.endswith(b"more\nmore\n")
    assert b"s3cret" not in head + tail


def test_no_more_of_a_tail_is_joined_than_was_said(path: Path) -> None:
    log = AgentLog(str(path), 4096, Masker())
    log.write(b"said\n" * 1000)
    with open(f"{path}.tail-a", "ab") as tail:
        tail.truncate(1 << 30)

    log.close()

    assert path.stat().st_size <= 4096 + 60


# -- the cap


@pytest.mark.parametrize("lines", [700, 1500, 10_000, 50_000])
def test_of_too_much_head_and_tail_are_kept_with_a_line_that_says_how_much_is_missing(path: Path, lines: int) -> None:
    cap = 8192
    said = b"".join(b"line %06d\n" % number for number in range(lines))
    assert len(said) > cap

    log = written(path, *(said[start : start + 777] for start in range(0, len(said), 777)), cap=cap)

    parts = LEFT_OUT.split(log)
    if len(parts) == 1:
        assert log == said, "the tail's segments still held everything"
        return
    head, missing, tail = parts
    assert said.startswith(head)
    assert said.endswith(tail)
    assert len(head) + int(missing) + len(tail) == len(said)
    assert len(head) == cap // 2
    assert cap // 4 <= len(tail) <= cap // 2
    assert os.listdir(path.parent) == ["agent.log"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=20), st.integers(4, 4000))
def test_whatever_is_said_the_log_is_bounded_and_nothing_is_missing_uncounted(
    path: Path, chunks: list[bytes], cap: int
) -> None:
    said = b"".join(chunks)

    log = written(path, *chunks, cap=cap)

    parts = LEFT_OUT.split(log)
    missing = int(parts[1]) if len(parts) == 3 else 0
    assert sum(map(len, parts[::2])) + missing == len(said)
    assert len(log) <= cap + 60


def test_the_answer_s_tail_is_at_most_64_kib_and_the_very_end(path: Path) -> None:
    log = AgentLog(str(path), 1 << 20, Masker())
    said = b"".join(b"%07d\n" % number for number in range(60_000))

    for start in range(0, len(said), 10_000):
        log.write(said[start : start + 10_000])

    assert log.tail().encode() == said[-65536:]
    log.close()
    assert log.received_bytes == len(said)


def test_a_tail_that_begins_in_the_middle_of_a_letter_is_still_text(path: Path) -> None:
    log = AgentLog(str(path), 1 << 20, Masker())
    log.write(b"x" + "é".encode() * 50_000 + b"\n")

    assert log.tail().endswith("é\n")
    log.close()


# -- secrets


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(0, 400), max_size=12), st.sampled_from([KEY, b"my own pass phrase", b"Bearer " + HEX]))
def test_a_secret_is_masked_however_the_output_is_cut_into_chunks(path: Path, cuts: list[int], secret: bytes) -> None:
    said = b"before\nhere: <" + secret + b"> and " + secret + b"\nafter"
    edges = [0, *sorted(min(cut, len(said)) for cut in cuts), len(said)]

    log = written(path, *(said[a:b] for a, b in pairwise(edges)), secrets=("my own pass phrase",))

    assert log == Masker(["my own pass phrase"]).mask_bytes(said)
    assert log.count(MASKED) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    st.integers(40_000, 140_000),
    st.sampled_from([b"x", b" ", b"x ", b'",', b"\xe9"]),
    st.sampled_from([1000, 65536, 262_144]),
    st.sampled_from([KEY, b"my own pass phrase", b"Bearer " + HEX, b"api_key=" + HEX, b"://me:" + HEX + b"@h"]),
)
def test_a_secret_in_a_line_that_does_not_end_is_masked_wherever_it_stands(
    path: Path, before: int, filler: bytes, size: int, secret: bytes
) -> None:
    said = (filler * before)[:before] + b" " + secret + b" " + filler * 100_000

    log = written(
        path, *(said[at : at + size] for at in range(0, len(said), size)), cap=10 << 20, secrets=("my own pass phrase",)
    )

    assert log == Masker(["my own pass phrase"]).mask_bytes(said)
    assert log.count(MASKED) == 1


def test_the_tail_and_the_segments_are_masked_too(path: Path) -> None:
    log = AgentLog(str(path), 4096, Masker())
    for _ in range(1000):
        log.write(b"token " + KEY + b"\n")

    assert KEY.decode() not in log.tail()
    log.close()
    assert KEY[:20] not in path.read_bytes()


# -- floods


def test_a_line_of_a_hundred_megabytes_is_taken_in_bounded_memory(path: Path) -> None:
    chunk = b"x" * 262_144

    def flood() -> int:
        log = AgentLog(str(path), 1 << 20, Masker(["hunter2hunter2"]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(400):
            log.write(chunk)
        log.close()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert in_child(flood) < 8192, "KiB"
    head, missing, tail = LEFT_OUT.split(path.read_bytes())
    assert len(head) + int(missing) + len(tail) == 400 * 262_144
    assert path.stat().st_size < (1 << 20) + 100


def test_an_agent_that_removed_its_own_folder_ends_its_log_without_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "attempt"
    folder.mkdir()
    log = AgentLog(str(folder / "agent.log"), 4096, Masker())
    log.write(b"x" * 100_000 + b"\n")

    for name in os.listdir(folder):
        (folder / name).unlink()
    folder.rmdir()

    log.write(b"last words\n")
    log.close()
    assert log.tail().endswith("last words\n")


SECRET_VALUE = "hunter2hunter2"


def test_a_flood_beyond_the_head_keeps_its_end_whole_and_masked_and_tells_what_is_missing(tmp_path: Path) -> None:
    # given a head that is full, and lines with a secret at every place
    log = AgentLog(str(tmp_path / "agent.log"), 40_000, Masker([SECRET_VALUE]))
    log.write(b"h" * 19_999 + b"\n")
    line = b"number %07d and " + SECRET_VALUE.encode() + b" then more\n"
    flood = b"".join(line % number for number in range(100_000))

    # when it comes in large reads, then calms down
    for start in range(0, len(flood), 70_001):
        log.write(flood[start : start + 70_001])
    log.write(b"the end\n")
    log.close()

    # then
    text = (tmp_path / "agent.log").read_text()
    assert SECRET_VALUE not in text
    assert SECRET_VALUE[4:] not in text
    assert "number 0099999 and [masked] then more\nthe end\n" in text
    assert "bytes left out here" in text
    assert len(text) < 61_000
    assert log.received_bytes == 20_000 + len(flood) + 8
