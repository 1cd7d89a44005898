"""Wiring of the router: settings, agents as they stand here, limits, prices, and what results taught."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from conductor.agents.access import abilities_of, access_of, has_access, is_installed, program_path
from conductor.agents.presence import INSTALL
from conductor.agents.registry import installed_kinds
from conductor.app.setups import chosen_setups
from conductor.domain.agent_setup import AgentSetup
from conductor.domain.errors import BadTask, StoreRefused, UsageError
from conductor.domain.home import Home
from conductor.domain.models import DEFAULT_ALIASES, resolve_model
from conductor.domain.plan import Step
from conductor.domain.task import TaskSpec
from conductor.domain.usage import Price
from conductor.limits.parking import Parking, describe, ends_at
from conductor.limits.prices import PriceList
from conductor.ports import Abilities
from conductor.ports.orchestration import Choice, Store
from conductor.routing.builtin import KnownAgent, built_in
from conductor.routing.classifying import classify
from conductor.routing.learning import Memory
from conductor.routing.ranking import Standing
from conductor.routing.registry import CostType, Model, Registry
from conductor.routing.router import RegistryRouter, World

if TYPE_CHECKING:
    from conductor.settings.model import Settings

REMEMBERED = "routing"
"""The name of the document in the store."""

_FULL_NAMES = {models["claude"]: models["anthropic"] for models in DEFAULT_ALIASES.values()}
"""Claude Code's own words for models, by which no list of prices knows them."""


def make_router(
    home: Home,
    settings: Settings,
    environment: Mapping[str, str],
    memory: Memory,
    clock: Callable[[], float] = time.time,
) -> RegistryRouter:
    """The router of a home. Raises SettingsInvalid with every fault of the registry or the prices."""
    here = AgentsHere(home, settings, environment, clock)
    world = World(
        clock=clock,
        standing=here.standing,
        same_model=here.same_model,
        price=here.price,
        memory=memory,
        default_agent=settings.agent,
    )
    return RegistryRouter(load_registry(here), world)


def memory_of(store: Store) -> Memory:
    """For the orchestrator: what it learns is kept."""
    return Memory(lambda: store.remembered(REMEMBERED), lambda document: store.remember(REMEMBERED, document))


def remembered(home: Home, settings: Settings) -> Memory:
    """For one look: what is known now. Makes no store where there is none. Raises StoreRefused."""
    from conductor.app.stores import nothing_kept, open_store

    if nothing_kept(home, settings):
        return Memory()
    store = open_store(home, settings)
    try:
        document = store.remembered(REMEMBERED)
    finally:
        store.close()
    return Memory(lambda: document)


# -- the registry


def registry_path(home: Home, settings: Settings) -> str:
    """Empty: none is configured."""
    given = settings.routing.registry
    return os.path.join(home.path, os.path.expanduser(given)) if given else ""


def load_registry(here: AgentsHere) -> Registry:
    """The configured one, else our own for the agents that are here. What `routing` says in conductor.yaml wins over
    what the file says of the same."""
    routing = here.settings.routing
    path = registry_path(here.home, here.settings)
    if path:
        from conductor.routing.reading import read_registry

        registry = read_registry(path, here.usable, here.serving)
    else:
        registry = built_in(here.known_agents())
    given = {name: getattr(routing, name) for name in ("failure_penalty", "prefer_free")}
    said = {name: value for name, value in given.items() if not path or name in routing.model_fields_set}
    models = tuple(here.priced(model) for model in registry.models)
    return replace(registry, models=models, rules=replace(registry.rules, **said))


class AgentsHere:
    """The agents of a home as they stand now. Starts no process: programs, keys and logins are looked for as files."""

    def __init__(
        self, home: Home, settings: Settings, environment: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self.home, self.settings = home, settings
        self._environment = {"OPENCLAW_BIN": settings.openclaw_bin, **environment}
        self._clock = clock
        self._kinds = installed_kinds()
        self._setups = chosen_setups(settings, self._kinds)
        self._aliases = settings.aliases()
        self._rules = settings.limits.rules()
        self._parking = Parking(home.path, self._rules, clock)
        self._abilities: dict[str, Abilities] = {}
        self._priced: dict[str, Price | None] = {}

    # -- what the router asks

    def standing(self, agent: str) -> Standing | None:
        setup = self._setups.get(agent)
        if setup is None:
            return None
        abilities, parked = self._ability(setup), self._parking.holding(setup.lane)
        longest = self._rules.longest_park
        return Standing(
            fault=self._fault(setup),
            no_access=self._no_access(setup),
            parked=describe(parked, self._clock(), longest) if parked else "",
            parked_until=ends_at(parked, longest) if parked else 0.0,
            prompted=abilities.prompted,
            thinking=None if not abilities.thinking and setup.kind != "generic" else abilities.thinking,
        )

    def same_model(self, agent: str, asked: str, known: str) -> bool:
        setup = self._setups.get(agent)
        if setup is None:
            return asked == known
        return self._resolved(setup, asked) == self._resolved(setup, known or setup.model) != ""

    def price(self, agent: str, model: str) -> Price | None:
        setup = self._setups.get(agent)
        name = self._resolved(setup, model or setup.model) if setup else model
        if name not in self._priced:
            self._priced[name] = self._prices.price(_FULL_NAMES.get(name, name))
        return self._priced[name]

    # -- what the registry asks

    @property
    def usable(self) -> list[str]:
        """Agents that are installed, by name."""
        return [name for name, setup in self._setups.items() if not self._fault(setup)]

    @property
    def serving(self) -> dict[str, str]:
        """Agents of the settings by the provider that they say they use."""
        return {one.provider: name for name, one in reversed(self.settings.agents.items()) if one.provider}

    def known_agents(self) -> list[KnownAgent]:
        """That our own registry may name: set up or installed; all, where none of these can work, to say why."""
        able = [setup for setup in self._setups.values() if self._ability(setup).prompted and self._has_model(setup)]
        here = [one for one in able if one.name in self.settings.agents or not self._fault(one)]
        ready = any(not self._fault(one) and not self._no_access(one) for one in here)
        return [self._known(setup) for setup in (here if ready else able)]

    def priced(self, model: Model) -> Model:
        """With the prices of the list, where the registry says none."""
        listed = self.price(model.agent, model.model)
        if listed is None or model.cost.input is not None or model.cost.output is not None:
            return model
        return replace(model, cost=replace(model.cost, input=listed.input, output=listed.output))

    # -- inside

    @cached_property
    def _prices(self) -> PriceList:
        from conductor.settings.limits import user_prices

        return PriceList(user_prices(self.home, self.settings.prices))

    def _ability(self, setup: AgentSetup) -> Abilities:
        if setup.name not in self._abilities:
            self._abilities[setup.name] = abilities_of(setup, self._kinds)
        return self._abilities[setup.name]

    def _fault(self, setup: AgentSetup) -> str:
        if setup.kind not in self._kinds:
            return f"no kind {setup.kind} is installed"
        abilities = self._ability(setup)
        if is_installed(setup, abilities, program_path(setup, abilities, self._environment)):
            return ""
        if setup.binary:
            return f"its program {setup.binary} is not here"
        return f"not installed: {INSTALL[setup.kind]}" if setup.kind in INSTALL else "its program is not here"

    def _no_access(self, setup: AgentSetup) -> str:
        if has_access(setup, self._environment):
            return ""
        key = setup.provider.key if setup.provider else ""
        return str(access_of(setup, self._environment)["access_fault"]) or f"no login, and no key at {key}"

    def _has_model(self, setup: AgentSetup) -> bool:
        """A plain endpoint has no default model of its own."""
        return setup.kind != "chat" or bool(setup.model)

    def _known(self, setup: AgentSetup) -> KnownAgent:
        sizes = {alias: self._resolved(setup, alias) for alias in DEFAULT_ALIASES}
        sizes = {alias: model for alias, model in sizes.items() if model not in ("", alias)}
        return KnownAgent(setup.name, setup.kind, sizes, fixed=bool(setup.model), cost=self._cost(setup))

    def _cost(self, setup: AgentSetup) -> CostType:
        provider = setup.provider
        if provider is not None and not provider.key:
            return CostType.FREE
        if provider is not None and access_of(setup, self._environment)["key"]:
            return CostType.PAY_PER_USE
        return CostType.SUBSCRIPTION

    def _resolved(self, setup: AgentSetup, model: str) -> str:
        """Empty where it means nothing to that kind of agent."""
        with suppress(BadTask):
            return resolve_model(model, setup.kind, self._aliases, setup.provider.name if setup.provider else "")
        return ""


# -- tasks that name nobody


def step_of(text: str, **given: Any) -> Step:
    """A text as a step: what it asks for by its words, and what is `given` besides. Complexity 0: nothing is said."""
    asked = classify(text)
    found = {"category": asked.category, "complexity": asked.complexity or 0, "thinking": asked.thinking}
    return Step("task", text[:200], text, **{**found, **{name: value for name, value in given.items() if value}})


def task_chooser(home: Home, environment: Mapping[str, str]) -> Callable[[TaskSpec], TaskSpec]:
    """For `submit` of tasks that name neither agent nor model: gives them both, and a level of thinking.

    Raises SettingsInvalid; the chooser raises BadTask where nobody can do it: such a task never goes to an agent
    that was not chosen for it, least of all to a shell.
    """
    from conductor.settings.model import load_settings

    settings = load_settings(home, environment)
    if not settings.routing.submit:
        return lambda spec: spec
    memory = Memory()
    with suppress(StoreRefused):  # experience is worth less than a task that is accepted
        memory = remembered(home, settings)
    router = make_router(home, settings, environment, memory)

    def choose(spec: TaskSpec) -> TaskSpec:
        choice = router.choose(step_of(spec.description, thinking=spec.thinking))
        if not choice.candidates:
            raise BadTask("nobody here can do it: `conductor route --explain` says why, or name one with --agent")
        best = choice.candidates[0]
        return replace(spec, agent=best.agent, model=best.model, thinking=best.thinking)

    return choose


def reasons(choice: Choice) -> str:
    """Who was passed over and why, a line each."""
    lines = [f"  {one.agent}{':' if one.model else ''}{one.model}: {one.why}" for one in choice.passed_over]
    return "\n".join(lines or ["  the registry has no models"])


def write_back_learned(home: Home, settings: Settings, router: RegistryRouter) -> str:
    """Writes what was learned into a registry of claw-conductor's form; returns its path. Raises UsageError where none
    is configured, SettingsInvalid where it has another form."""
    from conductor.routing.claw import write_back

    path = registry_path(home, settings)
    if not path:
        raise UsageError("no registry is configured: set `routing: {registry: agent-registry.json}` in conductor.yaml")
    here = AgentsHere(home, settings, os.environ, time.time)
    write_back(path, router.records(), here.usable, here.serving)
    return path
