"""Two hundred commands at once, twenty at a time: none fails, nothing is lost, nothing runs twice."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess

from conductor import Conductor
from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.support import result_lines, run_cli

CALLS = 200
AT_ONCE = 20


def call(home: Home, number: int) -> tuple[str, CompletedProcess[str]]:
    """Three of five submit, one under an id that a second call asks for too; the others look."""
    match number % 5:
        case 0 | 1:
            return "submit", run_cli(home, "submit", "--agent", "command", f"echo {number}")
        case 2:
            shared = f"shared-{number // 10}"
            return "shared", run_cli(home, "submit", "--agent", "command", "--id", shared, "--if-absent", "true")
        case 3:
            return "list", run_cli(home, "list", "--json")
        case _:
            return "status", run_cli(home, "status", "--json")


def test_two_hundred_commands_at_once_all_do_what_they_are_to(daemon: DaemonFactory, home: Home) -> None:
    daemon(workers=2)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda number: call(home, number), range(CALLS)))

    failed = [(what, one.args, one.returncode, one.stderr) for what, one in answers if one.returncode or one.stderr]
    assert failed == []
    assert all(json.loads(one.stdout) is not None for what, one in answers if what in ("list", "status"))
    ids = {one.stdout.strip() for what, one in answers if what in ("submit", "shared")}
    assert len(ids) == CALLS * 2 // 5 + CALLS // 10
    with Conductor(home.path) as conductor:
        results = conductor.wait(sorted(ids), timeout=120)
        assert list(conductor.list()) == []
    assert all(result.ok for result in results)
    assert Counter(line.task_id for line in result_lines(home)) == Counter(ids)
