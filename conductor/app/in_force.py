"""The settings that conductord works by, from its start until a reload replaces them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from conductor.agents.registry import installed_kinds
from conductor.app import loadable_agents, make_doors, patient_queue
from conductor.app.daemon import inherited_variables, make_plan, retry_policy
from conductor.domain.home import Home
from conductor.domain.masking import Masker, secret_values
from conductor.domain.retry import RetryPolicy
from conductor.limits.doorkeeper import Doors
from conductor.limits.parking import parked_lines
from conductor.queue.layout import Layout
from conductor.settings.limits import user_prices
from conductor.settings.model import Loaded, Settings
from conductor.settings.places import Key
from conductor.settings.reloading import FIXED_AT_START, fixed, held_back
from conductor.settings.reporting import rows_of
from conductor.settings.showing import differences, leaves_of
from conductor.supervisor.plan import Reloaded, SupervisorPlan


@dataclass(frozen=True)
class _WorkedOut:
    """Settings, and what follows from them."""

    loaded: Loaded
    plan: SupervisorPlan
    doors: Doors
    facts: Mapping[Key, Any]
    """Every value, for telling what a reload changed."""


class SettingsInForce:
    """Knows what was worked out from them; `reload` replaces all of it or nothing."""

    def __init__(self, layout: Layout, load: Callable[[], Loaded]) -> None:
        """`load`: reads the settings. It raises SettingsInvalid, and so do we."""
        self._home = layout.home
        self._load = load
        self._kinds = installed_kinds()
        self._now = self._worked_out(load())
        self._begun = self._now.loaded.settings
        self._pass_on()
        self.queue = patient_queue(layout, *self._of_queue())

    def _worked_out(self, loaded: Loaded) -> _WorkedOut:
        settings = loaded.settings
        agents = loadable_agents(settings, self._kinds)
        plan = make_plan(self._home, settings, self._kinds, agents)
        return _WorkedOut(loaded, plan, make_doors(self._home, settings, agents), _facts(self._home, settings))

    @property
    def settings(self) -> Settings:
        return self._now.loaded.settings

    @property
    def plan(self) -> SupervisorPlan:
        return self._now.plan

    def _of_queue(self) -> tuple[RetryPolicy, Doors]:
        return retry_policy(self._now.loaded.settings), self._now.doors

    def reload(self) -> Reloaded:
        before, self._now = self._now, self._worked_out(self._load())
        self._pass_on()
        self.queue.use_policy(*self._of_queue())
        masker = _masker()
        held = held_back(before.loaded, self._now.loaded, masker) + fixed(self._begun, self.settings, masker)
        return Reloaded(self._now.plan, differences(before.facts, self._now.facts, masker), held)

    def _pass_on(self) -> None:
        """Agents get these from us."""
        for name, value in inherited_variables(self._now.loaded.settings).items():
            if value:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)

    def rows(self) -> list[dict[str, Any]]:
        return [row.to_dict() for row in rows_of(self._now.loaded, _masker())]

    def limits(self) -> list[str]:
        return parked_lines(self._home.path, time.time(), self._now.loaded.settings.limits.rules())


def _facts(home: Home, settings: Settings) -> dict[Key, Any]:
    """The settings that a reload can change, and the prices, which are read as they are."""
    prices = user_prices(home, settings.prices)
    found: dict[Key, Any] = {key: one for key, one in leaves_of(settings).items() if key[0] not in FIXED_AT_START}
    for model, one in prices.items():
        found.update({(settings.prices, model, name): value for name, value in one.items()})
    return found


def _masker() -> Masker:
    return Masker(secret_values(os.environ))
