"""What conductord tells systemd."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.kit.process import stat_fields
from tests.conftest import DaemonFactory
from tests.support import Conductord, Gate, eventually, said, submit, wait_for_end, write_settings

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

Message = dict[str, str]


class FakeSystemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.heard: list[Message] = []

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, **more}

    def listen(self) -> list[Message]:
        """Every message that has come so far."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self.heard
            self.heard.append(dict(line.split("=", 1) for line in text.split("\n")))

    def having(self, name: str) -> list[Message]:
        return [message for message in self.listen() if name in message]

    def is_silent_for(self, seconds: float) -> bool:
        return not select.select([self._socket], [], [], seconds)[0]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[FakeSystemd]:
    fake = FakeSystemd(tmp_path)
    yield fake
    fake.close()


def test_ready_is_sent_when_it_answers_and_stopping_when_it_ends(
    daemon: DaemonFactory, systemd: FakeSystemd, home: Home
) -> None:
    # given a daemon that is started by systemd
    conductord = daemon(launch_only=True, workers=2, env=systemd.environment())

    # when READY comes
    (ready,) = eventually(lambda: systemd.having("READY"))

    # then it answers, and says who it is and what it does
    assert conductord.status()["pid"] == conductord.pid
    assert (ready["READY"], ready["MAINPID"]) == ("1", str(conductord.pid))
    assert ready["STATUS"] == f"2 workers on {home.path}"

    # and at its end
    assert conductord.stop(signal.SIGTERM) == 0
    assert [message["STATUS"] for message in systemd.having("STOPPING")] == ["stopping"]
    assert len(systemd.having("READY")) == 1


def test_the_watchdog_is_fed_in_time_and_only_by_the_loop(daemon: DaemonFactory, systemd: FakeSystemd) -> None:
    # given a watchdog of 300 ms, for this daemon or for whoever the main process is
    conductord = daemon(poll_interval="10m", env=systemd.environment(WATCHDOG_USEC="300000"))

    # when the loop runs, then it pings again and again though nothing else happens
    eventually(lambda: len(systemd.having("WATCHDOG")) >= 5)

    # and when the loop stands still, nobody pings in its name
    conductord.send(signal.SIGSTOP)
    eventually(lambda: (stat_fields(conductord.pid) or "?")[0] == "T")
    before = len(systemd.having("WATCHDOG"))
    assert systemd.is_silent_for(seconds=0.5)
    conductord.send(signal.SIGCONT)
    eventually(lambda: len(systemd.having("WATCHDOG")) > before)


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(daemon: DaemonFactory, systemd: FakeSystemd) -> None:
    # given
    daemon(env=systemd.environment(WATCHDOG_USEC="1000", WATCHDOG_PID="1"))

    # when it has had time for hundreds of pings, then there was none
    eventually(lambda: systemd.having("READY"))
    assert systemd.having("WATCHDOG") == []


@pytest.mark.parametrize("good", [True, False], ids=["valid", "invalid"])
def test_a_reload_is_announced_and_its_end_too(
    daemon: DaemonFactory, systemd: FakeSystemd, home: Home, good: bool
) -> None:
    # given
    conductord = daemon(workers=1, env=systemd.environment())
    eventually(lambda: systemd.having("READY"))
    before_usec = time.monotonic_ns() // 1000
    write_settings(home, workers=2 if good else "none at all")

    # when
    conductord.send(signal.SIGHUP)
    eventually(lambda: len(systemd.having("READY")) == 2)

    # then RELOADING came first, with the time that systemd compares its own signal with
    told = [message for message in systemd.heard if "STATUS" not in message or "READY" in message]
    assert [next(iter(message)) for message in told] == ["READY", "RELOADING", "READY"]
    reloading = told[1]
    assert reloading["RELOADING"] == "1"
    assert before_usec <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000


def test_neither_nursery_nor_task_inherits_systemd_s_variables(
    daemon: DaemonFactory, systemd: FakeSystemd, home: Home
) -> None:
    # given all that systemd may set
    given = dict.fromkeys(VARIABLES, "1")
    conductord: Conductord = daemon(env={**given, **systemd.environment(WATCHDOG_USEC="1000000")})

    # when
    task = submit(home, "env; cat /proc/$PPID/environ | tr '\\0' '\\n'")
    wait_for_end(home, task)

    # then neither the agent nor its worker has one of them
    seen = {line.partition("=")[0] for line in said(home, task).splitlines()}
    assert "CONDUCTOR_TASK_ID" in seen
    assert seen.isdisjoint(VARIABLES)
    for nursery in conductord.nurseries():
        inherited = Path(f"/proc/{nursery}/environ").read_bytes().split(b"\0")
        assert {entry.partition(b"=")[0].decode() for entry in inherited}.isdisjoint(VARIABLES)


def test_a_task_cannot_speak_in_the_daemon_s_name(daemon: DaemonFactory, systemd: FakeSystemd, home: Home) -> None:
    # given
    daemon(env=systemd.environment())
    eventually(lambda: systemd.having("READY"))

    # when
    wait_for_end(home, submit(home, "systemd-notify --ready --status=mine || echo not allowed"))

    # then
    heard = [message.get("STATUS", "") for message in systemd.listen()]
    assert f"3 workers on {home.path}" in heard
    assert "mine" not in heard


def test_a_notify_socket_that_is_gone_stops_nothing(
    daemon: DaemonFactory, systemd: FakeSystemd, home: Home, tmp_path: Path
) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(env=systemd.environment(WATCHDOG_USEC="100000"))
    task = submit(home, gate.command)
    gate.wait_for()

    # when systemd was restarted and listens elsewhere
    systemd.close()
    os.unlink(systemd.address)
    conductord.send(signal.SIGHUP)
    gate.open()

    # then
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert conductord.stop(signal.SIGTERM) == 0
