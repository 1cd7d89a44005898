"""Text from outside stays between its fences, whatever it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.quoting import fenced, head_of, tail_of


@pytest.mark.parametrize(
    ("text", "fence"), [("x", "```"), ("```\nx", "~~~"), ("``` ~~~~", "````"), ("~~~~~ `", "```"), ("``````", "~~~")]
)
def test_the_fence_is_longer_than_any_run_of_its_character(text: str, fence: str) -> None:
    assert fenced(text, "task").splitlines() == [f"{fence}task", *text.splitlines(), fence]


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_what_is_blank_has_no_fence(text: str) -> None:
    assert fenced(text, "task") == ""


@given(st.text(st.sampled_from("`~\n\r \u2028xé\ud800\0"), max_size=80) | st.text(max_size=80))
def test_no_line_of_any_text_can_end_its_fence(text: str) -> None:
    quoted = fenced(text, "task")
    if not quoted:
        return
    opening, *inside, closing = quoted.split("\n")
    assert opening == closing + "task"
    assert closing not in "\n".join(inside)
    assert "\0" not in quoted
    quoted.encode()


@given(st.text(max_size=60), st.integers(1, 80))
def test_what_is_cut_says_how_much_is_left_out(text: str, most: int) -> None:
    for cut in (head_of(text, most), tail_of(text, most)):
        assert cut == text or (len(text) > most and f"{len(text) - most} characters left out" in cut)
    assert head_of(text, most).startswith(text[:most])
    assert tail_of(text, most).endswith(text[-most:])
