"""Messages between supervisor, nursery and workers; a garbled one is dropped, never an error."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.wire import Born, Busy, Died, Fork, LineBuffer, Message, Note, NurseryUp, Ready, parse_message
from tests.domain.strategies import IDS

NUMBERS = st.integers(0, 1 << 31)
MESSAGES = st.one_of(
    st.builds(Fork, NUMBERS),
    st.just(NurseryUp()),
    st.builds(Born, NUMBERS, NUMBERS),
    st.builds(Died, NUMBERS, NUMBERS),
    st.builds(Ready, IDS),
    st.builds(Busy, IDS, IDS, NUMBERS, NUMBERS.map(float)),
    st.builds(Note, IDS, NUMBERS, st.just("limit_hit"), st.dictionaries(st.text(), st.text() | NUMBERS, max_size=3)),
)


@given(st.lists(MESSAGES, max_size=10), st.lists(st.integers(0, 400), max_size=10))
def test_messages_arrive_whole_however_the_stream_is_cut(messages: list[Message], cuts: list[int]) -> None:
    stream = b"".join(message.line() for message in messages)
    buffer, heard = LineBuffer(), []
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    for start, end in pairwise(edges):
        heard.extend(parse_message(line) for line in buffer.feed(stream[start:end]))

    assert heard == messages


@pytest.mark.parametrize(
    "line",
    [
        b"", b"up now", b"fork", b"fork one", b"fork 1 2", b"born 1", b"born 1 x", b"died 1", b"ready", b"ready a b",
        b"busy w t 1", b"busy w t x 5", b"busy w t 1 soon", b"dance", b"\xff\xfe", b"UP", b"fork " + b"9" * 5000,
    ],
)  # fmt: skip
def test_a_garbled_message_is_none(line: bytes) -> None:
    assert parse_message(line) is None


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_message_or_none(line: bytes) -> None:
    message = parse_message(line)

    assert message is None or isinstance(message, Message)


def test_half_a_line_waits_for_its_other_half() -> None:
    buffer = LineBuffer()

    assert buffer.feed(b"fork ") == []
    assert buffer.feed(b"1\nup") == [b"fork 1"]
    assert buffer.feed(b"\n") == [b"up"]


def test_no_limit_is_told_as_nought() -> None:
    assert Busy("w1-2-3-0123abcd", "t1", 2, 0.0).line() == b"busy w1-2-3-0123abcd t1 2 0\n"
