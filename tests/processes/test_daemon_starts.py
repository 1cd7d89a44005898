"""conductord at its front door: who may start, what refuses to, and what its ear puts up with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.domain.worker_id import ProcessIdentity, worker_id
from conductor.kit.process import boot_id, own_identity
from conductor.kit.unixsocket import connect
from tests.conftest import DaemonFactory
from tests.support import Conductord, clean_environment, eventually, run_cli, submit, wait_for_end, write_settings


def run_conductord(home: Home, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """One that is expected to refuse: run to its end."""
    Path(home.path).mkdir(mode=0o700, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "conductor.cli.daemon", *arguments],
        env=clean_environment(home, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_second_daemon_on_the_same_home_refuses_and_names_the_first(daemon: DaemonFactory, home: Home) -> None:
    # given
    first = daemon()

    # when
    second = run_conductord(home)

    # then
    assert second.returncode == 1
    assert second.stderr == f"conductord: conductord already runs on {home.path}, pid {first.pid}\n"
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_a_home_is_free_again_after_its_daemon_was_killed(daemon: DaemonFactory, home: Home) -> None:
    # given
    first = daemon()
    first.kill()

    # when, then
    daemon()
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('{"wrokers": 3}', "wrokers: unknown, did you mean workers?"),
        ('{"workers": "many"}', "workers: "),
        ('{"poll_interval": "soon"}', "poll_interval: "),
        ("[1, 2]", "must hold settings as `name: value`"),
        ("workers: [", "is not YAML"),
    ],
)
def test_bad_settings_end_it_at_once_with_78_and_the_fault(home: Home, settings: str, told: str) -> None:
    # given
    Path(home.path).mkdir(mode=0o700)
    Path(home.settings_file).write_text(settings)

    # when
    ended = run_conductord(home)

    # then
    assert ended.returncode == 78
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not os.path.exists(home.control_socket)


def test_a_home_that_others_may_write_is_refused_with_78(home: Home) -> None:
    # given
    Path(home.path).mkdir()
    os.chmod(home.path, 0o777)

    # when
    ended = run_conductord(home)

    # then
    assert ended.returncode == 78
    assert len(ended.stderr.splitlines()) == 1
    assert "writable by everybody" in ended.stderr


@pytest.mark.parametrize("source", [None, "raise RuntimeError('not today')", "def broken(:"])
def test_a_module_that_cannot_be_preloaded_ends_it_with_78(
    daemon: DaemonFactory, tmp_path: Path, source: str | None
) -> None:
    # given a module that is absent, breaks, or is no Python
    if source is not None:
        (tmp_path / "heavy_library.py").write_text(source + "\n")
    pools = {"big": {"workers": 1, "preload": ["heavy_library"]}}

    # when
    conductord = daemon(launch_only=True, pools=pools, env={"PYTHONPATH": str(tmp_path)})

    # then it ends by itself, after one try, and one line says what is missing
    assert conductord.wait() == 78
    (told,) = conductord.log_lines("nursery_cannot_start")
    assert (told["pool"], told["level"]) == ("big", "error")
    assert "heavy_library" in told["error"] or "not today" in told["error"]
    assert "Traceback" not in conductord.log_text()
    assert [line["pool"] for line in conductord.log_lines("nursery_started")].count("big") == 1


def test_a_home_with_a_path_longer_than_a_socket_address_works(daemon: DaemonFactory, tmp_path: Path) -> None:
    # given a home whose control.sock no address can hold
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True, mode=0o700)
    home = Home(str(deep / "home"))
    assert len(home.control_socket) > 107

    # when
    conductord = daemon(on=home, poll_interval="10m")
    done = run_cli(home, "submit", "--wait", "echo heard")

    # then the doorbell was heard, the socket is private, and status answers
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(os.stat(home.control_socket).st_mode) == 0o600
    assert json.loads(run_cli(home, "status", "--json").stdout)["pid"] == conductord.pid


@pytest.mark.parametrize(
    "garbage",
    [b"\0\xff\xfe\n", b"{}\n", b"[]\n", b'{"verb": "dance"}\n', b'{"verb": "scale"}\n', b"x" * 200_000, b"{"],
    ids=["binary", "no verb", "no object", "unknown verb", "no arguments", "endless line", "half a line"],
)
def test_garbage_on_the_control_socket_does_no_harm(daemon: DaemonFactory, home: Home, garbage: bytes) -> None:
    # given
    conductord = daemon(workers=1)

    # when
    with connect(home.control_socket, 5.0) as client:
        _push(client, garbage)

        # then it goes on, while the client is still there and after
        assert conductord.slots("idle")
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_a_client_whose_line_does_not_end_is_hung_up_on(daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon(workers=1)

    # when, then
    with connect(home.control_socket, 5.0) as client:
        _push(client, b"x" * 200_000)
        assert _has_hung_up(client)


def test_a_client_that_asks_much_and_reads_nothing_stops_nobody(daemon: DaemonFactory, home: Home) -> None:
    # given a client with thousands of questions that does not listen
    conductord = daemon(workers=1)
    with connect(home.control_socket, 5.0) as deaf:
        _push(deaf, b'{"verb": "status"}\n' * 20_000)

        # when others ask, then they are answered before the patience of this test is used up
        assert conductord.slots("idle")
        assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_more_clients_than_it_takes_are_turned_away_and_forgotten(daemon: DaemonFactory, home: Home) -> None:
    # given as many connections as a program with a leak would hold
    conductord = daemon(workers=1)
    crowd = [connect(home.control_socket, 5.0) for _ in range(100)]

    # when they are gone
    for client in crowd:
        client.close()

    # then it answers again
    eventually(lambda: _answers(conductord))


def test_a_log_that_cannot_be_written_stops_nothing(daemon: DaemonFactory, home: Home) -> None:
    # given a daemon whose log is on a full disk
    conductord = daemon(workers=1, log="/dev/full")

    # when much is to be logged
    conductord.send(signal.SIGHUP)
    os.kill(conductord.slots("idle")[0]["pid"], signal.SIGKILL)

    # then it works on, and ends well
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"
    assert conductord.stop(signal.SIGTERM) == 0


def test_what_killed_nurseries_left_on_the_ram_disk_is_swept(daemon: DaemonFactory, tmp_path: Path) -> None:
    # given folders as a nursery makes one before its first fork, of a dead one and of a living process, and a link
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no RAM disk here")
    gone = [worker_id(f"n{number}", ProcessIdentity(4_000_000, os.getpid(), boot_id())) for number in (1, 2)]
    dead, link = (Path(f"/dev/shm/conductor-{owner}") for owner in gone)
    living = Path(f"/dev/shm/conductor-{worker_id('test', own_identity())}")
    precious = tmp_path / "precious"
    for folder in (dead, living, precious):
        (folder / "queue").mkdir(parents=True)
    link.symlink_to(precious)

    # when
    daemon(workers=1)

    # then
    try:
        assert (dead.exists(), living.exists(), (precious / "queue").exists()) == (False, True, True)
    finally:
        link.unlink(missing_ok=True)
        for folder in (dead, living):
            shutil.rmtree(folder, ignore_errors=True)


def test_every_fault_of_the_settings_is_told_at_once(home: Home) -> None:
    # given two faults in one file
    Path(home.path).mkdir(mode=0o700)
    write_settings(home, workers=-1, grace="never")

    # when
    ended = run_conductord(home)

    # then
    assert ended.returncode == 78
    assert "workers: " in ended.stderr
    assert "grace: " in ended.stderr


def _answers(conductord: Conductord) -> bool:
    try:
        return bool(conductord.status())
    except ValueError:
        return False


def _has_hung_up(client: socket.socket) -> bool:
    client.settimeout(5.0)  # half of what a client has to end its sentence
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def _push(client: socket.socket, content: bytes) -> None:
    """As much as it takes: it may hang up in the middle, or stop reading."""
    client.settimeout(0.5)
    try:
        client.sendall(content)
    except OSError:
        pass


def test_keys_are_looked_at_as_it_starts_and_told_by_their_place_alone(daemon: DaemonFactory, tmp_path: Path) -> None:
    # given
    key = "sk-" + "ant-api03-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"
    (tmp_path / "secrets").write_text(f"A_KEY={key}\n")
    (tmp_path / "secrets").chmod(0o644)

    # when
    started = daemon(workers=1, env={"OPENAI_API_KEY": key}, projects={"shop": {"secrets": str(tmp_path / "secrets")}})

    # then
    told = [line["why"] for line in started.log_lines("key_at_fault")]
    assert len(told) == 2
    assert "provider openai: the key at env:OPENAI_API_KEY: it looks like a key of Anthropic" in told[0]
    assert f"secrets of project shop: others can read or write {tmp_path}/secrets" in told[1]
    assert key not in started.log_text()
