"""The class of a failure, from the status of a model call or from words."""

from __future__ import annotations

import pytest

from conductor.domain.failure import Failure, Remedy, remedy_for, status_failure, words_failure


@pytest.mark.parametrize(
    ("status", "message", "wanted"),
    [
        (None, "", Failure.NETWORK),
        (200, "", Failure.NONE),
        (400, "", Failure.BAD_REQUEST),
        (400, "prompt is too long: 200001 tokens > 200000 maximum", Failure.CONTEXT),
        (401, "", Failure.BAD_KEY),
        (402, "", Failure.BAD_KEY),
        (403, "", Failure.BAD_KEY),
        (404, "", Failure.BAD_MODEL),
        (408, "", Failure.NETWORK),
        (429, "", Failure.LIMIT),
        (500, "", Failure.OVERLOAD),
        (503, "", Failure.OVERLOAD),
        (522, "", Failure.NETWORK),
        (529, "", Failure.OVERLOAD),
    ],
)
def test_a_status_has_its_class(status: int | None, message: str, wanted: Failure) -> None:
    assert status_failure(status, message) is wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("Not logged in - Please run /login", Failure.BAD_KEY),
        ("You've hit your usage limit. Try again at 1:00 AM.", Failure.LIMIT),
        ("Overloaded", Failure.OVERLOAD),
        ("connect ECONNREFUSED 127.0.0.1:9", Failure.NETWORK),
        ("This model's maximum context length is 8192 tokens", Failure.CONTEXT),
        ("the tests did not pass", Failure.NONE),
        ("", Failure.NONE),
    ],
)
def test_words_are_the_last_resort(words: str, wanted: Failure) -> None:
    assert words_failure(words) is wanted


def test_every_class_has_a_group_and_a_remedy() -> None:
    groups = {failure: failure.group for failure in Failure}

    assert groups[Failure.NETWORK] == groups[Failure.LIMIT] == "transient"
    assert groups[Failure.CONTEXT] == groups[Failure.STALLED] == "recoverable"
    assert groups[Failure.BAD_KEY] == groups[Failure.BAD_CONFIG] == "permanent"
    assert (groups[Failure.BUDGET], groups[Failure.DENIED], groups[Failure.EMPTY]) == ("spent", "denied", "empty")
    assert remedy_for(Failure.LIMIT) is Remedy.WAIT
    assert remedy_for(Failure.NETWORK) is remedy_for(Failure.NONE) is Remedy.RETRY
    assert remedy_for(Failure.DENIED) is remedy_for(Failure.BUDGET) is Remedy.STOP
