"""Several processes write, and die by SIGKILL in the middle of it."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from conductor.domain.run import Changes, StepState, StepStatus
from conductor.ports.orchestration import Store
from conductor.store.sqlite import open_store
from conductor.testing.contract_store_base import delegation, happened, run, step_state
from tests.support import eventually

STEPS = 20


def write_for_ever(home: str, run_id: str) -> None:
    """Each round is one transaction that writes its number into every row: whoever reads must find it in all."""
    store = open_store(home)
    number = max((one.round for one in store.steps(run_id)), default=0)
    while True:
        number += 1
        if number % 10 == 0:
            store.replace_steps(run(run_id, wave=number), rows(run_id, number))
        else:
            store.save(Changes(run=run(run_id, wave=number), steps=tuple(rows(run_id, number))))
        store.save(
            Changes(
                delegations=(delegation("s0", number, run_id),),
                activity=(happened(str(number), run_id=run_id), happened(str(number), run_id=run_id)),
            )
        )
        print(number, flush=True)


def rows(run_id: str, number: int) -> list[StepState]:
    return [
        replace(step_state(f"s{at}", at, run_id, round=number), status=StepStatus.IN_PROGRESS) for at in range(STEPS)
    ]


class Writer:
    """A process that writes into its own run until it is killed."""

    def __init__(self, home: Path, run_id: str) -> None:
        self.run_id = run_id
        self.said = home.parent / f"{run_id}.said"
        with self.said.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.store.test_kills", str(home), run_id], stdout=out, stderr=out
            )

    def told(self) -> int:
        """The latest round that it said was written; never what was cut off with it."""
        whole = self.said.read_text().rpartition("\n")[0]
        return max((int(line) for line in whole.splitlines()), default=0)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def check(store: Store, writer: Writer) -> None:
    found, steps = store.run(writer.run_id), store.steps(writer.run_id)
    assert found is not None
    assert {one.round for one in steps} == {found.wave}
    assert [one.step.id for one in steps] == [f"s{at}" for at in range(STEPS)]
    assert found.wave >= writer.told()
    rounds = [one.round for one in store.delegations(writer.run_id)]
    assert rounds == sorted(set(rounds))
    assert rounds[-1] >= writer.told()
    told = [one.action for one in store.activity(run_id=writer.run_id)]
    assert told == [str(number) for number in rounds for _ in range(2)]


def test_killed_writers_leave_a_store_that_is_whole(tmp_path: Path) -> None:
    chance = random.Random(1)
    home = tmp_path / "home"
    home.mkdir()
    store = open_store(str(home))
    runs = ["r-1", "r-2", "r-3"]
    for run_id in runs:
        store.add_run(run(run_id), rows(run_id, 0))

    for _ in range(2):
        writers = [Writer(home, run_id) for run_id in runs]
        try:
            for writer in chance.sample(writers, len(writers)):
                further = writer.told() + chance.randint(3, 15)
                eventually(lambda writer=writer, further=further: writer.told() >= further, what="another write")
                writer.kill()
                check(store, writer)
        finally:
            for writer in writers:
                writer.kill()

    assert [one.sequence for one in store.activity()] == list(range(1, len(store.activity()) + 1))
    store.close()
    connection = sqlite3.connect(home / "conductor.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from conductor.store.sqlite import open_store; from conductor.domain.run import Activity, Changes;"
        "store = open_store(sys.argv[1])\n"
        "for number in range(100):\n"
        "    store.save(Changes(activity=(Activity(1.0, f'{sys.argv[2]} {number}'),)))"
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in ("a", "b", "c")]

    assert [process.wait(60) for process in started] == [0, 0, 0]
    store = open_store(str(tmp_path))
    told = store.activity()
    assert [one.sequence for one in told] == list(range(1, 301))
    for name in ("a", "b", "c"):
        mine = [one.action for one in told if one.action.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(100)]
    store.close()


if __name__ == "__main__":
    write_for_ever(sys.argv[1], sys.argv[2])
