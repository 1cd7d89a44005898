"""The ground that everything is measured on: one temporary folder, clean environments, and an end for every process."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.report import NotMeasured
from conductor.kit.process import descendants_of, kill_with_variable, stat_fields

_MARK = "BENCH_TOKEN"
_END_SECONDS = 20.0
_TRIES_FOR_A_FOLDER = 10
_PROBE_FILES, _QUICK_SECONDS = 50, 30e-6
_GET_FLAGS, _SET_FLAGS, _TOP_DIRECTORY = 0x80086601, 0x40086602, 0x00020000  # chattr +T


class Ground:
    """Starts processes and ends them. Whatever carries this run's token is gone when it closes."""

    def __init__(self, parent: str) -> None:
        self.root = tempfile.mkdtemp(prefix="conductor-bench-", dir=parent)
        _spread_subfolders(self.root)
        self.bin = os.path.dirname(sys.executable)
        self._token = secrets.token_hex(16)
        self._running: list[subprocess.Popen[bytes]] = []
        self._numbers = iter(range(1, 1_000_000))

    def folder(self, name: str) -> str:
        """A new empty folder, where it can be on a part of the disk where nobody removed much of late."""
        for _ in range(_TRIES_FOR_A_FOLDER):
            around = f"{self.root}/{next(self._numbers)}-{secrets.token_hex(3)}"
            os.makedirs(f"{around}/probe", 0o700)
            if _makes_files_quickly(f"{around}/probe"):
                break
        os.mkdir(f"{around}/{name}", 0o700)
        return f"{around}/{name}"

    def environment(self, **more: str) -> dict[str, str]:
        """All that a process started here gets to see of the world."""
        return {
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "HOME": self.root,
            "LANG": "C.UTF-8",
            _MARK: self._token,
            **more,
        }

    def start(self, argv: Sequence[str], env: dict[str, str], cwd: str | None = None) -> subprocess.Popen[bytes]:
        """A process in the background, in its own session: Ctrl+C is for us, and we end it."""
        name = os.path.basename(argv[0])
        with open(f"{self.root}/{name}.log", "ab") as log:
            process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd or self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def run(self, argv: Sequence[str], env: dict[str, str], **more: Any) -> bytes:
        """A process to its end; its standard output. Raises NotMeasured when it fails."""
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=self.root,
            stdin=more.get("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = process.communicate(timeout=300)
        if process.returncode != 0:
            raise NotMeasured(
                f"{argv[0]} ended with {process.returncode}: {err.decode(errors='replace').strip()[-500:]}"
            )
        return out

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Asks it to end, waits, and insists."""
        if process in self._running:
            self._running.remove(process)
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cpu_seconds(self) -> float:
        """What everything that was started here and still runs has used, with the ended children of all."""
        running = [process.pid for process in self._running]
        seen = dict.fromkeys([*running, *(pid for one in running for pid in descendants_of(one))])
        ticks = sum(int(tick) for pid in seen for tick in (stat_fields(pid) or [])[11:15])
        own = os.times()
        return ticks / os.sysconf("SC_CLK_TCK") + own.children_user + own.children_system

    def close(self) -> None:
        """Ends everything that is left, and removes the folder."""
        for process in self._running:
            process.terminate()
        for process in list(self._running):
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
        kill_with_variable(_MARK, [self._token], spare=frozenset({os.getpid()}))
        for process in self._running:
            process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def log_tail(self, name: str) -> str:
        with open(f"{self.root}/{name}.log", "rb") as log:
            return log.read()[-800:].decode(errors="replace")


def _spread_subfolders(path: str) -> None:
    """Has ext4 put each new subfolder into a part of the disk of its own, by its name.

    Without a journal it searches past every inode that was freed in the last minutes before it makes a file: what was
    removed near by (an earlier run's thousands of files) would make each of ours ten times as slow.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = bytearray(8)
        fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        wanted = int.from_bytes(flags[:4], sys.byteorder) | _TOP_DIRECTORY
        fcntl.ioctl(descriptor, _SET_FLAGS, wanted.to_bytes(8, sys.byteorder))
    except OSError:
        pass  # another file system: nothing to spread
    finally:
        os.close(descriptor)


def _makes_files_quickly(folder: str) -> bool:
    """By the CPU that it takes, which others' load does not change much."""
    began = time.process_time()
    for number in range(_PROBE_FILES):
        os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY, 0o600))
    return (time.process_time() - began) / _PROBE_FILES < _QUICK_SECONDS


@contextmanager
def ground(parent: str) -> Iterator[Ground]:
    """A ground that is cleared whatever happens, Ctrl+C and SIGTERM included."""

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupted) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    made = Ground(parent)
    try:
        yield made
    finally:
        for number in previous:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl+C must not leave half of it behind
        print("bench: clearing up ...", file=sys.stderr, flush=True)
        made.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


def until(condition: Callable[[], bool], what: str, within: float = 120.0, every: float = 0.005) -> None:
    """Waits for `condition`. Raises NotMeasured when it does not come true."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise NotMeasured(f"waited {within:.0f} s for {what}")
        time.sleep(every)


def need(program: str) -> str:
    """The path of a program. Raises NotMeasured where it is not installed."""
    path = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    if path is None:
        raise NotMeasured(f"{program} is not installed")
    return path
