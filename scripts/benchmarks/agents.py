"""What conductor costs on top of an agent's turn: a stand-in agent and the simulated model, with it and without."""

from __future__ import annotations

import argparse
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.conductors import Conductord, count_results, running
from benchmarks.ground import Ground, until
from benchmarks.report import Figure, percentile
from conductor.app import open_layout, quick_queue, ring_doorbell
from conductor.domain.task import TaskSpec
from conductor.kit.ids import stamped_id
from conductor.kit.process import descendants_of
from conductor.testing.sim import Sim

_TURNS = 40
_ROUNDS = 3
_STREAMED_MB = 50
_API_SETTINGS = "agents: {{anthropic: {{}}}}\nsimulate: {url}\n"
_STUB = """
import http.client, json, os, sys, time
url = os.environ["STUB_URL"].removeprefix("http://")
prompt = sys.stdin.read()
if "stay" in prompt:
    time.sleep(30)
if "stream" in prompt:
    began, written = time.monotonic(), 0
    while written < MEGABYTES * 1048576:
        line = json.dumps({"event": "thinking", "at": written, "text": "so I think " * 18}) + chr(10)
        written += sys.stdout.write(line)
    sys.stdout.flush()
    open(os.environ["STUB_TOLD"], "w").write(str(time.monotonic() - began))
body = json.dumps({"model": "claude-sonnet-5", "max_tokens": 100, "stream": True,
                   "messages": [{"role": "user", "content": "hello"}]})
connection = http.client.HTTPConnection(url, timeout=30)
headers = {"x-api-key": os.environ["STUB_KEY"], "content-type": "application/json"}
connection.request("POST", "/v1/messages", body, headers)
answer = connection.getresponse().read()
print(json.dumps({"say": f"said {len(answer)} bytes"}))
""".replace("MEGABYTES", str(_STREAMED_MB))


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    with Sim() as model:
        yield from _turns(ground, model)
        yield _stream(ground, model)
        yield _kept(ground, model)
        yield _wire(ground, model, min(options.samples, 100))


def _settings(home: str, model: Sim, told: str) -> list[str]:
    """Writes the stand-in and the settings that make an agent of it; returns how to start it by hand."""
    path = f"{home}/stub.py"
    with open(path, "w", encoding="utf-8") as file:
        file.write(_STUB)
    os.chmod(path, stat.S_IRUSR | stat.S_IXUSR)
    argv = [sys.executable, "-I", "-S", path]
    with open(f"{home}/conductor.yaml", "w", encoding="utf-8") as file:
        file.write(f"""
agent: stub
simulate: {model.url}
agents:
  stub:
    kind: generic
    provider: anthropic
    forms: [anthropic]
    argv: [{", ".join(argv)}]
    output: jsonl
    paths: {{text: say}}
    env: {{STUB_URL: "{{endpoint_url}}", STUB_KEY: "{{endpoint_key}}", STUB_TOLD: "{told}"}}
""")
    return argv


@contextmanager
def _daemon(ground: Ground, name: str, model: Sim, workers: int) -> Iterator[tuple[Conductord, list[str]]]:
    home = ground.folder(name)
    argv = _settings(home, model, f"{home}/told")
    with running(ground, home, workers) as daemon:
        yield daemon, argv


def _submit(daemon: Conductord, count: int, description: str, agent: str = "stub") -> None:
    layout = open_layout(daemon.home.path, {})
    queue, home = quick_queue(layout), daemon.home.path
    batch = stamped_id("b", time.time())
    specs = [TaskSpec(f"{batch}-{n}", description, agent=agent, workspace=home) for n in range(count)]
    queue.submit_many(specs, fresh={spec.id for spec in specs})
    ring_doorbell(layout.home, tasks=count)


def _turns(ground: Ground, model: Sim) -> Iterator[Figure]:
    """Turns one after the other: by hand straight to the model, and as tasks of one worker through its gate."""
    wall: list[float] = []
    cpu: list[float] = []
    with _daemon(ground, "turns", model, 1) as (daemon, argv):
        for round_number in range(_ROUNDS + 1):
            alone, alone_cpu = _by_hand(argv, model, daemon.home.path)
            done, began, used = count_results(daemon.home), time.monotonic(), ground.cpu_seconds()
            _submit(daemon, _TURNS, "say hello")
            until(lambda wanted=done + _TURNS: count_results(daemon.home) >= wanted, "the turns", every=0.01)  # type: ignore[misc]
            with_it, its_cpu = time.monotonic() - began, ground.cpu_seconds() - used
            if round_number:  # the first warms up
                wall.append((with_it - alone) / _TURNS * 1000)
                cpu.append((its_cpu - alone_cpu) / _TURNS * 1000)
    how = f"{_ROUNDS} rounds of {_TURNS} turns by hand, then {_TURNS} tasks on one worker; the difference a turn"
    took = percentile(wall, 0.5), percentile(cpu, 0.5)
    yield Figure(
        "conductor on top of an agent's turn",
        "≤ 15 ms wall, ≤ 20 ms CPU",
        f"{took[0]:.1f} ms wall, {took[1]:.1f} ms CPU",
        took[0] <= 15 and took[1] <= 20,
        (f"rounds: wall {[round(one, 1) for one in wall]} ms, CPU {[round(one, 1) for one in cpu]} ms",),
        how + "; a fresh worker, claim, prompt, gate, judgement and durable record are in it",
    )


def _by_hand(argv: list[str], model: Sim, told: str) -> tuple[float, float]:
    """(wall, CPU) seconds of the turns without conductor."""
    env = {"PATH": "/usr/bin:/bin", "STUB_URL": model.url, "STUB_KEY": "k", "STUB_TOLD": f"{told}/told"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for _ in range(_TURNS):
        subprocess.run(argv, env=env, input=b"say hello", stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, used


def _stream(ground: Ground, model: Sim) -> Figure:
    """An agent that writes as fast as it can: into `cat > /dev/null`, and into its worker."""
    alone: list[float] = []
    inside: list[float] = []
    with _daemon(ground, "stream", model, 1) as (daemon, argv):
        home = daemon.home.path
        command = f"{' '.join(argv)} | cat > /dev/null"
        env = {"PATH": "/usr/bin:/bin", "STUB_URL": model.url, "STUB_KEY": "k", "STUB_TOLD": f"{home}/told"}
        for _ in range(5):
            subprocess.run(["/bin/sh", "-c", command], env=env, input=b"stream", check=True)
            alone.append(_told(home))
            done = count_results(daemon.home)
            _submit(daemon, 1, "stream")
            until(lambda wanted=done + 1: count_results(daemon.home) >= wanted, "the stream", every=0.01)  # type: ignore[misc]
            inside.append(_told(home))
    ratios = sorted(after / before for before, after in zip(alone, inside, strict=True))
    ratio = percentile(ratios, 0.5)
    return Figure(
        f"an agent that streams {_STREAMED_MB} MB at full speed",
        "slowed by ≤ 10 %",
        f"{(ratio - 1) * 100:+.0f} %",
        ratio <= 1.1,
        (f"by hand {percentile(alone, 0.5):.2f} s, as a task {percentile(inside, 0.5):.2f} s",),
        "the agent's own time for writing, into `cat` and into its worker in turn; log and event file are capped",
    )


def _told(home: str) -> float:
    with open(f"{home}/told", encoding="utf-8") as file:
        return float(file.read())


def _kept(ground: Ground, model: Sim) -> Figure:
    """What five workers with an agent each keep to themselves, and what they keep while idle."""
    with _daemon(ground, "kept", model, 5) as (daemon, _):
        idle = [_private_mib(pid) for pid in _workers(daemon)]
        _submit(daemon, 5, "stay")
        until(lambda: len(_busy(daemon)) == 5, "five agents", every=0.05)
        time.sleep(1.0)
        busy = [_private_mib(pid) for pid in _busy(daemon)]
    kept = percentile(busy, 0.5)
    return Figure(
        "kept for each running agent",
        "≤ 3 MiB",
        f"{kept:.1f} MiB",
        kept <= 3.0,
        (f"an idle worker keeps {percentile(idle, 0.5):.1f} MiB",),
        "private memory of a worker whose agent runs, its gate included (smaps_rollup), median of five",
    )


def _workers(daemon: Conductord) -> list[int]:
    return [pid for pid in descendants_of(daemon.pid) if _name(pid) == "conductor-work"]


def _busy(daemon: Conductord) -> list[int]:
    return [pid for pid in _workers(daemon) if descendants_of(pid)]


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def _private_mib(pid: int) -> float:
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in file if line.startswith("Private_")}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) / 1024


def _wire(ground: Ground, model: Sim, samples: int) -> Figure:
    """From submit to the request that the model receives, one task at a time."""
    found = []
    home = ground.folder("wire")
    with open(f"{home}/conductor.yaml", "w", encoding="utf-8") as file:
        file.write(_API_SETTINGS.format(url=model.url))
    with running(ground, home, 1) as daemon:
        for number in range(samples + 5):
            done, asked = count_results(daemon.home), len(model.requests)
            began = time.time()
            _submit(daemon, 1, f"say hello {number}", agent="anthropic")
            until(lambda wanted=done + 1: count_results(daemon.home) >= wanted, "an answer", every=0.005)  # type: ignore[misc]
            found.append((model.requests[asked].at - began) * 1000)
            time.sleep(0.05)
    p50, p99 = percentile(found[5:], 0.5), percentile(found[5:], 0.99)
    return Figure(
        "anthropic agent: submit to request on the wire, warm pool",
        "p50 ≤ 40 ms",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        p50 <= 40,
        (),
        f"{samples} tasks one at a time through the gate, until the simulated model has the request",
        {"milliseconds": found[5:]},
    )
