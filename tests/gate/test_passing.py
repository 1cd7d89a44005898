"""What passes through a gate, and what does not."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from conductor.domain.agent_setup import ProviderSetup
from conductor.domain.errors import SettingsInvalid
from conductor.domain.usage import Usage
from conductor.gate.server import GateServer
from tests.gate.provider import (
    PATIENCE_SECONDS,
    REAL_KEY,
    STREAM_HEAD,
    Line,
    Message,
    agent_line,
    always,
    answer,
    calls_of,
    chunk,
    gated,
    request,
)

ANSWER = json.dumps({"type": "message", "model": "m-1", "usage": {"input_tokens": 3, "output_tokens": 5}}).encode()


def test_the_real_key_goes_upstream_and_the_token_does_not() -> None:
    seen: list[Message] = []

    def serve(line: Line) -> None:
        seen.append(line.read_message())
        line.send(answer(ANSWER))

    with gated(serve, path="/some/prefix") as (gate, provider), agent_line(gate) as line:
        line.send(
            request(gate, "/v1/messages?beta=true", b"{}", "x-own: 1", "connection: keep-alive, x-hop", "x-hop: 2")
        )
        assert line.read_message().body == ANSWER
        asked = seen[0]
        assert asked.first == "POST /some/prefix/v1/messages?beta=true HTTP/1.1"
        assert asked.headers["x-api-key"] == REAL_KEY
        assert asked.headers["host"] == f"127.0.0.1:{provider.port}"
        assert asked.headers["accept-encoding"] == "identity"
        assert asked.headers["x-own"] == "1"
        assert gate.endpoint.key not in str(asked)
        assert set(asked.headers) == {"host", "accept-encoding", "x-api-key", "x-own", "content-length"}
        assert REAL_KEY not in str(calls_of(gate))


@pytest.mark.parametrize(
    ("form", "shown", "header", "value"),
    [
        ("anthropic", "x-api-key: {}", "x-api-key", REAL_KEY),
        ("anthropic", "Authorization: Bearer {}", "x-api-key", REAL_KEY),
        ("openai", "authorization: bearer {}", "authorization", f"Bearer {REAL_KEY}"),
        ("gemini", "x-goog-api-key: {}", "x-goog-api-key", REAL_KEY),
    ],
)
def test_the_token_is_taken_wherever_a_client_shows_it(form: str, shown: str, header: str, value: str) -> None:
    seen: list[Message] = []

    def serve(line: Line) -> None:
        seen.append(line.read_message())
        line.send(answer(b"{}"))

    with gated(serve, form) as (gate, _), agent_line(gate) as line:
        line.send(f"GET /v1/models HTTP/1.1\r\n{shown.format(gate.endpoint.key)}\r\n\r\n".encode())
        assert line.read_message().status == 200
        keys = {name: text for name, text in seen[0].headers.items() if name.endswith("key") or name == "authorization"}
        assert keys == {header: value}


def test_a_refusal_can_be_read_by_one_who_sends_everything_first() -> None:
    with gated(always(answer(ANSWER))) as (gate, _), agent_line(gate) as line:
        line.send(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 8000000\r\n\r\n" + b"x" * 8_000_000)
        assert line.read_message().status == 403


def test_strangers_are_logged_once_without_what_they_showed() -> None:
    logged: list[tuple[str, dict[str, object]]] = []

    class Log:
        def warning(self, action: str, **facts: object) -> None:
            logged.append((action, facts))

        info = error = warning

    gate = GateServer(ProviderSetup("p", "anthropic", "http://127.0.0.1:1"), REAL_KEY, log=Log())
    gate.start()
    for _ in range(3):
        with agent_line(gate) as line:
            line.send(b"GET /v1/models?key=secret HTTP/1.1\r\n\r\n")
            assert line.read_message().status == 403
    gate.close()
    assert logged == [("gate_refused_stranger", {"path": "/v1/models"})]


def test_a_key_in_geminis_query_is_taken_out_of_it() -> None:
    seen: list[Message] = []

    def serve(line: Line) -> None:
        seen.append(line.read_message())
        line.send(answer(b"{}"))

    with gated(serve, "gemini") as (gate, _), agent_line(gate) as line:
        line.send(f"GET /v1beta/models?a=1&key={gate.endpoint.key}&b HTTP/1.1\r\n\r\n".encode())
        assert line.read_message().status == 200
        assert seen[0].first == "GET /v1beta/models?a=1&b HTTP/1.1"
        assert seen[0].headers["x-goog-api-key"] == REAL_KEY


@pytest.mark.parametrize(
    "shown", ["", "x-api-key: sk-ant-guessed\r\n", "authorization: Bearer \r\n", "x-api-key: é\r\n"]
)
def test_a_stranger_is_refused_and_the_provider_hears_nothing(shown: str) -> None:
    with gated(always(answer(ANSWER))) as (gate, provider), agent_line(gate) as line:
        line.send(f"POST /v1/messages HTTP/1.1\r\n{shown}content-length: 2\r\n\r\n{{}}".encode())
        refusal = line.read_message()
        assert refusal.status == 403
        assert json.loads(refusal.body)["error"]["type"] == "permission_error"
        assert line.ended()
        assert provider.connections == 0
        assert gate.take() == []


def test_events_pass_the_moment_they_come() -> None:
    agent_saw = threading.Event()

    def serve(line: Line) -> None:
        line.read_message()
        line.send(STREAM_HEAD)
        for number in range(5):
            line.send(chunk(b"event: ping\ndata: %d\n\n" % number))
            assert agent_saw.wait(PATIENCE_SECONDS)
            agent_saw.clear()
        line.send(chunk(b'data: {"type":"message_stop"}\n\n') + b"0\r\n\r\n")

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        assert line.read_head().status == 200
        for number in range(5):
            assert line.read_to(b"\n\n\r\n").endswith(b"data: %d\n\n\r\n" % number)
            agent_saw.set()
        assert line.read_to(b"0\r\n\r\n")
        assert calls_of(gate)[0].complete


def test_the_head_of_a_stream_does_not_wait_for_its_first_event() -> None:
    agent_saw = threading.Event()

    def serve(line: Line) -> None:
        line.read_message()
        line.send(STREAM_HEAD)
        assert agent_saw.wait(PATIENCE_SECONDS)
        line.send(b"0\r\n\r\n")

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        assert line.read_head().status == 200
        agent_saw.set()
        line.read_to(b"0\r\n\r\n")


def test_a_stream_passes_byte_for_byte() -> None:
    body = chunk(b"data: {}\n") + b"5;note=1\r\n\xff\x00abc\r\n" + b"0\r\nx-trailer: 1\r\n\r\n"
    with gated(always(STREAM_HEAD + body)) as (gate, _), agent_line(gate) as line:
        line.send(request(gate))
        line.read_head()
        assert line.read_exactly(len(body)) == body


def test_connections_on_both_sides_are_kept() -> None:
    with gated(always(answer(ANSWER))) as (gate, provider):
        for _ in range(2):
            with agent_line(gate) as line:
                for _ in range(3):
                    line.send(request(gate))
                    assert line.read_message().status == 200
        assert provider.connections == 1
        assert len(calls_of(gate, 6)) == 6


def test_a_kept_connection_that_died_is_replaced() -> None:
    def serve(line: Line) -> None:
        line.read_message()
        line.send(answer(ANSWER))
        line.read_to(b"\r\n\r\n")  # the second request comes, and no answer to it

    with gated(serve) as (gate, provider), agent_line(gate) as line:
        for _ in range(3):
            line.send(request(gate))
            assert line.read_message().body == ANSWER
        assert provider.connections == 3
        assert [call.status for call in calls_of(gate, 3)] == [200] * 3


def test_a_chunked_request_passes() -> None:
    seen: list[Message] = []

    def serve(line: Line) -> None:
        seen.append(line.read_message())
        line.send(answer(ANSWER))

    with gated(serve) as (gate, _), agent_line(gate) as line:
        head = f"POST /v1/messages HTTP/1.1\r\nx-api-key: {gate.endpoint.key}\r\ntransfer-encoding: chunked\r\n\r\n"
        line.send(head.encode() + chunk(b'{"model":'))
        line.send(chunk(b'"m-1"}'))
        line.send(b"0\r\n\r\n")
        assert line.read_message().body == ANSWER
        assert seen[0].body == b'{"model":"m-1"}'


def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    seen: list[Message] = []

    def serve(line: Line) -> None:
        seen.append(line.read_message())
        line.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + answer(ANSWER))

    with gated(serve) as (gate, _), agent_line(gate) as line:
        whole = request(gate, "/v1/messages", b'{"model":"m"}', "expect: 100-continue")
        line.send(whole[:-13])
        assert line.read_to(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.send(whole[-13:])
        assert line.read_message().body == ANSWER
        assert "expect" not in seen[0].headers


def test_an_answer_before_the_end_of_the_request_goes_back_at_once() -> None:
    refusal = answer(b'{"error":{"message":"too large"}}', status="413 Too Large")

    def serve(line: Line) -> None:
        line.read_head()
        line.send(refusal)
        while line.read_some():
            pass

    with gated(serve) as (gate, _), agent_line(gate) as line:
        line.send(request(gate, body=b"x" * 100_000)[:50_000])
        got = line.read_message()
        assert (got.status, got.headers["connection"]) == (413, "close")
        assert line.ended()
        call = calls_of(gate)[0]
        assert (call.status, call.error, call.complete) == (413, "too large", True)


def test_a_websocket_is_refused_at_once() -> None:
    with gated(always(answer(ANSWER)), "openai") as (gate, provider), agent_line(gate) as line:
        line.send(
            f"GET /v1/responses HTTP/1.1\r\nauthorization: Bearer {gate.endpoint.key}\r\n"
            "connection: upgrade\r\nupgrade: websocket\r\n\r\n".encode()
        )
        assert line.read_message().status == 426
        assert provider.connections == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: TOKEN\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: TOKEN\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: TOKEN\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-api-key: TOKEN\r\n folded: 1\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with gated(always(answer(ANSWER))) as (gate, provider), agent_line(gate) as line:
        line.send(raw.replace(b"TOKEN", gate.endpoint.key.encode()))
        assert line.read_message().status == 400
        assert provider.connections == 0


def test_a_client_of_http_1_0_gets_a_bare_body() -> None:
    body = chunk(b'{"usage":{"input_tokens":1},') + chunk(b'"model":"m"}') + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    with gated(always(head + body)) as (gate, _), agent_line(gate) as line:
        line.send(f"POST /v1/messages HTTP/1.0\r\nx-api-key: {gate.endpoint.key}\r\n\r\n".encode())
        got = line.read_head()
        assert "transfer-encoding" not in got.headers
        whole = b'{"usage":{"input_tokens":1},"model":"m"}'
        assert line.read_exactly(len(whole)) == whole
        assert line.ended()
        assert calls_of(gate)[0].usage == Usage(input=1)


def test_an_answer_that_ends_with_its_connection_gets_an_end_of_its_own() -> None:
    def serve(line: Line) -> None:
        line.read_message()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER)

    with gated(serve) as (gate, _), agent_line(gate) as line:
        for _ in range(2):
            line.send(request(gate))
            assert line.read_message().body == ANSWER


def test_twenty_connections_are_served_at_once() -> None:
    together = threading.Barrier(20)

    def serve(line: Line) -> None:
        line.read_message()
        together.wait(PATIENCE_SECONDS)
        line.send(answer(ANSWER))

    def ask(gate: GateServer, statuses: list[int]) -> None:
        with agent_line(gate) as line:
            line.send(request(gate))
            statuses.append(line.read_message().status)

    with gated(serve) as (gate, _):
        statuses: list[int] = []
        threads = [threading.Thread(target=ask, args=(gate, statuses)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert statuses == [200] * 20
        assert len(calls_of(gate, 20)) == 20


def test_what_cannot_be_metered_is_refused_without_the_key_leaving() -> None:
    with gated(always(answer(b"{}"))) as (gate, provider):
        for method, path in (("POST", "/v1/messages/batches"), ("POST", "/v1/files"), ("GET", "/v1/messages")):
            with agent_line(gate) as line:
                line.send(request(gate, path, method=method))
                got = line.read_message()
                assert (got.status, json.loads(got.body)["error"]["type"]) == (403, "permission_error")
        assert provider.connections == 0


def test_a_model_call_is_one_however_its_path_is_written() -> None:
    with gated(always(answer(ANSWER))) as (gate, provider):
        with agent_line(gate) as line:
            line.send(request(gate, "/v1/message%73"))
            assert line.read_message().status == 200
        assert calls_of(gate)[0].usage == Usage(input=3, output=5)
        gate.refuse("budget used up")
        for path in ("/v1/message%73", "/v1/messages/"):
            with agent_line(gate) as line:
                line.send(request(gate, path))
                assert line.read_message().status == 403
        assert provider.connections == 1


def test_other_paths_pass_and_are_not_told() -> None:
    with gated(always(answer(b'{"input_tokens":1}'))) as (gate, _), agent_line(gate) as line:
        for method, path in (("POST", "/v1/messages/count_tokens"), ("GET", "/v1/models"), ("GET", "/")):
            line.send(request(gate, path, method=method))
            assert line.read_message().status == 200
        line.send(request(gate, method="HEAD", path="/", body=b""))
        assert line.read_head().status == 200
        assert gate.take() == []


def test_a_connection_made_before_the_start_is_served_after_it() -> None:
    with gated(always(answer(ANSWER))) as (_, provider):
        gate = GateServer(ProviderSetup("p", "anthropic", provider.url), REAL_KEY, environment={})
        with agent_line(gate) as line:
            line.send(request(gate))
            gate.start()
            assert line.read_message().status == 200
        gate.close()


@pytest.mark.parametrize("key", ["sk-ant-1\n", "sk ant", "sk-é"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SettingsInvalid, match="provider p: its key") as caught:
        GateServer(ProviderSetup("p", "openai", "https://example.org"), key)
    assert key not in str(caught.value)


def test_the_port_is_free_after_the_close_and_a_second_close_is_harmless() -> None:
    with gated(always(answer(ANSWER))) as (gate, _):
        port = int(gate.endpoint.url.rpartition(":")[2])
        gate.close()
        gate.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://example.org", "example.org", "https://", "http://127.0.0.1:99999"]
)
def test_a_provider_that_would_get_its_key_in_the_clear_is_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="provider p: base_url"):
        GateServer(ProviderSetup("p", "openai", url), REAL_KEY)
