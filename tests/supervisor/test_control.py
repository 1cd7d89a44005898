"""control.sock: whoever stalls, talks nonsense or leaves costs nothing but its own connection."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductor.domain.errors import ConductorError
from conductor.kit.unixsocket import Peer, connect
from conductor.supervisor import control
from conductor.supervisor.control import ControlServer, Entry
from tests.support import eventually


def echo(request: dict[str, Any], peer: Peer) -> dict[str, Any] | None:
    """Stands for the daemon: some verbs answer, the doorbell does not, the rest goes wrong as real verbs do."""
    match request.get("verb"):
        case "ring":
            return None
        case "scale":
            return {"workers": int(request["workers"])}
        case "big":
            return {"page": "x" * 20_000}
        case "refuse":
            raise ConductorError("not now")
        case verb:
            return {"echo": verb}


class Front:
    """A server at work: `turn` is what the daemon's loop does at each of its passes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.server = ControlServer(path, echo)
        self.clients: list[socket.socket] = []

    def client(self) -> socket.socket:
        self.clients.append(connect(self.path, 30))
        return self.clients[-1]

    def turn(self) -> None:
        self.server.accept()
        self.server.serve()
        self.server.drop_the_slow()

    def ask(self, line: bytes) -> dict[str, Any]:
        """What a new client is answered to `line`; it leaves then."""
        with connect(self.path, 30) as client:
            client.sendall(line)
            self.turn()
            answer = answer_of(client)
        self.turn()
        return answer

    def connected(self) -> int:
        return len(self.server.watched())

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.close()


def answer_of(client: socket.socket) -> dict[str, Any]:
    with client.makefile("rb") as answers:
        found: dict[str, Any] = json.loads(answers.readline())
        return found


def is_closed(client: socket.socket) -> bool:
    client.settimeout(30)
    try:
        return client.recv(65536) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(str(tmp_path / "control.sock"))
    yield front
    front.close()


def test_a_request_is_answered_and_the_connection_stays_for_the_next(front: Front) -> None:
    client = front.client()
    for verb in ("one", "two"):
        client.sendall(json.dumps({"verb": verb}).encode() + b"\n")
        front.turn()
        assert answer_of(client) == {"echo": verb}


def test_several_requests_in_one_breath_are_all_answered(front: Front) -> None:
    client = front.client()
    client.sendall(b'{"verb": "one"}\n{"verb": "ring"}\n{"verb": "two"}\n')
    front.turn()

    with client.makefile("rb") as answers:
        assert [json.loads(answers.readline())["echo"] for _ in range(2)] == ["one", "two"]


def test_a_request_may_come_in_pieces(front: Front) -> None:
    client = front.client()
    for piece in (b'{"ve', b'rb": "o', b'ne"}\n'):
        client.sendall(piece)
        front.turn()

    assert answer_of(client) == {"echo": "one"}


def test_only_the_owner_may_connect(front: Front) -> None:
    assert os.stat(front.path).st_mode & 0o777 == 0o600


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()

    front = Front(path)
    try:
        assert front.ask(b'{"verb": "x"}\n') == {"echo": "x"}
    finally:
        front.close()
    assert not os.path.exists(path)


def test_a_path_too_long_for_an_address_is_reached_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)

    front = Front(str(folder / "control.sock"))
    try:
        assert front.ask(b'{"verb": "x"}\n') == {"echo": "x"}
    finally:
        front.close()


# -- nonsense


@pytest.mark.parametrize(
    "line",
    [
        b"", b"hello", b"{", b"[1, 2]", b'"verb"', b"null", b"17", b"\xff\xfe\x00", b'{"verb": "scale"}',
        b'{"verb": "scale", "workers": "many"}', b'{"verb": "scale", "workers": null}',
        b'{"verb": "scale", "workers": Infinity}', b'{"verb": "scale", "workers": NaN}',
        b'{"verb": "scale", "workers": [1]}', b'{"verb": "refuse"}', b"[" * 60_000, b'{"a":' * 10_000,
        b'{"verb": "scale", "workers": "' + b"9" * 5000 + b'"}', b"GET / HTTP/1.1\r",
    ],
    ids=lambda line: repr(line[:40]),
)  # fmt: skip
def test_nonsense_is_answered_with_an_error_and_the_next_client_with_sense(front: Front, line: bytes) -> None:
    assert set(front.ask(line + b"\n")) == {"error"}
    assert front.ask(b'{"verb": "x"}\n') == {"echo": "x"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_arbitrary_bytes_never_stop_the_server(front: Front, pieces: list[bytes]) -> None:
    client = front.client()
    for piece in pieces:
        client.sendall(piece + b"\n")
        front.turn()
    client.close()
    front.turn()

    assert front.ask(b'{"verb": "x"}\n') == {"echo": "x"}


def test_a_request_without_end_is_cut_off(front: Front) -> None:
    client = front.client()
    sender = threading.Thread(target=send_until_refused, args=(client,))
    sender.start()

    def cut_off() -> bool:
        front.turn()
        return not sender.is_alive()

    eventually(cut_off, what="the endless client cut off")
    sender.join()
    assert front.connected() == 0


def send_until_refused(client: socket.socket) -> None:
    try:
        for _ in range(100):
            client.sendall(b"x" * 65536)
    except OSError:
        pass


# -- leaving, stalling, crowding


def test_a_client_that_leaves_in_the_middle_is_forgotten(front: Front) -> None:
    client = front.client()
    client.sendall(b'{"verb": "o')
    front.turn()
    assert front.connected() == 1

    client.close()
    front.turn()

    assert front.connected() == 0


def test_a_client_that_left_before_its_answer_is_forgotten(front: Front) -> None:
    client = front.client()
    client.sendall(b'{"verb": "big"}\n' * 50)
    client.close()

    front.turn()
    front.turn()

    assert front.connected() == 0


def test_a_client_that_does_not_take_its_answers_is_dropped_after_one_wait(front: Front) -> None:
    deaf = front.client()
    deaf.sendall(b'{"verb": "big"}\n' * 3000)

    front.turn()

    assert front.connected() == 0
    assert front.ask(b'{"verb": "x"}\n') == {"echo": "x"}


def test_a_client_that_never_finishes_its_sentence_is_dropped_in_time(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = front.client()
    slow.sendall(b'{"verb"')
    front.turn()
    assert front.connected() == 1
    later = control.time.monotonic() + 11.0

    monkeypatch.setattr(control.time, "monotonic", lambda: later)
    front.turn()

    assert front.connected() == 0
    assert is_closed(slow)


def test_of_too_many_clients_the_last_are_turned_away_and_the_others_served(front: Front) -> None:
    crowd = [front.client() for _ in range(64)]
    front.turn()
    assert front.connected() == 64

    one_more = front.client()
    front.turn()

    assert is_closed(one_more)
    crowd[0].sendall(b'{"verb": "x"}\n')
    front.turn()
    assert answer_of(crowd[0]) == {"echo": "x"}
    crowd[1].close()
    front.turn()
    assert front.ask(b'{"verb": "y"}\n') == {"echo": "y"}


def test_no_descriptor_is_left_of_those_who_came_and_went(front: Front) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        front.ask(b'{"verb": "x"}\n')

    assert len(os.listdir("/proc/self/fd")) == before


# -- who comes in


def test_the_kernel_tells_who_is_there(tmp_path: Path) -> None:
    told: list[Peer] = []
    server = ControlServer(str(tmp_path / "s.sock"), lambda request, peer: told.append(peer))  # type: ignore[func-returns-value]
    with connect(str(tmp_path / "s.sock"), 30) as client:
        client.sendall(b"{}\n")
        server.accept()
        server.serve()
    server.close()

    (peer,) = told
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.groups == {os.getegid(), *os.getgroups()}


def test_who_may_not_come_in_is_not_heard(tmp_path: Path) -> None:
    heard: list[object] = []
    entry = Entry(admits=lambda peer: False)
    server = ControlServer(str(tmp_path / "s.sock"), lambda request, peer: heard.append(request), entry)  # type: ignore[func-returns-value]
    client = connect(str(tmp_path / "s.sock"), 30)
    client.sendall(b'{"verb": "stop"}\n')
    server.accept()
    server.serve()

    assert is_closed(client)
    assert heard == []
    client.close()
    server.close()


def test_one_user_can_not_take_every_place(tmp_path: Path) -> None:
    server = ControlServer(str(tmp_path / "s.sock"), echo, Entry(control.is_ours, most_clients=9, most_of_one_user=2))
    clients = [connect(str(tmp_path / "s.sock"), 30) for _ in range(3)]
    server.accept()

    assert len(server.watched()) == 2
    assert is_closed(clients[2])
    for client in clients:
        client.close()
    server.close()


def test_the_daemon_s_own_socket_hears_its_user_and_root_alone() -> None:
    ours = os.geteuid()

    assert control.is_ours(Peer(1, ours, frozenset({5})))
    assert control.is_ours(Peer(1, 0, frozenset()))
    assert not control.is_ours(Peer(1, ours + 1, frozenset({os.getegid()})))
