"""The kill storm: a run of two hundred steps, all that drives it killed at random, and then a ledger."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from typing import Any

import pytest

from conductor.kit.process import send_signal, stat_fields
from tests.conftest import DaemonFactory
from tests.orchestrator.survival.house import (
    GIT_SETTINGS,
    RESTLESS,
    House,
    as_depends,
    check_no_process,
    step,
    writes,
)
from tests.support import Conductord, command_name, eventually, named_processes

EVERYTHING = os.environ.get("CONDUCTOR_FAULTS") == "all"
STEPS = 200
LAYER = 20
SEEDS = tuple(range(1, 6)) if EVERYTHING else (1,)
PORTION = {"orchestrator": 4, "worker": 3, "conductord": 2, "nursery": 1}
"""Who is killed how often, in an order that chance makes."""
KILLS = Counter({whom: number * (10 if EVERYTHING else 1) for whom, number in PORTION.items()})
CHECK = 'for file in out/*; do [ "$(cat $file)" = done ] || exit 1; done'
SETTINGS: dict[str, Any] = {
    **RESTLESS,
    "workers": 4,
    "retry": {"max_lost": 100, "first_wait": "10ms", "longest_wait": "50ms"},
    "orchestrator": {"check": CHECK},
}


def layered(chance: random.Random) -> list[dict[str, Any]]:
    """Ten layers of twenty; each step needs up to three of the layer before, every fifth one takes a moment."""
    found: list[dict[str, Any]] = []
    for number in range(STEPS):
        first = number // LAYER * LAYER
        before = [f"s{one}" for one in range(first - LAYER, first)] if first else []
        needed = chance.sample(before, chance.randint(1, 3)) if before else []
        pause = f" && sleep {chance.uniform(0.05, 0.2):.2f}" if number % 5 == 0 else ""
        found.append(step(f"s{number}", writes(f"out/{number}.txt") + pause, *needed))
    return found


class Storm:
    """Kills what is on its list, in a random order that a seed makes."""

    def __init__(self, house: House, conductord: Conductord, chance: random.Random) -> None:
        self._house, self._conductord, self._chance = house, conductord, chance
        self.still = list(KILLS.elements())
        chance.shuffle(self.still)

    def strike(self) -> None:
        whom = self.still.pop()
        if whom == "conductord":
            self._conductord.kill()
            self._conductord.launch()
            return
        victims = eventually(lambda: self._processes(whom), what=f"a living {whom}")
        send_signal(self._chance.choice(victims), signal.SIGKILL)

    def _processes(self, whom: str) -> list[int]:
        match whom:
            case "orchestrator":
                return self._house.orchestrators()
            case "nursery":
                return self._conductord.nurseries()
        found = named_processes(self._house.home, "conductor-work")
        return [pid for pid in found if not _is_about_to_exec(pid)]


def _is_about_to_exec(pid: int) -> bool:
    """Whether it is an agent that still has the name of its worker: killing that one fails the task, and rightly."""
    fields = stat_fields(pid)
    return fields is None or command_name(int(fields[1])) == "conductor-work"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_storm_merges_every_step_once_and_leaves_nothing(daemon: DaemonFactory, house: House, seed: int) -> None:
    # given a run of two hundred steps
    chance = random.Random(seed)
    steps = layered(chance)
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    run_id = house.run(*steps)
    storm = Storm(house, conductord, chance)

    # when everything that drives it is killed again and again while it goes on
    for number in range(KILLS.total()):
        _wait_for_merges(house, run_id, number * STEPS // (KILLS.total() + 1))
        time.sleep(chance.uniform(0.0, 0.4))  # at any moment of what is under way then
        storm.strike()

    # then it ends, and the ledger is right
    house.wait(run_id, within=120)
    house.check_whole(run_id, as_depends(steps), f"seed {seed}")
    made = sorted(path.name for path in (house.workspace / "out").iterdir())
    assert made == sorted(f"{number}.txt" for number in range(STEPS))
    check_no_process(house.home, conductord)
    assert conductord.stop(signal.SIGTERM) == 0


def _wait_for_merges(house: House, run_id: str, wanted: int) -> None:
    def merged() -> bool:
        if house.run_of(run_id).is_over:
            pytest.fail(f"{run_id} is over: {house.told(run_id)}")
        return house.done(run_id) >= wanted

    eventually(merged, within=60, what=f"{wanted} steps merged")
