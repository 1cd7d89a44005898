"""A gate before the simulated model API: every protocol, whole and in pieces, and every fault."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from conductor.domain.agent_events import Call
from conductor.domain.agent_setup import ProviderSetup
from conductor.gate.server import GateServer
from conductor.testing.sim import Sim
from tests.gate.provider import REAL_KEY, agent_line, calls_of, request
from tests.support import eventually

USER = {"role": "user", "content": "hello"}
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "messages": ("anthropic", "/v1/messages", {"model": "m-1", "max_tokens": 99, "messages": [USER]}),
    "responses": ("openai", "/v1/responses", {"model": "m-1", "input": "hello"}),
    "chat": ("openai", "/v1/chat/completions", {"model": "m-1", "messages": [USER]}),
    "generate": ("gemini", "/v1beta/models/m-1:{}", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
}


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    with Sim() as one:
        yield one


@contextmanager
def gate_to(url: str, form: str) -> Iterator[GateServer]:
    gate = GateServer(ProviderSetup("sim", form, url), REAL_KEY, environment={})
    gate.start()
    try:
        yield gate
    finally:
        gate.close()


def ask(gate: GateServer, kind: str, *, stream: bool) -> bytes:
    _, path, body = ASKED[kind]
    path = path.format("streamGenerateContent?alt=sse" if stream else "generateContent")
    more = {"stream": stream} if kind != "generate" else {}
    if kind == "chat" and stream:
        more["stream_options"] = {"include_usage": True}
    return request(gate, path, json.dumps({**body, **more}).encode())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ASKED)
def test_usage_adds_up_with_what_the_provider_counted(sim: Sim, kind: str, stream: bool) -> None:
    with gate_to(sim.url, ASKED[kind][0]) as gate, agent_line(gate) as line:
        for _ in range(2):
            line.send(ask(gate, kind, stream=stream))
            assert line.read_message().status == 200
            [call] = calls_of(gate)
            assert (call.status, call.model, call.complete, call.error) == (200, "m-1", True, "")
            assert call.usage == sim.requests[-1].usage
            assert call.usage is not None
            assert call.usage.total > 0
    assert REAL_KEY in str(sim.requests[-1].headers)
    assert gate.endpoint.key not in str(sim.requests[-1].headers)


def refused(sim: Sim, kind: str, fault: str) -> Call:
    with gate_to(sim.faulty(fault), ASKED[kind][0]) as gate, agent_line(gate) as line:
        line.send(ask(gate, kind, stream=True))
        line.read_message()
        [call] = calls_of(gate)
        return call


@pytest.mark.parametrize("kind", ASKED)
@pytest.mark.parametrize(("fault", "status"), [("401", 401), ("500", 500), ("529", 529), ("nomodel", 404)])
def test_a_refusal_is_told_with_its_words(sim: Sim, kind: str, fault: str, status: int) -> None:
    call = refused(sim, kind, fault)
    assert (call.status, call.model, call.limit, call.complete) == (status, "m-1", None, True)
    assert call.error


@pytest.mark.parametrize("kind", ASKED)
def test_a_limit_is_told_with_its_end(sim: Sim, kind: str) -> None:
    call = refused(sim, kind, "429r70")
    assert call.status == 429
    assert call.limit is not None
    assert call.limit.resets_at == pytest.approx(time.time() + 70, abs=10)
    assert call.limit.said


def test_the_limit_of_a_subscription_is_told_with_its_kind(sim: Sim) -> None:
    call = refused(sim, "messages", "429s3600")
    assert call.limit is not None
    assert call.limit.kind == "five_hour"
    assert call.limit.resets_at == pytest.approx(time.time() + 3600, abs=10)


@pytest.mark.parametrize("kind", ASKED)
def test_a_cut_stream_is_cut_for_the_agent(sim: Sim, kind: str) -> None:
    with gate_to(sim.faulty("cut"), ASKED[kind][0]) as gate, agent_line(gate) as line:
        line.send(ask(gate, kind, stream=True))
        with pytest.raises((EOFError, ConnectionResetError)):
            line.read_message()
        [call] = calls_of(gate)
        assert (call.status, call.complete) == (200, False)


@pytest.mark.parametrize("fault", ["hang", "stall"])
@pytest.mark.parametrize("kind", ASKED)
def test_an_agent_that_gives_up_waiting_ends_the_call(sim: Sim, kind: str, fault: str) -> None:
    departures = sim.departures
    with gate_to(sim.faulty(fault), ASKED[kind][0]) as gate:
        with agent_line(gate) as line:
            line.send(ask(gate, kind, stream=True))
            if fault == "stall":
                line.read_head()
            else:
                eventually(lambda: sim.requests[-1].fault == fault)
        [call] = calls_of(gate)
        assert not call.complete
    eventually(lambda: sim.departures > departures)


@pytest.mark.parametrize("kind", ASKED)
@pytest.mark.parametrize("fault", ["badjson", "wrongtype", "streamerror"])
def test_an_answer_that_is_none_is_no_complete_call(sim: Sim, kind: str, fault: str) -> None:
    call = refused(sim, kind, fault)
    assert (call.status, call.complete) == (200, False)
