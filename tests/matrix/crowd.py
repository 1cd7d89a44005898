"""Many turns at once: one conductord, one simulated provider, a few workers, and somebody who watches what is left."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from conductor.domain.home import Home
from conductor.domain.lines import ResultLine
from conductor.domain.outcome import Status
from conductor.domain.worker_id import worker_id
from conductor.kit.process import descendants_of, identity_of, own_identity, pids_with_variable
from conductor.testing.sim import Sim
from tests.matrix.cells import PROVIDER_KEY, Cell, Contender
from tests.support import Conductord, command_name, eventually, queue_of, result_lines, submit

PATIENCE_SECONDS = 400.0
FIRST_WAIT = "4s"
"""Long enough to take a task back that is to be tried once."""
LATER_SECONDS = 1.0
"""So long after a task's end no process of it may be alive."""
_TIMEOUT_SECONDS = 120.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Turn:
    """One agent in one cell: its task, its agent and its provider bear that name."""

    contender: Contender
    cell: Cell

    @property
    def name(self) -> str:
        return f"{self.contender.kind}-{self.cell.slug}"

    @property
    def fault(self) -> str:
        """A counter of its own for each."""
        return f"{self.cell.fault}~{self.name}"

    def address(self, sim: Sim) -> str:
        return self.cell.fault if self.cell.fault.startswith("http") else sim.faulty(self.fault)

    @property
    def timeout_seconds(self) -> float:
        return self.contender.seconds_to_ask if self.cell.hangs else _TIMEOUT_SECONDS


def settings_for(turns: Iterable[Turn], sim: Sim) -> dict[str, Any]:
    """Each turn's agent by itself, at a provider of its own: one that is parked must not hold up the others."""
    turns = list(turns)
    return {
        "retry": {"first_wait": FIRST_WAIT, "longest_wait": FIRST_WAIT},
        "grace": "2s",
        "agents": {
            turn.name: {"kind": turn.contender.kind, "provider": turn.name, "model": turn.contender.model}
            for turn in turns
        },
        "providers": {
            turn.name: {"form": turn.contender.form, "base_url": turn.address(sim), "key": "env:PROVIDER_KEY"}
            for turn in turns
        },
    }


def daemon_environment() -> dict[str, str]:
    """The programs are found where the tester finds them."""
    return {"PATH": os.environ["PATH"], "PROVIDER_KEY": PROVIDER_KEY}


class Crowd:
    """Turns submitted at once to a daemon that is up; `submit` takes more of them later."""

    def __init__(self, daemon: Conductord, sim: Sim, folder: Path) -> None:
        self.daemon = daemon
        self.home = daemon.home
        self.sim = sim
        self._folder = folder
        self._witness = Witness(daemon.home)

    def submit(self, turn: Turn, again: str = "", **options: Any) -> str:
        """The id of its task, `again` behind it; its workspace is an empty git repository."""
        task_id = turn.name + again
        workspace = self._folder / "work" / task_id
        workspace.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(workspace)], check=True, capture_output=True)
        if not turn.cell.tries_again:
            self._witness.cancel_what_follows_on(task_id)
        chosen: dict[str, Any] = {"agent": turn.name, "model": turn.cell.model, "autonomy": turn.cell.autonomy}
        chosen |= {"workspace": str(workspace), "timeout_seconds": turn.timeout_seconds}
        chosen["priority"] = int(turn.cell.tries_again)  # its second attempt would come after all the others
        return submit(self.home, turn.cell.text, task_id, **chosen, **options)

    def workspace(self, task_id: str) -> Path:
        return self._folder / "work" / task_id

    def wait_for_asking(self, turn: Turn) -> None:
        """Until its provider was asked for an answer."""
        eventually(lambda: self.was_asked(turn), 60.0, f"{turn.name} asking its model")

    def was_asked(self, turn: Turn) -> bool:
        return any(record.fault == turn.fault and record.body for record in self.sim.requests)

    def first_line(self, task_id: str) -> ResultLine:
        """Of its first attempt, once that has ended and the time after it is over."""
        return self._seen(task_id, lambda _line: True)

    def last_line(self, task_id: str) -> ResultLine:
        """Of the attempt that no other follows."""
        return self._seen(task_id, lambda line: line.status is not Status.RETRY)

    def _seen(self, task_id: str, wanted: Any) -> ResultLine:
        def found() -> ResultLine | None:
            assert self.daemon.is_running, self.daemon.log_text()[-4000:]
            return next((line for line in self._witness.witnessed(task_id) if wanted(line)), None)

        return eventually(found, PATIENCE_SECONDS, f"the end of {task_id}")

    def survivors(self, task_id: str) -> list[str]:
        return self._witness.survivors(task_id)

    def strangers(self) -> list[str]:
        """What descends from the daemon and is no part of conductor: asked when nothing runs any more."""
        found = {pid: command_name(pid) for pid in descendants_of(self.daemon.pid) if identity_of(pid)}
        return [f"{pid} {name}" for pid, name in found.items() if not name.startswith("conductor")]

    def close(self) -> None:
        self._witness.close()


class Witness:
    """Looks which processes of an attempt are alive a while after its line in results.txt. A thread."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._once: set[str] = set()
        self._witnessed: dict[str, list[ResultLine]] = {}
        self._survivors: dict[str, list[str]] = {}
        self._over = Event()
        self._thread = Thread(target=self._watch, name="witness", daemon=True)
        self._thread.start()

    def cancel_what_follows_on(self, task_id: str) -> None:
        """One attempt is enough of it, unless a limit holds it up."""
        self._once.add(task_id)

    def witnessed(self, task_id: str) -> list[ResultLine]:
        """Its attempts whose leftovers were looked for, in order."""
        return self._witnessed.get(task_id, [])

    def survivors(self, task_id: str) -> list[str]:
        return self._survivors.get(task_id, [])

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        known, due = 0, list[tuple[float, ResultLine]]()
        while not self._over.wait(_LOOK_SECONDS):
            lines = result_lines(self._home) if os.path.exists(self._home.results) else []
            for line in lines[known:]:
                due.append((time.monotonic() + LATER_SECONDS, line))
                self._take_back(line)
            known = len(lines)
            while due and due[0][0] <= time.monotonic():
                self._look(due.pop(0)[1])

    def _take_back(self, line: ResultLine) -> None:
        if line.status is Status.RETRY and line.task_id in self._once and not _is_limited(self._home, line.task_id):
            queue_of(self._home).cancel(line.task_id, worker_id("test", own_identity()))

    def _look(self, line: ResultLine) -> None:
        attempts = len(self.witnessed(line.task_id)) + 1
        folder = self._home.attempt(line.task_id, attempts)
        left = [pid for pid in pids_with_variable("CONDUCTOR_TASK_DIR", [folder]) if identity_of(pid)]
        self._survivors.setdefault(line.task_id, []).extend(f"{pid} {command_name(pid)}" for pid in left)
        self._witnessed.setdefault(line.task_id, []).append(line)


def _is_limited(home: Home, task_id: str) -> bool:
    return '"limited"' in Path(home.attempt(task_id, 1), "result.json").read_text(encoding="utf-8")
