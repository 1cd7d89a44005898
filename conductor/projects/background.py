"""Programs that work beside the caller, so that making and removing big trees holds up nobody."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress


class Background:
    """Children that are waited for when somebody looks. Each is in a group of its own, to be ended with all of it."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.failed: list[str] = []
        """What those worked on that ended badly."""

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """`name`: what it works on; nothing is started while another works on the same."""
        if not self.runs(name):
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )

    def runs(self, name: str) -> bool:
        self._reap()
        return name in self._running

    @property
    def running(self) -> frozenset[str]:
        self._reap()
        return frozenset(self._running)

    def wait(self, name: str, seconds: float) -> bool:
        """Whether it is over, after that time at most."""
        child = self._running.get(name)
        if child is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, seconds))
        return not self.runs(name)

    def stop(self, name: str) -> None:
        child = self._running.pop(name, None)
        if child is not None and child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def __del__(self) -> None:
        """Nobody is left to look: what they were at is found half done, and done anew."""
        for name in list(self._running):
            self.stop(name)

    def _reap(self) -> None:
        for name, child in list(self._running.items()):
            if child.poll() is not None:
                del self._running[name]
                self.failed += [name] if child.returncode else []
