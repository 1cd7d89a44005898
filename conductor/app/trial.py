"""A nursery for a moment: whether one of this installation starts."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from conductor.app import loadable_agents
from conductor.app.daemon import make_plan
from conductor.app.nursery import nursery_command
from conductor.domain.home import Home
from conductor.domain.wire import NurseryUp
from conductor.supervisor.nurseries import NurseryLink

if TYPE_CHECKING:
    from conductor.settings.model import Settings

_PATIENCE_SECONDS = 30.0


def try_nursery(home: Home, settings: Settings) -> str:
    """Starts one for each pool, which forks nothing; what is wrong, or nothing. Its log goes to standard error."""
    from conductor.agents.registry import installed_kinds

    kinds = installed_kinds()
    plan = make_plan(home, settings, kinds, loadable_agents(settings, kinds))
    faults = (_try(pool, one.nursery_config) for pool, one in plan.pools.items())
    return "; ".join(fault for fault in faults if fault)


def _try(pool: str, config: str) -> str:
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    link = NurseryLink(pool, nursery_command, config, write_end)
    try:
        return "" if _comes_up(link) else f"pool {pool}: it ended or was silent, its log line says why"
    finally:
        link.close()
        link.end()
        for descriptor in (read_end, write_end):
            os.close(descriptor)


def _comes_up(link: NurseryLink) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        select.select([link.fileno()], [], [], left)
        messages = link.receive()
        if messages is None:
            return False
        if any(isinstance(message, NurseryUp) for message in messages):
            return True
    return False
