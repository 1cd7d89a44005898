"""What settings must be: checked in one go, every fault named with the values that are allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.domain.models import merged_aliases
from conductor.domain.task import DEFAULT_POOL
from conductor.settings.agents import AgentSettings, BaseUrl, ProjectSettings, ProviderSettings, setup_faults, setups_of
from conductor.settings.faults import Fault, faults_in, told
from conductor.settings.limits import BudgetSettings, LimitSettings
from conductor.settings.orchestration import OrchestrationSettings, OrchestratorSettings, RoutingSettings
from conductor.settings.places import Key, nearest_place
from conductor.settings.shared import SharedSettings
from conductor.settings.source import Layer, layers_of, merged
from conductor.settings.upkeep import RetentionSettings, SpaceSettings
from conductor.settings.values import Bytes, KindName, ModelName, Name, Seconds, Strict

S = TypeVar("S", bound=Strict)


class PoolSettings(Strict):
    workers: int = Field(3, ge=0, le=1000, description="how many workers the pool keeps alive")
    preload: tuple[str, ...] = Field((), description="modules that the pool's nursery imports before it forks")


class RestartSettings(Strict):
    budget: int = Field(5, ge=1, le=1000, description="starts in a row that may fail before a slot is given up")
    first_delay: Seconds = Field(1.0, description="before the first further start, doubling")
    longest_delay: Seconds = Field(60.0, description="no wait between starts is longer")
    start_timeout: Seconds = Field(30.0, description="a worker that is not ready after this is replaced")


class RetrySettings(Strict):
    max_lost: int = Field(3, ge=1, le=100, description="attempts that worker or machine may lose, in all")
    first_wait: Seconds = Field(1.0, description="before the first retry, doubling")
    longest_wait: Seconds = Field(60.0, description="no wait between attempts is longer")
    transient: int = Field(3, ge=0, le=100, description="further attempts after a network or overload failure")
    verify: int = Field(2, ge=0, le=100, description="further attempts where the task's own check did not pass")


class Settings(Strict):
    """conductor.yaml. Times are seconds or `10m`, sizes bytes or `10MiB`."""

    agent: str = Field("", description="the agent of tasks that name none; empty: they must name one")
    fallback: tuple[str, ...] = Field((), description="who takes over from an agent that can't go on: AGENT[:MODEL]")
    workers: int = Field(3, ge=0, le=1000, description="workers of the pool `default`")
    pools: dict[Name, PoolSettings] = Field({}, description="further pools by name")
    agents: dict[Name, AgentSettings] = Field({}, description="agents by name, as they are used here")
    providers: dict[Name, ProviderSettings] = Field({}, description="who serves models, by name")
    models: dict[Name, ModelName | dict[KindName, ModelName]] = Field(
        {}, description="names for models, the same for every kind of agent or one for each: `cheap: {claude: haiku}`"
    )
    autonomy: Autonomy = Field(Autonomy.WORKSPACE, description="how far agents may go: read-only, workspace, full")
    simulate: BaseUrl = Field("", description="the address of a `conductor sim`, in place of every provider")
    projects: dict[Name, ProjectSettings] = Field({}, description="what belongs to single projects")
    limits: LimitSettings = Field(LimitSettings.model_validate({}), description="what holds up agents")
    budgets: BudgetSettings = Field(BudgetSettings.model_validate({}), description="what they may cost")
    orchestrator: OrchestrationSettings = Field(
        OrchestrationSettings.model_validate({}), description="how plans become merged work"
    )
    routing: RoutingSettings = Field(
        RoutingSettings.model_validate({}), description="who does what nobody was named for"
    )
    space: SpaceSettings = Field(SpaceSettings.model_validate({}), description="room that is kept on the disk")
    retention: RetentionSettings = Field(
        RetentionSettings.model_validate({}), description="for how long what has ended is kept"
    )
    shared: SharedSettings = Field(
        SharedSettings.model_validate({}), description="a service's home that others use too"
    )
    prices: str = Field("prices.yaml", description="prices of models, over the shipped ones; a file, in the home")
    poll_interval: Seconds = Field(5.0, description="how often everything is looked at without being asked")
    max_idle_time: Seconds = Field(300.0, description="an idle worker is replaced after this")
    timeout: Seconds = Field(3600.0, description="how long an attempt may run")
    stall_timeout: Seconds | None = Field(None, description="how long an agent may say nothing")
    retries: int = Field(0, ge=0, le=1000, description="further attempts after a failure")
    retry: RetrySettings = Field(RetrySettings.model_validate({}), description="how often, and how long between")
    restart: RestartSettings = Field(RestartSettings.model_validate({}), description="of workers that did not start")
    stop_timeout: Seconds = Field(60.0, description="how long running tasks may go on after SIGTERM")
    grace: Seconds = Field(10.0, description="between SIGTERM and SIGKILL for an agent")
    log_cap: Bytes = Field(10 * (1 << 20), description="size of agent.log; head and tail are kept")
    environment: tuple[str, ...] = Field((), description="variables that agents inherit, `NAME` or `PREFIX*`")
    cgroup: Annotated[str, BeforeValidator(lambda value: "off" if value is False else value)] = Field(
        "auto",
        pattern=r"^(auto|off|/.*)$",
        description="auto: a cgroup for each attempt where systemd delegated one; off; or a folder for them",
    )
    openclaw_bin: str = Field("", description="OPENCLAW_BIN of agents: the program openclaw")
    discord_channel: str = Field("", description="DISCORD_CHANNEL of agents")

    def all_pools(self) -> dict[str, PoolSettings]:
        return {DEFAULT_POOL: PoolSettings(workers=self.workers), **self.pools}

    def aliases(self) -> dict[str, dict[str, str]]:
        """What `conductor.domain.models.resolve_model` looks names up in."""
        return merged_aliases(self.models)

    def orchestration_of(self, project: str) -> OrchestratorSettings:
        """What holds for one project: its own settings over those of all."""
        common = self.orchestrator.model_dump(include=set(OrchestratorSettings.model_fields))
        one = self.projects.get(project)
        own = one.orchestrator.model_dump(exclude_unset=True) if one is not None and one.orchestrator else {}
        return OrchestratorSettings.model_validate({**common, **own})

    def agent_setups(self) -> dict[str, AgentSetup]:
        """Every agent that tasks can name. Raises SettingsInvalid."""
        try:
            return setups_of(self.agents, self.providers, self.autonomy, self.simulate)
        except ValueError as error:
            raise SettingsInvalid(str(error)) from None


@dataclass(frozen=True)
class Loaded:
    """Settings, and the layers that they came from."""

    settings: Settings
    layers: tuple[Layer, ...]


def load_settings(home: Home, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Defaults, the system's file, conductor.yaml, variables, flags: later ones win. Raises SettingsInvalid with every
    fault and its place."""
    return load_layers(home, environment, flags).settings


def load_layers(home: Home, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Loaded:
    """The same, with where each value came from. Raises SettingsInvalid."""
    layers = tuple(map(_without_strangers, layers_of(home, environment, flags)))
    settings, faults = checked(layers)
    if settings is None or faults:
        count = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
        raise SettingsInvalid(f"{count} in the settings of {home.path}:\n{told(faults)}")
    return Loaded(settings, layers)


def checked(layers: Sequence[Layer]) -> tuple[Settings | None, list[Fault]]:
    """The settings that these layers make, where they make any; and every fault."""
    values = merged(layers)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        return None, [*faults_in(error, values, layers), *_placed(_further_faults(values), layers)]
    return settings, _placed(setup_faults(settings.agents, settings.providers, settings.simulate), layers)


def _further_faults(values: Mapping[str, Any]) -> list[tuple[Key, str]]:
    """What is wrong between the parts that are well by themselves, where others are not."""
    agents, providers = _sound(AgentSettings, values, "agents"), _sound(ProviderSettings, values, "providers")
    named = values.get("providers")
    there = dict.fromkeys(named if isinstance(named, dict) else (), ProviderSettings(base_url="https://faulty.invalid"))
    return setup_faults(agents, {**there, **providers}, str(values.get("simulate") or ""))


def _sound(kind: type[S], values: Mapping[str, Any], section: str) -> dict[str, S]:
    """Those of a section that are well by themselves."""
    named, found = values.get(section), {}
    for name, one in named.items() if isinstance(named, dict) else ():
        with suppress(ValidationError):
            found[name] = kind.model_validate(one)
    return found


def _placed(faults: Iterable[tuple[Key, str]], layers: Sequence[Layer]) -> list[Fault]:
    return [Fault(key, nearest_place(key, layers), what) for key, what in faults]


def _without_strangers(layer: Layer) -> Layer:
    """`CONDUCTOR_` begins other people's variables too: what is no setting counts where it looks like one."""
    if layer.kind != "variable":
        return layer
    known = Settings.model_fields
    kept = {
        name: value
        for name, value in layer.values.items()
        if name in known or isinstance(value, dict) or difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
    }
    return layer._replace(values=kept)


_NEAR = 0.85
