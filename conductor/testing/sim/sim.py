"""Sim: the simulated model API in a thread of this process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from conductor.domain.errors import ConductorError
from conductor.testing.sim.desk import Desk
from conductor.testing.sim.directives import read_script
from conductor.testing.sim.faults import read_fault
from conductor.testing.sim.record import Record, Recorder
from conductor.testing.sim.server import SimServer

_KEPT_REQUESTS = 2000
Script = str | Path | Sequence[Mapping[str, Any]] | None


class Sim:
    """Speaks Anthropic Messages, OpenAI Responses and Chat Completions, and Gemini on 127.0.0.1.

    `port` 0 takes any; `script` is a YAML file or a list of `{match: REGEX, do: [...]}`; `record` a file that gets
    one JSON line a request. `with Sim() as sim:` starts and closes it. Raises ConductorError when the port is taken
    and UsageError for a script that says nothing.
    """

    def __init__(
        self,
        port: int = 0,
        seed: int = 0,
        script: Script = None,
        record: str | Path | None = None,
        keep: int = _KEPT_REQUESTS,
    ) -> None:
        rules = read_script(script)
        self._recorder = Recorder(record, keep)
        try:
            self._server = SimServer(port, Desk(seed, rules, self._recorder, time.time))
        except OSError as error:
            self._recorder.close()
            raise ConductorError(f"can't listen on 127.0.0.1:{port}: {error.strerror}; choose another port") from error
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="sim", daemon=True)

    @property
    def url(self) -> str:
        """The address, with nothing behind the port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def faulty(self, name: str) -> str:
        """The address at which every request meets the fault called `name`. Raises UsageError."""
        read_fault(name)
        return f"{self.url}/fault/{name}"

    @property
    def fault(self) -> str:
        """What requests meet whose address names no fault."""
        return self._server.desk.standing_fault

    @fault.setter
    def fault(self, name: str) -> None:
        read_fault(name)
        self._server.desk.standing_fault = name

    @property
    def requests(self) -> list[Record]:
        """What was asked so far, oldest first, keys and all."""
        return self._recorder.kept

    @property
    def departures(self) -> int:
        """How many clients went away before their answer was whole."""
        return self._server.departures

    def start(self) -> Sim:
        self._thread.start()
        return self

    def close(self) -> None:
        """Ends every connection and gives the port back."""
        self._server.close_all()
        self._thread.join()
        self._recorder.close()

    def __enter__(self) -> Sim:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
