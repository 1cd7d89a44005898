"""The simulation as a whole: determinism, records, its command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.errors import ConductorError, UsageError
from conductor.testing.sim import Sim
from tests.sim.asking import BODIES, PATHS, ask, messages

KEY = "sk-ant-api03-0123456789abcdefghij"
ODD_KEY = "a-key-whose-shape-nobody-knows"
ELSEWHERE = "127.0.0.2"
"""Another address of this machine: what listens on all of them answers there too."""


def test_the_same_seed_gives_the_same_ids_and_words_in_the_same_order() -> None:
    def told(seed: int) -> list[bytes]:
        with Sim(seed=seed) as sim:
            asked = [(form, BODIES[form](prompt)) for form in sorted(PATHS) for prompt in ("hello", "hello", "bye")]
            return [without_time(ask(sim.url + PATHS[form], body).raw) for form, body in asked]

    first = told(7)
    assert first == told(7)
    assert first != told(8)
    assert len(set(first)) == len(first)


def without_time(raw: bytes) -> bytes:
    found = json.loads(raw)
    return json.dumps({name: value for name, value in found.items() if not name.startswith("created")}).encode()


def test_requests_are_remembered_with_what_they_asked_and_cost(sim: Sim) -> None:
    ask(sim.faulty("slow0") + PATHS["anthropic"] + "?beta=true", messages("hi"), {"X-Api-Key": KEY})
    record = sim.requests[0]
    assert (record.form, record.path, record.fault, record.status) == ("anthropic", "/v1/messages", "slow0", 200)
    assert record.model == "claude-x"
    assert record.headers["x-api-key"] == KEY
    assert record.body["messages"][0]["content"] == "hi"
    assert record.usage.input > 10
    assert record.usage.output > 5


def test_the_usage_of_an_answer_is_the_usage_that_is_recorded(sim: Sim) -> None:
    for form in PATHS:
        ask(sim.url + PATHS[form], BODIES[form]("x" * 4000))
    assert all(1000 < record.usage.input < 1060 for record in sim.requests)


def test_what_is_written_down_has_no_key_in_it(tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    with Sim(record=file) as sim:
        secrets = {
            "x-api-key": KEY,
            "x-goog-api-key": ODD_KEY,
            "authorization": "Bearer odd.token.0123",
            "cookie": "short",
        }
        ask(sim.url + PATHS["anthropic"], messages(f"my key is {ODD_KEY} and {KEY}"), secrets)
    line = json.loads(file.read_text())
    assert line["form"] == "anthropic"
    assert line["headers"]["cookie"] == "[masked]"
    assert line["body"]["messages"][0]["content"] == "my key is [masked] and [masked]"
    for secret in (KEY, ODD_KEY, "odd.token.0123"):
        assert secret not in file.read_text()


def test_a_taken_port_is_told(sim: Sim) -> None:
    port = int(sim.url.rpartition(":")[2])
    with pytest.raises(ConductorError, match=f"can't listen on 127.0.0.1:{port}"):
        Sim(port)
    with pytest.raises(UsageError, match="no fault 'nonsense'"):
        sim.faulty("nonsense")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = ["--port", "0", "--fault", "429n1", "--record", str(tmp_path / "asked.jsonl")]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "conductor", "sim", *arguments], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_how_to_use_it_and_ends_when_told(
    command: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    assert command.stdout is not None
    greeting = command.stdout.readline()
    assert "SIMULATED" in greeting
    url = next(word.rstrip(".") for word in greeting.split() if word.startswith("http"))
    assert f"CONDUCTOR_SIMULATE={url}" in "".join(command.stdout.readline() for _ in range(4))
    assert [ask(url + PATHS["anthropic"], messages("hi")).status for _ in range(2)] == [429, 200]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ELSEWHERE, int(url.rpartition(":")[2])), timeout=5)
    os.kill(command.pid, number)
    assert command.wait(10) == 0
    assert len((tmp_path / "asked.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("arguments", [["--fault", "nonsense"], ["--port", "99999"], ["--script", "/nowhere.yaml"]])
def test_wrong_arguments_are_usage_errors(arguments: list[str]) -> None:
    command = [sys.executable, "-P", "-m", "conductor", "sim", "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
