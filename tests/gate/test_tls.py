"""A provider behind TLS, directly and through a proxy."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conductor.domain.agent_setup import ProviderSetup
from conductor.gate.server import Gates, GateServer
from tests.gate.provider import (
    PATIENCE_SECONDS,
    REAL_KEY,
    STREAM_HEAD,
    Line,
    Message,
    Provider,
    Serve,
    agent_line,
    always,
    answer,
    calls_of,
    chunk,
    request,
)

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
NAME = "api.example.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of NAME and 127.0.0.1 in one file."""
    folder = tmp_path_factory.mktemp("tls")
    file, key = folder / "both.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1", "-keyout", key, "-out", file],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + key.read_bytes())
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@contextmanager
def gate_to(url: str, **environment: str) -> Iterator[GateServer]:
    provider, gates = ProviderSetup("p", "anthropic", url), Gates(environment)
    gates.make_ready(provider)
    gate = gates(provider, REAL_KEY)
    gate.start()
    try:
        yield gate
    finally:
        gate.close()


@contextmanager
def secured(serve: Serve, certificate: Path) -> Iterator[Provider]:
    provider = Provider(serve, server_context(certificate))
    try:
        yield provider
    finally:
        provider.close()
    assert provider.problems == []


def test_a_stream_passes_through_tls_as_it_comes_and_its_connection_is_kept(certificate: Path) -> None:
    agent_saw = threading.Event()

    def serve(line: Line) -> None:
        while True:
            line.read_message()
            line.send(STREAM_HEAD)
            for number in range(3):
                line.send(chunk(b"data: %d\n\n" % number))
                assert agent_saw.wait(PATIENCE_SECONDS)
                agent_saw.clear()
            line.send(chunk(b'data: {"type":"message_stop"}\n\n') + b"0\r\n\r\n")

    with secured(serve, certificate) as provider:
        with gate_to(f"https://127.0.0.1:{provider.port}", SSL_CERT_FILE=str(certificate)) as gate:
            with agent_line(gate) as line:
                for _ in range(2):
                    line.send(request(gate))
                    line.read_head()
                    for number in range(3):
                        assert line.read_to(b"\n\n\r\n").endswith(b"data: %d\n\n\r\n" % number)
                        agent_saw.set()
                    line.read_to(b"0\r\n\r\n")
            assert [call.complete for call in calls_of(gate, 2)] == [True, True]
        assert provider.connections <= 2  # one was made ahead, perhaps too late for the first request


def test_ten_megabytes_pass_through_tls_each_way(certificate: Path) -> None:
    body = b"y" * 10_000_000

    def serve(line: Line) -> None:
        line.send(answer(line.read_message().body))

    with secured(serve, certificate) as provider:
        with gate_to(f"https://127.0.0.1:{provider.port}", SSL_CERT_FILE=str(certificate)) as gate:
            with agent_line(gate) as line:
                line.send(request(gate, body=body))
                assert line.read_message().body == body


def test_a_certificate_that_is_not_trusted_gets_no_key(certificate: Path) -> None:
    asked: list[Message] = []
    with secured(lambda line: asked.append(line.read_message()), certificate) as provider:
        with gate_to(f"https://127.0.0.1:{provider.port}") as gate, agent_line(gate) as line:
            line.send(request(gate))
            assert line.read_message().status == 502
            assert "certificate verify failed" in calls_of(gate)[0].error
    assert asked == []


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    provider, gates = (
        ProviderSetup("p", "anthropic", "https://127.0.0.1:1"),
        Gates({"SSL_CERT_FILE": str(tmp_path / "no")}),
    )
    with pytest.raises(OSError, match=f"certificates in {tmp_path}/no can't be read"):
        gates.make_ready(provider)


def test_tls_that_is_cut_is_no_end(certificate: Path) -> None:
    def serve(line: Line) -> None:
        line.read_message()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}")
        socket.socket.shutdown(line.sock, socket.SHUT_RDWR)  # without TLS's own goodbye

    with secured(serve, certificate) as provider:
        with gate_to(f"https://127.0.0.1:{provider.port}", SSL_CERT_FILE=str(certificate)) as gate:
            with agent_line(gate) as line:
                line.send(request(gate))
                with pytest.raises((ConnectionResetError, EOFError)):
                    line.read_message()
                assert not calls_of(gate)[0].complete


def test_a_proxy_is_asked_to_connect(certificate: Path) -> None:
    asked: list[Message] = []

    with secured(always(answer(b"{}")), certificate) as provider:

        def proxy(line: Line) -> None:
            asked.append(line.read_head())
            with socket.create_connection(("127.0.0.1", provider.port)) as onward:
                line.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(onward, line.sock), daemon=True)
                back.start()
                _copy(line.sock, onward)
                back.join(PATIENCE_SECONDS)

        middle = Provider(proxy)
        environment = {"HTTPS_PROXY": f"http://me:p%40ss@127.0.0.1:{middle.port}", "SSL_CERT_FILE": str(certificate)}
        with gate_to(f"https://{NAME}:8443/v", **environment) as gate, agent_line(gate) as line:
            line.send(request(gate))
            assert line.read_message().status == 200
        middle.close()
    assert asked[0].first == f"CONNECT {NAME}:8443 HTTP/1.1"
    assert asked[0].headers["proxy-authorization"] == "Basic bWU6cEBzcw=="


def test_a_proxy_that_does_not_connect_is_named(certificate: Path) -> None:
    middle = Provider(always(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
    with gate_to(f"https://{NAME}", HTTPS_PROXY=middle.url) as gate, agent_line(gate) as line:
        line.send(request(gate))
        assert line.read_message().status == 502
        assert "HTTP/1.1 407 Proxy Authentication Required" in calls_of(gate)[0].error
    middle.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one of them is gone, and so is the copy
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
