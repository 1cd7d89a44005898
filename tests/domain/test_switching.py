"""Who is next when an agent is passed by."""

from __future__ import annotations

import pytest

from conductor.domain.switching import without
from conductor.domain.task import TaskSpec

SPEC = TaskSpec("t", "x", agent="claude", model="opus", fallback=("codex:gpt-5", "gemini"))


@pytest.mark.parametrize(
    ("passed", "agent", "model", "rest"),
    [
        (set(), "claude", "opus", ("codex:gpt-5", "gemini")),
        ({"claude"}, "codex", "gpt-5", ("gemini",)),
        ({"codex"}, "claude", "opus", ("gemini",)),
        ({"claude", "codex"}, "gemini", "", ()),
        ({"claude", "codex", "gemini"}, "gemini", "", ()),
        ({"a stranger"}, "claude", "opus", ("codex:gpt-5", "gemini")),
    ],
)
def test_the_first_that_was_not_passed_by_is_next_and_the_last_stays(
    passed: set[str], agent: str, model: str, rest: tuple[str, ...]
) -> None:
    found = without(SPEC, passed)

    assert (found.agent, found.model, found.fallback) == (agent, model, rest)
