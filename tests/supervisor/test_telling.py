"""What may be told, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.supervisor.telling import told_events

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_actions_and_facts_are_told_apart() -> None:
    events = [{"action": "step_merged", "run": "r-1", "facts": {"a": [1]}}, {"action": "x"}]

    assert told_events({"events": events}) == [("step_merged", {"run": "r-1", "facts": {"a": [1]}}), ("x", {})]


@pytest.mark.parametrize(
    "events",
    [
        None,
        {},
        "x",
        [7],
        [{}],
        [{"action": ""}],
        [{"action": "Step"}],
        [{"action": "a\n"}],
        [{"action": "a" * 65}],
        [{"action": ["a"]}],
        [{"action": "a", "seq": 1}],
        [{"action": "a", "time": "x"}],
        [{"action": "a", "results": 0}],
        [{"action": "a", "self": 0}],
        [{"action": "a", "": 0}],
        [{"action": "a", "b c": 0}],
        [{"action": "a", "b" * 65: 0}],
        [{"action": "a", "text": "x" * 8192}],
        [{"action": "a"}] * 1001,
    ],
    ids=lambda events: str(events)[:40],
)
def test_what_is_no_event_is_refused(events: object) -> None:
    with pytest.raises(ValueError, match=r"event|action|fact"):
        told_events({"events": events})


@given(JSON)
def test_whatever_comes_is_told_well_or_refused(events: Any) -> None:
    def emit(action: str, **facts: object) -> None:
        assert not facts.keys() & {"seq", "time", "results"}

    try:
        told = told_events({"events": events})
    except ValueError:
        return
    for action, facts in told:
        emit(action, **facts)
