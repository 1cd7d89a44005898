"""What goes wrong on demand."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, IncompleteRead
from threading import Thread
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conductor.domain.errors import UsageError
from conductor.testing.sim import Sim
from conductor.testing.sim.faults import WELL, Fault, read_fault
from tests.sim.asking import BODIES, PATHS, ask, messages

TITLE = messages("hello", system="Generate a short title for this conversation", model="claude-x")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("ok", WELL),
        ("401", Fault("401")),
        ("429r7", Fault("429", retry_after=7)),
        ("429s3600", Fault("429", resets_in=3600)),
        ("429n2r1~two", Fault("429", first=2, retry_after=1)),
        ("slow5", Fault("slow", spread_seconds=5.0)),
        ("hangn1", Fault("hang", first=1)),
    ],
)
def test_names_of_faults_are_read(name: str, fault: Fault) -> None:
    assert read_fault(name) == fault


@given(st.text(max_size=12))
def test_a_name_is_a_fault_or_a_usage_error(name: str) -> None:
    with suppress(UsageError):
        assert read_fault(name).kind


@pytest.mark.parametrize("form", PATHS)
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 529])
def test_every_status_is_refused_in_the_words_of_every_form(sim: Sim, form: str, status: int) -> None:
    got = ask(sim.faulty(str(status)) + PATHS[form], BODIES[form]("hi"))
    assert got.status == status
    assert got.json["error"]["message"]
    assert (sim.requests[-1].fault, sim.requests[-1].status) == (str(status), status)


def test_only_the_first_calls_go_wrong_and_each_name_has_a_counter(sim: Sim) -> None:
    def statuses(name: str) -> list[int]:
        return [ask(sim.faulty(name) + PATHS["chat"], BODIES["chat"]("hi")).status for _ in range(4)]

    assert statuses("429n2r1") == [429, 429, 200, 200]
    assert statuses("429n2r1~again") == [429, 429, 200, 200]
    assert statuses("429n2r1") == [200, 200, 200, 200]


def test_a_clis_own_side_call_uses_up_no_counted_fault(sim: Sim) -> None:
    url = sim.faulty("529n1") + PATHS["anthropic"]
    assert [ask(url, body).status for body in (TITLE, messages("hi"), messages("hi"))] == [200, 529, 200]


def test_a_fault_can_stand_for_every_address(sim: Sim) -> None:
    sim.fault = "529"
    assert ask(sim.url + PATHS["chat"], BODIES["chat"]("hi")).status == 529
    assert ask(sim.url + "/sim/fault/ok", {}).json == {"fault": "ok"}
    assert ask(sim.url + PATHS["chat"], BODIES["chat"]("hi")).status == 200
    assert ask(sim.url + "/sim/fault/nonsense", {}).status == 404


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_answer_ends_in_the_middle(sim: Sim, stream: bool) -> None:
    body = messages("[[say one two three]]", stream=stream)
    with pytest.raises(IncompleteRead) as caught:
        ask(sim.faulty("cut") + PATHS["anthropic"], body)
    assert caught.value.partial


def test_broken_json_and_a_wrong_type_are_what_they_say(sim: Sim) -> None:
    whole = ask(sim.faulty("badjson") + PATHS["chat"], BODIES["chat"]("hi"))
    stream = ask(sim.faulty("badjson") + PATHS["chat"], BODIES["chat"]("hi", stream=True))
    for broken in (lambda: whole.json, lambda: stream.events):
        with pytest.raises(json.JSONDecodeError):
            broken()
    wrong = ask(sim.faulty("wrongtype") + PATHS["chat"], BODIES["chat"]("hi"))
    assert (wrong.status, wrong.headers["content-type"].split(";")[0]) == (200, "text/html")


def test_a_hanging_call_sends_nothing_and_is_recorded_at_once(sim: Sim) -> None:
    with pytest.raises(TimeoutError):
        ask(sim.faulty("hang") + PATHS["chat"], BODIES["chat"]("hi"), timeout=0.2)
    assert [(record.fault, record.status) for record in sim.requests] == [("hang", 0)]
    until(lambda: sim.departures == 1)


def test_a_stalled_stream_begins_and_stops(sim: Sim) -> None:
    connection = HTTPConnection("127.0.0.1", int(sim.url.rpartition(":")[2]), timeout=0.3)
    body = json.dumps(messages("[[say one two three]]", stream=True))
    connection.request("POST", "/fault/stall/v1/messages", body)
    answer = connection.getresponse()
    seen: list[bytes] = []
    with pytest.raises(TimeoutError):
        seen.extend(iter(answer.readline, b""))
    told = b"".join(seen)
    assert b"one" in told
    assert b"two" not in told
    answer.close()
    connection.close()


def test_a_slow_answer_comes_word_by_word(sim: Sim) -> None:
    connection = HTTPConnection("127.0.0.1", int(sim.url.rpartition(":")[2]), timeout=10)
    connection.request(
        "POST", "/fault/slow1/v1/chat/completions", json.dumps(BODIES["chat"]("[[say a b]]", stream=True))
    )
    answer = connection.getresponse()
    began = time.monotonic()
    assert b'"content": ""' in answer.readline()  # the head comes before any word
    text = answer.read()
    assert time.monotonic() - began >= 0.9
    assert b"[DONE]" in text
    answer.close()
    connection.close()


def test_closing_ends_what_hangs(sim: Sim) -> None:
    errors: list[Exception] = []

    def hang() -> None:
        try:
            ask(sim.faulty("hang") + PATHS["chat"], BODIES["chat"]("hi"))
        except OSError as error:
            errors.append(error)
        except Exception as error:  # http.client's own
            errors.append(error)

    thread = Thread(target=hang)
    thread.start()
    until(lambda: len(sim.requests) == 1)
    sim._server.close_all()
    thread.join(5)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_closing_ends_connections_that_are_kept_open() -> None:
    with Sim() as sim:
        kept = HTTPConnection("127.0.0.1", int(sim.url.rpartition(":")[2]), timeout=2)
        kept.request("GET", "/v1/models")
        kept.getresponse().read()
    assert kept.sock is not None
    assert kept.sock.recv(1) == b""
    kept.close()


def test_a_client_that_leaves_in_mid_answer_is_counted(sim: Sim) -> None:
    with socket.create_connection(("127.0.0.1", int(sim.url.rpartition(":")[2]))) as one:
        body = json.dumps(BODIES["chat"]("[[think 30]]")).encode()
        one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        until(lambda: len(sim.requests) == 1)
    until(lambda: sim.departures == 1)


def test_a_warning_comes_with_a_good_answer(sim: Sim) -> None:
    told = ask(sim.faulty("warns600") + PATHS["anthropic"], messages("hi"))
    assert (told.status, told.headers["anthropic-ratelimit-unified-status"]) == (200, "allowed_warning")
    assert int(told.headers["anthropic-ratelimit-unified-5h-reset"]) == int(sim.requests[0].at) + 600
    told = ask(sim.faulty("warn") + PATHS["responses"], BODIES["responses"]("hi", stream=True))
    assert (told.status, told.headers["x-codex-primary-used-percent"]) == (200, "90")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "input", "contents", "content", "role", "tools", "parts", "type", "text", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
ODD_TOOL = {"name": "bash", "input_schema": {"properties": {"command": 1}}}
FIELDS = (
    *("model", "messages", "input", "contents", "tools", "system", "thinking", "max_tokens", "stream", "text"),
    *("output_config", "response_format", "generationConfig", "reasoning", "stream_options", "systemInstruction"),
)


@pytest.fixture(scope="module")
def shared() -> Any:
    with Sim() as one:
        yield one


@given(form=st.sampled_from(sorted(PATHS)), body=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5))
@example(form="chat", body=BODIES["chat"]("[[run ls]]", tools=[{"function": {"name": "bash", "parameters": "x"}}]))
@example(form="anthropic", body=messages("[[run ls]]", tools=[ODD_TOOL]))
@example(form="gemini", body={"contents": "text", "generationConfig": []})
def test_any_json_gets_an_answer_or_a_refusal(shared: Sim, form: str, body: dict[str, Any]) -> None:
    assert ask(shared.url + PATHS[form], body).status in (200, 400)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b'"text"'])
def test_what_is_no_json_object_is_refused(sim: Sim, raw: bytes) -> None:
    assert ask(sim.url + PATHS["chat"], raw).status in (200 if raw == b"" else 400, 400)


def test_an_unknown_path_and_an_unknown_fault_are_not_found(sim: Sim) -> None:
    assert ask(sim.url + "/v1/nothing", {}).status == 404
    assert ask(sim.url + "/fault/nonsense/v1/messages", messages("hi")).status == 404
    assert ask(sim.url + "/healthz").status == 200
