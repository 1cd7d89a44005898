"""Orchestration in conductor.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from conductor.domain.run import RunAutonomy
from conductor.settings.values import Seconds, Strict

AgentAndModel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(:[^\s-]\S*)?$")]
"""`agent` or `agent:model`."""


class HeartbeatSettings(Strict):
    every: Seconds = Field(30.0, description="how often it gives a sign of life")
    stale: Seconds = Field(600.0, description="an orchestrator that said nothing for so long is ended and replaced")
    stopped: Seconds = Field(3600.0, description="and after this it is called stopped")


class RoutingSettings(Strict):
    registry: str = Field("", description="models and what they are good at: a YAML file or agent-registry.json")
    submit: bool = Field(False, description="`submit` without agent and model asks the router too")
    failure_penalty: float = Field(5.0, ge=0, le=100, description="points less for each recent failure")
    prefer_free: bool = Field(True, description="ten points more for what costs nothing")


class OrchestratorSettings(Strict):
    """Defaults of every project; the same names under `projects.NAME` win."""

    autonomy: RunAutonomy = Field(RunAutonomy.FULL, description="who says go: manual, confirm or full")
    planner: tuple[AgentAndModel, ...] = Field(
        (), description="who takes requests apart, the best one first; none: the default agent, if it asks a model"
    )
    resolver: AgentAndModel | None = Field(None, description="who gets a conflict that its own step could not solve")
    reviewer: AgentAndModel | None = Field(None, description="the manager model: who reviews a run at its end")
    wip: int = Field(0, ge=0, le=10_000, description="steps of a project in progress at once; 0: twice the workers")
    spawn: Literal["parallel", "sequential"] = Field("parallel", description="how many steps at a time: many, or one")
    timeout: Seconds = Field(14400.0, description="how long a run may take, without the time it waits for people")
    bounces: int = Field(2, ge=0, le=20, description="how often the merge queue sends a step back")
    check: str = Field("", description="the command that must pass before a merge; empty: found by the files")
    check_timeout: Seconds = Field(1800.0, description="how long the check may run")
    allow_commands: tuple[str, ...] = Field((), description="globs of commands that a model may write unseen")
    push: bool = Field(False, description="push the target branch when a run has landed")
    pull_request: bool = Field(False, description="push the run's branch and open a pull request instead of landing")
    remote: str = Field("origin", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="where is pushed to")
    guard_checkout: bool = Field(True, description="work is held for a person when the main checkout changed under it")
    undeclared_files: bool = Field(False, description="a step may touch files that it did not declare")


class OrchestrationSettings(OrchestratorSettings):
    """The section `orchestrator`."""

    projects_dir: str = Field("~/projects", description="where new projects are made")
    roots: tuple[str, ...] = Field((), description="further folders below which projects may lie; none: anywhere")
    store: str = Field("sqlite", description="the entry point of conductor.storage that keeps projects and runs")
    store_location: str = Field("", description="what that store is told; empty: conductor.db in the home")
    heartbeat: HeartbeatSettings = Field(HeartbeatSettings.model_validate({}), description="its sign of life")
    route_depth: int = Field(2, ge=1, le=10, description="how many candidates are tried, twice each")
