"""The kill storm: a thousand tasks, everything that runs them killed and stopped at random, and then a ledger."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from conductor.domain.home import Home
from conductor.domain.lines import escape
from conductor.domain.outcome import Status
from conductor.kit.process import send_signal, stat_fields
from tests.conftest import DaemonFactory
from tests.support import (
    POLL_SECONDS,
    Conductord,
    command_name,
    eventually,
    named_processes,
    queue_of,
    result_lines,
    run_cli,
    submit,
    unfinished,
)

SEED = 20261121
TASKS = 1000
PORTIONS = 20
STRIKES_A_PORTION = 10
WEIGHTS = {
    "kill worker": 60,
    "kill nursery": 12,
    "kill supervisor": 8,
    "stop worker": 10,
    "stop nursery": 5,
    "stop supervisor": 5,
}
SETTINGS = {
    "workers": 4,
    "poll_interval": "300ms",
    "grace": "1s",
    "retry": {"max_lost": 100, "first_wait": "10ms", "longest_wait": "50ms"},
    "restart": {"budget": 1000, "first_delay": "10ms", "longest_delay": "50ms"},
}


def commands(folder: Path) -> Iterator[tuple[str, str]]:
    """(id, command): most are quick, some fail once, some leave processes behind, some take a moment."""
    for number in range(TASKS):
        command = f"echo {number} >>{folder}/ran"
        match number % 10:
            case 0:
                command = f"{command}; test -e {folder}/mark{number} || {{ touch {folder}/mark{number}; exit 1; }}"
            case 1:
                command = f"sleep 300 & setsid sleep 300 & {command}"
            case 2:
                command = f"(setsid sh -c 'sleep 300 & sleep 300' &); {command}; exit 0"
            case 3 | 4:
                command = f"{command}; sleep 0.05"
        yield f"task{number}", command


class Storm:
    """Kills and stops, at random but with a fixed seed, and waits for a little progress in between."""

    def __init__(self, home: Home, conductord: Conductord) -> None:
        self._home = home
        self._conductord = conductord
        self._chance = random.Random(SEED)
        self._seen = 0
        self._stopped: list[int] = []
        self.strikes: Counter[str] = Counter()

    def strike(self) -> None:
        (what,) = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        deed, _, whom = what.partition(" ")
        victims = self._processes(whom)
        if not victims:
            return
        victim = self._chance.choice(victims)
        self.strikes[what] += 1
        if deed == "stop":
            send_signal(victim, signal.SIGSTOP)
            self._stopped.append(victim)
        elif whom == "supervisor":
            self._conductord.kill()
            self._conductord.launch()
        else:
            send_signal(victim, signal.SIGKILL)

    def let_some_tasks_end(self) -> None:
        """Until a few results more, or a third of a second; then what was stopped goes on."""
        wanted, deadline = self._seen + self._chance.randrange(6), time.monotonic() + 0.3
        while self._count() < wanted and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._seen = self._count()
        while self._stopped:
            send_signal(self._stopped.pop(), signal.SIGCONT)
        assert self._conductord.is_running, self._conductord.log_text()[-4000:]

    def _processes(self, whom: str) -> list[int]:
        match whom:
            case "worker":
                found = named_processes(self._home, "conductor-work")
                return [pid for pid in found if not _is_about_to_exec(pid)]
            case "nursery":
                return named_processes(self._home, "conductor-nurse")
        return [self._conductord.pid]

    def _count(self) -> int:
        return Path(self._home.results).read_bytes().count(b"\n")


def _is_about_to_exec(pid: int) -> bool:
    """Whether it is an agent that still has the name of its worker: killing that one fails the task, and rightly."""
    fields = stat_fields(pid)
    return fields is None or command_name(int(fields[1])) == "conductor-work"


def test_a_kill_storm_loses_no_task_records_none_twice_and_leaves_no_process(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a daemon and a thousand tasks, half of them in batches
    conductord = daemon(**SETTINGS)
    storm = Storm(home, conductord)
    todo = list(commands(tmp_path))
    size = TASKS // PORTIONS

    # when they arrive while everything that runs them is killed and stopped
    for portion in range(PORTIONS):
        _submit(home, todo[portion * size :][:size], in_a_batch=portion % 2 == 0)
        while storm.strikes.total() < (portion + 1) * STRIKES_A_PORTION:
            storm.strike()
            storm.let_some_tasks_end()

    # then, once it is calm, all end
    names = {task for task, _ in todo}
    eventually(lambda: _ended(home) >= names, within=60, what="the end of every task")
    assert conductord.stop(signal.SIGTERM) == 0

    # and the ledger is right
    _check_ledger(home, names)
    ran = {int(line) for line in (tmp_path / "ran").read_text().split()}
    assert ran == set(range(TASKS))
    assert all(storm.strikes[kind] > 3 for kind in WEIGHTS), storm.strikes


def _submit(home: Home, tasks: list[tuple[str, str]], *, in_a_batch: bool) -> None:
    if in_a_batch:
        lines = "\n".join(f"{task}|{escape(command)}||" for task, command in tasks)
        done = run_cli(home, "submit", "--lines", "--retries", "1", "-", stdin=lines)
        assert done.returncode == 0, done.stderr
        return
    for task, command in tasks:
        submit(home, command, task, retries=1)


def _ended(home: Home) -> set[str]:
    return {line.task_id for line in result_lines(home) if line.status is not Status.RETRY}


def _check_ledger(home: Home, names: set[str]) -> None:
    lines = result_lines(home)
    finals = Counter(line.task_id for line in lines if line.status is not Status.RETRY)
    assert finals == Counter(names)  # 0 lost, none ended twice
    assert {line.status for line in lines} == {Status.SUCCESS, Status.RETRY}
    assert max(Counter((line.task_id, line.worker_id) for line in lines).values()) == 1
    assert Counter(_recorded_lines(home)) == Counter(Path(home.results).read_text().splitlines(keepends=True))
    assert unfinished(home) == {}
    counts = queue_of(home).counts()
    assert (counts.pending, counts.running, counts.dead, counts.corrupt) == (0, 0, 0, 0)
    events = [json.loads(line) for line in Path(home.events).read_text().splitlines()]
    assert {event["task"] for event in events if event["action"] == "task_finished"} == names


def _recorded_lines(home: Home) -> Iterator[str]:
    """The line that each recorded attempt says it has in results.txt."""
    for task in os.listdir(home.tasks):
        for attempt in os.listdir(home.task(task)):
            record = Path(home.task(task), attempt, "result.json")
            if attempt.isdigit() and record.exists():
                yield json.loads(record.read_bytes())["line"]
