"""A worker id names one process for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.task import ID_PATTERN
from conductor.domain.worker_id import ProcessIdentity, parse_worker_id, slot_of, worker_id

IDENTITIES = st.builds(
    ProcessIdentity,
    st.integers(1, 1 << 22),
    st.integers(0, 1 << 62),
    st.integers(0, (1 << 32) - 1).map(lambda bits: f"{bits:08x}"),
)


@given(IDENTITIES, st.integers(1, 1000))
def test_the_process_is_read_back_from_the_name(identity: ProcessIdentity, slot: int) -> None:
    name = worker_id(f"w{slot}", identity)

    assert parse_worker_id(name) == identity
    assert slot_of(name) == slot


@given(IDENTITIES, IDENTITIES)
def test_different_processes_have_different_names(one: ProcessIdentity, other: ProcessIdentity) -> None:
    assert (worker_id("w1", one) == worker_id("w1", other)) == (one == other)


@given(IDENTITIES)
def test_a_name_fits_into_file_names_and_lines(identity: ProcessIdentity) -> None:
    assert ID_PATTERN.fullmatch(worker_id("w1000", identity))


def test_a_command_has_no_slot() -> None:
    name = worker_id("cli", ProcessIdentity(4711, 99, "0123abcd"))

    assert name == "cli-4711-63-0123abcd"
    assert slot_of(name) is None
    assert parse_worker_id(name) == ProcessIdentity(4711, 99, "0123abcd")


@pytest.mark.parametrize(
    "text",
    ["", "w1", "w1-2-3", "w1-2-3-0123abc", "w1-2-3-0123abcde", "w1-x-3-0123abcd", "w1-2-g-0123abcd", "W1-2-3-0123abcd"],
)
def test_what_is_no_worker_id_names_no_process(text: str) -> None:
    assert parse_worker_id(text) is None


@given(st.text())
def test_arbitrary_text_is_a_worker_id_or_none(text: str) -> None:
    identity = parse_worker_id(text)

    assert identity is None or identity.pid >= 0
