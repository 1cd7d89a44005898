from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.agents.loop.exchange import ModelRefused
from conductor.agents.loop.limits_told import limit_told
from conductor.agents.loop.persistence import Again, Compact, GiveUp, Troubles, remedy
from conductor.agents.loop.voice import EventLines, Voice
from conductor.domain.agent_events import (
    AgentEvent,
    Call,
    End,
    Error,
    Limit,
    LimitHit,
    Started,
    Text,
    ToolCall,
    ToolResult,
    UsageTold,
    event_fields,
    event_from_fields,
)
from conductor.domain.failure import Failure
from conductor.domain.usage import Usage

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("refused", "troubles", "deed"),
    [
        (ModelRefused(Failure.CUT, ""), Troubles(0), Again()),
        (ModelRefused(Failure.CUT, ""), Troubles(0, cuts=2), GiveUp()),
        (ModelRefused(Failure.CONTEXT, ""), Troubles(3), Compact()),
        (ModelRefused(Failure.CONTEXT, ""), Troubles(3, compacted=True), GiveUp()),
        (ModelRefused(Failure.LIMIT, "", wait_seconds=5), Troubles(0), GiveUp()),
        (ModelRefused(Failure.LIMIT, "", wait_seconds=5), Troubles(1), Again(5)),
        (ModelRefused(Failure.LIMIT, "", wait_seconds=3600), Troubles(1), GiveUp()),
        (ModelRefused(Failure.OVERLOAD, ""), Troubles(1), Again(2.0)),
        (ModelRefused(Failure.OVERLOAD, ""), Troubles(1, waits=2), Again(32.0)),
        (ModelRefused(Failure.NETWORK, ""), Troubles(1, waits=3), GiveUp()),
        (ModelRefused(Failure.BAD_KEY, ""), Troubles(9), GiveUp()),
    ],
)
def test_what_is_done_about_a_refusal(refused: ModelRefused, troubles: Troubles, deed: object) -> None:
    assert remedy(refused, troubles)[0] == deed


@pytest.mark.parametrize(
    ("headers", "resets_at", "kind"),
    [
        ({}, None, ""),
        ({"retry-after": "30"}, NOW + 30, ""),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 60, UTC), usegmt=True)}, NOW + 60, ""),
        ({"retry-after": "soon"}, None, ""),
        ({"retry-after": "nan"}, None, ""),
        (
            {
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": "1790003600",
                "anthropic-ratelimit-unified-representative-claim": "five_hour",
                "retry-after": "5",
            },
            NOW + 3600,
            "five_hour",
        ),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-09-21T14:14:20Z",
                "anthropic-ratelimit-requests-remaining": "9",
                "anthropic-ratelimit-requests-reset": "2027-01-01T00:00:00Z",
            },
            NOW + 60,
            "tokens",
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0.5s"}, NOW + 360.5, "requests"),
    ],
)
def test_a_limit_is_read_from_headers(headers: dict[str, str], resets_at: float | None, kind: str) -> None:
    assert limit_told(headers, "no", NOW) == Limit(resets_at, kind, "no")


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]), st.text()
    )
)
def test_whatever_the_headers_are_a_limit_comes_of_it(headers: dict[str, str]) -> None:
    assert limit_told(headers, "no", NOW).said == "no"


EVENTS: list[AgentEvent] = [
    Started("s", "m"),
    Text(""),
    Text("whole", final=True),
    ToolCall("1", "read", "{}"),
    ToolResult("1", ok=False, text="no", denied=True),
    UsageTold(Usage(1, 2, 3, 4, 5), "m"),
    UsageTold(Usage()),
    LimitHit(Limit(NOW, "five_hour", "no")),
    LimitHit(Limit(), rejected=False),
    Error("bad", Failure.BAD_KEY, 401, final=True),
    End(False, "r", Failure.CUT, 3),
    End(True),
    Call("/v1", 200, usage=Usage(1)),
    Call("/v1", None, limit=Limit(NOW)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_what_was_told_of_an_event_is_read_back_as_it_was(event: AgentEvent) -> None:
    assert event_from_fields(json.loads(json.dumps(event_fields(event)))) == event


def test_what_a_voice_says_is_heard_and_other_lines_are_no_events() -> None:
    # given
    reading, writing = os.pipe()
    voice = Voice(writing, lambda: 0.0)
    # when
    os.write(writing, b"a warning of a library\n")
    voice.say("some ")
    voice.say("words")
    voice.say(" more")
    voice.tell(End(True))
    os.write(writing, b'{"event": "unheard of"}\n')
    os.close(writing)
    heard = EventLines().feed(os.read(reading, 65536))
    os.close(reading)
    # then
    assert list(heard[:3]) == [Text("some "), Text("words more"), End(True)]
    assert [event.kind for event in heard[3:]] == ["error"]


def test_a_line_that_a_signal_cut_in_half_spoils_only_itself() -> None:
    reading, writing = os.pipe()
    voice = Voice(writing, lambda: 0.0)
    os.write(writing, b'{"event": "text", "te')
    voice.interrupt()
    voice.tell(End(False, "stopped"))
    os.close(writing)
    heard = EventLines().feed(os.read(reading, 65536))
    os.close(reading)
    assert list(heard) == [End(False, "stopped")]
