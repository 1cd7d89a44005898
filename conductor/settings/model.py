"""What settings must be: checked in one go, every fault named with the values that are allowed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.domain.masking import Masker
from conductor.domain.models import merged_aliases
from conductor.domain.task import DEFAULT_POOL
from conductor.settings.agents import AgentSettings, BaseUrl, ProjectSettings, ProviderSettings, setups_of
from conductor.settings.limits import BudgetSettings, LimitSettings
from conductor.settings.orchestration import OrchestrationSettings, OrchestratorSettings, RoutingSettings
from conductor.settings.source import raw_settings
from conductor.settings.values import Bytes, KindName, ModelName, Name, Seconds, Strict


class PoolSettings(Strict):
    workers: int = Field(3, ge=0, le=1000, description="how many workers the pool keeps alive")
    preload: tuple[str, ...] = Field((), description="modules that the pool's nursery imports before it forks")


class RestartSettings(Strict):
    budget: int = Field(5, ge=1, le=1000, description="starts in a row that may fail before a slot is given up")
    first_delay: Seconds = 1.0
    longest_delay: Seconds = 60.0
    start_timeout: Seconds = 30.0


class RetrySettings(Strict):
    max_lost: int = Field(3, ge=1, le=100, description="attempts that worker or machine may lose, in all")
    first_wait: Seconds = 1.0
    longest_wait: Seconds = 60.0
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
    limits: LimitSettings = LimitSettings.model_validate({})
    budgets: BudgetSettings = BudgetSettings.model_validate({})
    orchestrator: OrchestrationSettings = OrchestrationSettings.model_validate({})
    routing: RoutingSettings = RoutingSettings.model_validate({})
    prices: str = Field("prices.yaml", description="prices of models, over the shipped ones; a file, in the home")
    poll_interval: Seconds = Field(5.0, description="how often everything is looked at without being asked")
    max_idle_time: Seconds = Field(300.0, description="an idle worker is replaced after this")
    timeout: Seconds = Field(3600.0, description="how long an attempt may run")
    stall_timeout: Seconds | None = Field(None, description="how long an agent may say nothing")
    retries: int = Field(0, ge=0, le=1000, description="further attempts after a failure")
    retry: RetrySettings = RetrySettings()
    restart: RestartSettings = RestartSettings()
    stop_timeout: Seconds = Field(60.0, description="how long running tasks may go on after SIGTERM")
    grace: Seconds = Field(10.0, description="between SIGTERM and SIGKILL for an agent")
    log_cap: Bytes = Field(10 * (1 << 20), description="size of agent.log; head and tail are kept")
    environment: tuple[str, ...] = Field((), description="variables that agents inherit, `NAME` or `PREFIX*`")
    cgroup: str = Field(
        "auto",
        pattern=r"^(auto|off|/.*)$",
        description="auto: a cgroup for each attempt where systemd delegated one; off; or a folder for them",
    )
    openclaw_bin: str = ""
    discord_channel: str = ""

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


def load_settings(home: Home, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Defaults, conductor.yaml, variables, flags: later ones win. Raises SettingsInvalid with every fault."""
    given = {
        **raw_settings(home, environment),
        **{name: value for name, value in (flags or {}).items() if value is not None},
    }
    try:
        return Settings.model_validate(given)
    except RecursionError:
        raise SettingsInvalid(f"{home.settings_file} holds a value that is a part of itself") from None
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(dict(fault))}" for fault in error.errors())
        raise SettingsInvalid(
            f"settings of {home.path} are wrong ({home.settings_file} and variables):\n{faults}"
        ) from None


_SECTIONS: dict[str, type[Strict]] = {
    "pools": PoolSettings,
    "retry": RetrySettings,
    "restart": RestartSettings,
    "agents": AgentSettings,
    "providers": ProviderSettings,
    "projects": ProjectSettings,
    "limits": LimitSettings,
    "budgets": BudgetSettings,
    "orchestrator": OrchestrationSettings,
    "routing": RoutingSettings,
}


def _fault(fault: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    if fault["type"] == "extra_forbidden":
        section = _SECTIONS[str(fault["loc"][0])] if len(fault["loc"]) > 1 else Settings
        near = difflib.get_close_matches(str(fault["loc"][-1]), section.model_fields, n=1)
        return f"{where}: unknown" + (f", did you mean {near[0]}?" if near else "")
    return f"{where}: {fault['msg']}, not {Masker().mask(repr(fault['input']))}"  # a key where none belongs
