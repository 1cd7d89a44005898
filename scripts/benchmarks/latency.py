"""From `submit` to the first instruction of the agent, on a daemon that waits with idle workers."""

from __future__ import annotations

import argparse
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from benchmarks.conductors import Conductord, count_results, new_specs, running
from benchmarks.ground import Ground, until
from benchmarks.report import Figure, NotMeasured, percentile
from conductor.app import open_layout, quick_queue, ring_doorbell

_WARM_UP = 10
_PROCESS_SHARE = 5
_SETTLE_SECONDS = 0.02
_P50_MS, _P99_MS = 15.0, 60.0


class Bell:
    """A FIFO that the task writes one byte to, as the first thing its shell does."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/bell"
        os.mkfifo(self.path, 0o600)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self.command = f"echo > {self.path}"

    def wait(self) -> float:
        """When it rang. Raises NotMeasured when it does not."""
        if not self._poll.poll(30_000):
            raise NotMeasured("a task did not start within 30 s")
        now = time.monotonic()
        os.read(self._descriptor, 16)
        return now

    def empty(self) -> None:
        """Forgets what rang meanwhile."""
        with suppress(BlockingIOError):
            while os.read(self._descriptor, 65536):
                pass


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    home = ground.folder("latency")
    bell = Bell(ground.folder("bell"))
    with running(ground, home, 3) as daemon:
        layout = open_layout(home, {})
        queue = quick_queue(layout)
        accepted: list[float] = []

        def by_library() -> None:
            began = time.monotonic()
            spec = new_specs(1, bell.command, ground.root)[0]
            queue.submit(spec, fresh=True)
            accepted.append((time.monotonic() - began) * 1000)
            ring_doorbell(layout.home, tasks=1, submitted=spec.id)

        def by_command() -> None:
            argv = [f"{ground.bin}/conductor", "submit", "--agent", "command", bell.command]
            ground.start(argv, ground.environment(CONDUCTOR_HOME=home))

        library = _sample(daemon, bell, by_library, options.samples)
        command = _sample(daemon, bell, by_command, max(40, options.samples // _PROCESS_SHARE))
    shell = [_shell_alone(bell) for _ in range(60)]
    p50, p99 = percentile(library, 0.5), percentile(library, 0.99)
    behind = (
        f"of it: accepting the task durably {percentile(accepted[_WARM_UP:], 0.5):.2f} ms (p50)",
        f"for comparison: /bin/sh alone, from its fork to the same byte, {percentile(shell, 0.5):.2f} ms (p50)",
        _spread(library),
    )
    how = (
        f"{len(library)} tasks one at a time on 3 idle workers: the library's submit and doorbell in a warm process, "
        "until the byte that the task's shell writes first (`echo > fifo`) is read; so /bin/sh's own start is in it."
    )
    yield Figure(
        "submit to the agent's first instruction",
        f"p50 ≤ {_P50_MS:.0f} ms, p99 ≤ {_P99_MS:.0f} ms",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        p50 <= _P50_MS and p99 <= _P99_MS,
        behind,
        how,
        {"milliseconds": library, "accepting": accepted[_WARM_UP:], "shell": shell},
    )
    yield Figure(
        "the same from the start of a `conductor submit` process",
        "",
        f"p50 {percentile(command, 0.5):.1f} ms, p99 {percentile(command, 0.99):.1f} ms",
        None,
        (_spread(command),),
        f"{len(command)} processes, from fork to the same byte",
        {"milliseconds": command},
    )


def _sample(daemon: Conductord, bell: Bell, submit: Callable[[], None], count: int) -> list[float]:
    """Milliseconds of `count` submissions, each to an idle daemon."""
    found = []
    done = count_results(daemon.home)
    for _ in range(_WARM_UP + count):
        began = time.monotonic()
        submit()
        found.append((bell.wait() - began) * 1000)
        done += 1
        until(lambda wanted=done: count_results(daemon.home) >= wanted, "a result", every=0.002)  # type: ignore[misc]
        daemon.wait_until_idle()
        time.sleep(_SETTLE_SECONDS)  # what the status question stirred up settles
    return found[_WARM_UP:]


def _shell_alone(bell: Bell) -> float:
    began = time.monotonic()
    with subprocess.Popen(["/bin/sh", "-c", bell.command], stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"}):
        return (bell.wait() - began) * 1000


def _spread(values: list[float]) -> str:
    shares = (("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    return "  ".join(f"{name} {percentile(values, share):.2f}" for name, share in shares) + " ms"
